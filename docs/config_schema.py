"""The JSON schema of a config, from the settings dataclasses: keys, types, defaults, limits and descriptions."""

from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from snakeseg.settings import EXPERIMENT_SECTIONS, NETWORK_SETTINGS, SECTIONS, Network, Run, Settings
from snakeseg.settings.config import NAME
from snakeseg.settings.keys import required

HEADER = "# Made from src/snakeseg/settings by `python docs/generate.py`.\n"
TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}
# Limits that hold for a list or map as a whole, not for its entries; those of one type alone.
OF_LISTS, OF_MAPS, OF_TEXT = ("minItems", "maxItems", "uniqueItems"), ("minProperties",), ("pattern", "maxLength")
OF_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
LIMITS = {list: OF_LISTS, dict: OF_MAPS, str: OF_TEXT, int: OF_NUMBERS, float: OF_NUMBERS}
EXPERIMENTS = (
    "map of names to overrides of `network`, `loss`, `train`, `predict`, `instances`; each is trained and scored. One "
    "that names another network takes none of the first one's settings. By default there is one, `default`"
)
START_FROM = "experiment whose weights this one starts from, by layer name (FCN's stages; fine-tuning)"


class Dumper(yaml.SafeDumper):
    """Writes what is equal in full each time, not as an alias."""

    def ignore_aliases(self, data: object) -> bool:
        """Return True: no aliases."""
        return True


def schema_text() -> str:
    """Return the schema as the workflow reads it."""
    return HEADER + yaml.dump(config_schema(), Dumper=Dumper, sort_keys=False, default_flow_style=None, width=120)


def config_schema() -> dict[str, Any]:
    """Return the schema of a config."""
    top = {**keys_of(Run), **keys_of(Settings)}
    sections = {name: section_schema(cls) for name, cls in SECTIONS.items()}
    sections["network"] = network_schema()
    sections["simulate"] = {"anyOf": [{"type": "null"}, _without(sections["simulate"], "default")], "default": None}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "The config of a run; defaults are filled in from here.",
        "type": "object",
        "additionalProperties": False,
        "required": required(Run),
        "properties": {**top, **sections, "experiments": experiments_schema()},
    }


def section_schema(cls: type) -> dict[str, Any]:
    """Return the schema of a section, all of whose keys have defaults."""
    return {"type": "object", "additionalProperties": False, "default": {}, "properties": keys_of(cls)}


def network_schema() -> dict[str, Any]:
    """Return the schema of the section `network`, whose keys depend on the network's name."""
    name = {"description": "architecture", "enum": list(NETWORK_SETTINGS), "default": "unet"}
    names_of: dict[type, list[str]] = {}
    for each, cls in NETWORK_SETTINGS.items():
        names_of.setdefault(cls, []).append(each)
    branches = [_network_branch(cls, names) for cls, names in names_of.items()]
    return {"type": "object", "default": {}, "properties": {"name": name}, "allOf": branches}


def _network_branch(cls: type[Network], names: list[str]) -> dict[str, Any]:
    """Return what holds of networks of these names; a network without a name is the first, a U-Net."""
    condition = {"properties": {"name": {"enum": names}}}
    if "unet" not in names:
        condition["required"] = ["name"]
    return {"if": condition, "then": {"additionalProperties": False, "properties": {"name": {}, **keys_of(cls)}}}


def experiments_schema() -> dict[str, Any]:
    """Return the schema of the experiments; the workflow checks the sections that they add up to."""
    start = {"description": START_FROM, "type": "string"}
    sections = {name: {"type": "object"} for name in EXPERIMENT_SECTIONS}
    keys = {"start_from": start, **sections}
    return {
        "description": EXPERIMENTS,
        "type": "object",
        "propertyNames": {"pattern": NAME},
        "additionalProperties": {"type": ["object", "null"], "additionalProperties": False, "properties": keys},
        "default": {},
    }


def keys_of(cls: type) -> dict[str, Any]:
    """Return the schema of each key of a settings dataclass that has a description, which sections have not."""
    kinds = get_type_hints(cls)
    return {each.name: _key_schema(each, kinds[each.name]) for each in fields(cls) if "description" in each.metadata}


def _key_schema(each: Field, kind: Any) -> dict[str, Any]:
    made = {"description": each.metadata["description"], **type_schema(kind, each.metadata["limits"])}
    if each.default is not MISSING:
        made["default"] = each.default
    elif each.default_factory is not MISSING:
        made["default"] = each.default_factory()
    return made


def type_schema(kind: Any, limits: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an annotated type within limits."""
    origin, inner = get_origin(kind), get_args(kind)
    own = {name: limit for name, limit in limits.items() if name in LIMITS.get(origin or kind, ())}
    if origin is Literal:
        return {"enum": list(inner)} if len(inner) > 1 else {"const": inner[0]}
    if origin is list:
        return {"type": "array", **own, "items": type_schema(inner[0], limits)}
    if origin is dict:
        return {"type": "object", **own, "additionalProperties": type_schema(inner[1], limits)}
    if inner:  # a union
        schemas = [type_schema(each, limits) for each in inner]
        if len(inner) == 2 and NoneType in inner and inner[0] in TYPES:
            return {**schemas[0], "type": [TYPES[inner[0]], "null"]}
        return {"anyOf": schemas}
    return {"type": TYPES[kind], **own}


def _without(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != name}
