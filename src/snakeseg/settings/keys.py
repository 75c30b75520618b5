"""Keys of settings: declare type, default, limits and description; check the values of a config against them.

The limits are keywords of JSON Schema, which `docs/config_schema.py` copies into the schema of the config.
"""

import copy
import re
from dataclasses import MISSING, field, fields
from functools import partial
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from snakeseg.errors import BadInput
from snakeseg.text import did_you_mean

WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "null"}
LIMIT_WORDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
# Limits of a fraction or a probability.
SHARE = {"minimum": 0, "maximum": 1}
# Bound of the absolute value of all numbers; larger ones may not fit a float.
MAX_NUMBER = 1e300


def key(default: Any, description: str, **limits: Any) -> Any:
    """Declare a key of a settings dataclass.

    Parameters
    ----------
    default : object
        Default value; `MISSING` for a required key. Lists and dicts are copied for each object.
    description : str
        Markdown text for the reference of keys.
    **limits
        Keywords of JSON Schema, such as `minimum`, `pattern`, `minItems`. The limits of numbers and text also hold for
        the entries of lists and dicts.
    """
    metadata = {"description": description, "limits": limits}
    if isinstance(default, list | dict):
        return field(default_factory=partial(copy.deepcopy, default), metadata=metadata)
    return field(default=default, metadata=metadata)


def build_section(cls: type, values: Any, where: str = "settings"):
    """Build a settings object from a mapping and fill in defaults.

    Parameters
    ----------
    cls : type
        Settings dataclass whose fields are declared by `key`.
    values : dict
        Values by key, as parsed from JSON or YAML.
    where : str
        Path of the section in the config, for errors.

    Raises
    ------
    BadInput
        If a key is unknown, a required key is missing, or a value does not fit its key's type and limits.
    """
    if not isinstance(values, dict):
        raise BadInput(where, type(values).__name__, "keys with values", "write it as a mapping")
    known = {item.name: item for item in fields(cls)}
    for name in values:
        if name not in known:
            raise BadInput(where, f"unknown key '{name}'", f"one of {', '.join(known)}", did_you_mean(name, known))
    missing = [name for name in required(cls) if name not in values]
    if missing:
        raise BadInput(where, f"no {', '.join(missing)}", f"{cls.__name__} settings", "add the missing keys")
    kinds = get_type_hints(cls)
    for name, value in values.items():
        limits = known[name].metadata.get("limits", {})
        if not is_valid(value, kinds[name], limits):
            expected = describe_kind(kinds[name], limits)
            raise BadInput(f"{where}, {name}", f"{value!r:.100}", expected, "correct the value of this key")
    return cls(**values)


def required(cls: type) -> list[str]:
    """Return the names of the keys without a default."""
    return [item.name for item in fields(cls) if item.default is MISSING and item.default_factory is MISSING]


def is_valid(value: Any, kind: Any, limits: dict[str, Any] | None = None) -> bool:
    """Return True if a value has an annotated type and lies within limits.

    Parameters
    ----------
    value : object
        Value parsed from JSON or YAML.
    kind : type
        A plain type, Literal, or lists, dicts and unions of these.
    limits : dict, optional
        Keywords of JSON Schema.
    """
    limits, origin, inner = limits or {}, get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(is_valid(value, member, limits) for member in inner)
    if origin is Literal:
        return any(value == word and isinstance(value, bool) == isinstance(word, bool) for word in inner)
    if origin is list:
        return isinstance(value, list) and _has_fitting_entries(value, value, inner[0], limits)
    if origin is dict:
        return isinstance(value, dict) and _has_fitting_entries(value, value.values(), inner[1], limits)
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool) and _is_within(value, limits)
    if kind is str:
        return isinstance(value, str) and _is_legal_text(value, limits)
    return kind is Any or isinstance(value, kind)


def _has_fitting_entries(container: list | dict, entries: Any, kind: Any, limits: dict[str, Any]) -> bool:
    size = len(container)
    fewest = limits.get("minItems" if isinstance(container, list) else "minProperties", 0)
    return (
        fewest <= size <= limits.get("maxItems", size)
        and all(is_valid(entry, kind, limits) for entry in entries)
        and not (limits.get("uniqueItems") and len(set(map(repr, container))) < size)
    )


def _is_legal_text(text: str, limits: dict[str, Any]) -> bool:
    is_matched = "pattern" not in limits or re.fullmatch(limits["pattern"], text) is not None
    return is_matched and len(text) <= limits.get("maxLength", len(text))


def _is_within(value: float, limits: dict[str, Any]) -> bool:
    """Return True if a number is finite and within limits, False for NaN."""
    return (
        abs(value) < MAX_NUMBER
        and limits.get("minimum", value) <= value <= limits.get("maximum", value)
        and not ("exclusiveMinimum" in limits and value <= limits["exclusiveMinimum"])
        and not ("exclusiveMaximum" in limits and value >= limits["exclusiveMaximum"])
    )


def describe_kind(kind: Any, limits: dict[str, Any] | None = None) -> str:
    """Describe the values that fit an annotated type and limits, for the part "expected" of an error."""
    limits, origin, inner = limits or {}, get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return ", or ".join(describe_kind(member, limits) for member in inner)
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}" if len(inner) > 1 else str(inner[0])
    if origin is list:
        return f"a list, each {describe_kind(inner[0], limits)}"
    if origin is dict:
        return f"names, each with {describe_kind(inner[1], limits)}"
    if kind in (int, float):
        return " ".join(
            [WORDS[kind], *(f"{word} {limits[name]}" for name, word in LIMIT_WORDS.items() if name in limits)]
        )
    if kind is str and "pattern" in limits:
        return f"text that matches {limits['pattern']}"
    return WORDS.get(kind, "anything")
