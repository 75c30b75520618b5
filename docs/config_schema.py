"""Make the JSON schema of a config from the settings dataclasses: keys, types, defaults, limits and descriptions."""

from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from snakeseg.settings import EXPERIMENT_SECTIONS, NETWORK_SETTINGS, SECTIONS, Network, Run, Settings
from snakeseg.settings.config import RUN_NAME
from snakeseg.settings.keys import required

HEADER = "# Made from src/snakeseg/settings by `python docs/generate.py`.\n"
TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", NoneType: "null"}
# Keywords of JSON Schema that limit each type; those of a list or map apply to the whole, not to its entries.
NUMBER_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
LIMITS = {
    list: ("minItems", "maxItems", "uniqueItems"),
    dict: ("minProperties",),
    str: ("pattern", "maxLength"),
    int: NUMBER_LIMITS,
    float: NUMBER_LIMITS,
}
EXPERIMENTS = (
    "map of names to overrides of `network`, `loss`, `train`, `predict`, `instances`; each is trained and scored. An "
    "experiment with another `network.name` takes no key of the run's `network`. By default there is one, `default`"
)
START_FROM = "experiment whose weights this one starts from, by layer name (FCN's stages; fine-tuning)"


class Dumper(yaml.SafeDumper):
    """YAML dumper that writes repeated values in full, without aliases."""

    def ignore_aliases(self, data: object) -> bool:
        """Return True, so that no aliases are written."""
        return True


def schema_text() -> str:
    """Return the schema as the YAML text that the workflow reads."""
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
    """Return the schema of a config section; all of its keys have defaults."""
    return {"type": "object", "additionalProperties": False, "default": {}, "properties": keys_of(cls)}


def network_schema() -> dict[str, Any]:
    """Return the schema of the section `network`, whose keys depend on the network's name."""
    name = {"description": "architecture", "enum": list(NETWORK_SETTINGS), "default": "unet"}
    names_of: dict[type, list[str]] = {}
    for network, cls in NETWORK_SETTINGS.items():
        names_of.setdefault(cls, []).append(network)
    branches = [_network_branch(cls, names) for cls, names in names_of.items()]
    return {"type": "object", "default": {}, "properties": {"name": name}, "allOf": branches}


def _network_branch(cls: type[Network], names: list[str]) -> dict[str, Any]:
    """Return the condition and keys of the networks with these names; without a name, the network is a U-Net."""
    condition = {"properties": {"name": {"enum": names}}}
    if "unet" not in names:
        condition["required"] = ["name"]
    return {"if": condition, "then": {"additionalProperties": False, "properties": {"name": {}, **keys_of(cls)}}}


def experiments_schema() -> dict[str, Any]:
    """Return the schema of `experiments`; the workflow validates the merged sections of each experiment."""
    start = {"description": START_FROM, "type": "string"}
    sections = {name: {"type": "object"} for name in EXPERIMENT_SECTIONS}
    keys = {"start_from": start, **sections}
    return {
        "description": EXPERIMENTS,
        "type": "object",
        "propertyNames": {"pattern": RUN_NAME},
        "additionalProperties": {"type": ["object", "null"], "additionalProperties": False, "properties": keys},
        "default": {},
    }


def keys_of(cls: type) -> dict[str, Any]:
    """Return the schema of each key of a settings dataclass: its fields with a description (sections have none)."""
    types = get_type_hints(cls)
    keys = [field for field in fields(cls) if "description" in field.metadata]
    return {field.name: _key_schema(field, types[field.name]) for field in keys}


def _key_schema(field: Field, annotation: Any) -> dict[str, Any]:
    """Return the schema of a field: description, type, limits, default."""
    schema = {"description": field.metadata["description"], **type_schema(annotation, field.metadata["limits"])}
    if field.default is not MISSING:
        schema["default"] = field.default
    elif field.default_factory is not MISSING:
        schema["default"] = field.default_factory()
    return schema


def type_schema(annotation: Any, limits: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type annotation, with the limits that apply to it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    own = {name: limit for name, limit in limits.items() if name in LIMITS.get(origin or annotation, ())}
    if origin is Literal:
        return {"enum": list(inner)} if len(inner) > 1 else {"const": inner[0]}
    if origin is list:
        return {"type": "array", **own, "items": type_schema(inner[0], limits)}
    if origin is dict:
        return {"type": "object", **own, "additionalProperties": type_schema(inner[1], limits)}
    if inner:  # a union
        schemas = [type_schema(member, limits) for member in inner]
        if len(inner) == 2 and NoneType in inner and inner[0] in TYPES:
            return {**schemas[0], "type": [TYPES[inner[0]], "null"]}
        return {"anyOf": schemas}
    return {"type": TYPES[annotation], **own}


def _without(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a schema without one of its keywords."""
    return {key: value for key, value in schema.items() if key != name}
