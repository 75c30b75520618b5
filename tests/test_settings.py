"""The config's schema and the package's settings say the same."""

import json
from dataclasses import MISSING, FrozenInstanceError, fields
from pathlib import Path
from typing import Literal, get_args, get_type_hints

import numpy as np
import pytest
import yaml

from snakeseg.errors import BadInput
from snakeseg.kinds import fits, in_words
from snakeseg.networks.blocks import NORMALISATIONS
from snakeseg.networks.fcn import DECONVOLUTIONS
from snakeseg.networks.registry import NETWORKS, make_network
from snakeseg.networks.unet import SKIPS
from snakeseg.networks.upsampling import DECODERS
from snakeseg.objects import tune
from snakeseg.settings import (
    NETWORK_SETTINGS,
    PLAIN,
    SECTIONS,
    FCNSettings,
    Labels,
    Train,
    UNetSettings,
    build,
    did_you_mean,
    network_settings,
    read_sections,
)
from snakeseg.training.losses import LOSSES
from snakeseg.training.optimiser import learning_rate_factor, make_optimiser
from snakeseg.transforms.normalise import intensity_statistics

SCHEMA = yaml.safe_load((Path(__file__).parents[1] / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
# Settings that are the schema's alone: they name and place a run, or make several of one.
RUN = {"name", "fold", "sheet", "data", "threads", "experiments", "seeds", "model", "images"}


def section_of(name):
    """The schema of a section, also where it may be null; of the U-Net for the network."""
    if name in NETWORKS:
        return schema_of_network(name)
    if name == "network":
        return schema_of_network("unet")
    schema = SCHEMA["properties"][name]
    return next((s for s in schema.get("anyOf", []) if s["type"] == "object"), schema)


def schema_of_network(name):
    """The keys of the network of this name; `name` itself stands outside."""
    network = SCHEMA["properties"]["network"]
    for branch in network["allOf"]:
        condition = branch["if"]["properties"]["name"]
        if name == condition.get("const") or name in condition.get("enum", []):
            properties = {**branch["then"]["properties"], "name": {**network["properties"]["name"], "default": name}}
            return {**branch["then"], "properties": properties}
    raise KeyError(name)


def settings_of(name):
    return NETWORK_SETTINGS.get(name) or (UNetSettings if name == "network" else SECTIONS[name])


def default_of(field):
    return field.default_factory() if field.default is MISSING else field.default


@pytest.mark.parametrize("name", [*SECTIONS, *NETWORKS])
def test_schema_and_settings_have_the_same_keys_and_defaults(name):
    properties = section_of(name)["properties"]
    in_schema = {key: schema["default"] for key, schema in properties.items()}
    in_package = {field.name: default_of(field) for field in fields(settings_of(name))}
    if name in NETWORKS:
        in_package["name"] = name
    assert in_schema == in_package
    assert {k: type(v) for k, v in in_schema.items()} == {k: type(v) for k, v in in_package.items()}


def test_every_section_and_key_is_known_to_both():
    inner = {"networks", "starts", "plans"}  # made from the experiments
    assert set(SCHEMA["properties"]) - RUN == set(SECTIONS) | (set(PLAIN) - inner)
    for key in set(PLAIN) - inner:
        assert SCHEMA["properties"][key]["default"] == PLAIN[key]


@pytest.mark.parametrize("name", [*SECTIONS, *NETWORKS])
def test_schema_forbids_unknown_keys(name):
    assert section_of(name)["additionalProperties"] is False
    assert all("description" in schema for schema in section_of(name)["properties"].values())


def test_schema_offers_what_the_package_knows():
    """Every word that the schema allows is understood, and every word understood is allowed."""

    def words(section, key):
        return section_of(section)["properties"][key]["enum"]

    assert words("labels", "kind") == list(get_args(get_type_hints(SECTIONS["labels"])["kind"]))
    assert words("network", "name") == list(NETWORKS)
    assert words("unet", "normalisation") == list(NORMALISATIONS)
    assert words("unet", "decoder") == list(DECODERS)
    assert words("unet", "skips") == list(SKIPS)
    assert words("fcn8s", "deconvolutions") == list(DECONVOLUTIONS)
    assert words("loss", "name") == list(LOSSES)
    assert words("instances", "select_by") == list(tune.SCORES)
    for schedule in words("train", "schedule"):
        assert learning_rate_factor(Train(schedule=schedule), 0) > 0
    for kind in words("prepare", "normalise"):
        settings = build(SECTIONS["prepare"], {"normalise": kind})
        assert len(intensity_statistics(np.ones((1, 2, 2)), settings)) == 2
    network = make_network(2, 1, 2, UNetSettings(width=1, depth=1))
    for optimiser in words("train", "optimiser"):
        assert make_optimiser(network, Train(optimiser=optimiser))


def test_experiments_override_sections_that_exist():
    overrides = SCHEMA["properties"]["experiments"]["additionalProperties"]["properties"]
    assert set(overrides) - {"start_from"} <= set(SECTIONS)


def test_settings_cannot_change():
    with pytest.raises(FrozenInstanceError):
        Train().steps = 3


def test_mutable_defaults_are_not_shared():
    Labels().values["extra"] = 9
    assert Labels().values == {"background": 0, "foreground": 1}


def test_build():
    assert build(UNetSettings, {"width": 8}) == UNetSettings(width=8)


def test_network_settings_by_name():
    assert network_settings({}) == UNetSettings()
    assert network_settings({"name": "fcn16s", "width": 8}) == FCNSettings(name="fcn16s", width=8)
    with pytest.raises(BadInput, match=r"network.name: found 'unett'; expected one of .*; did you mean 'unet'"):
        network_settings({"name": "unett"})


@pytest.mark.parametrize(
    ("values", "remedy"), [({"widht": 8}, r"did you mean 'width'\?"), ({"zzz": 1}, "remove it")]
)  # fmt: skip
def test_unknown_key(values, remedy):
    key = next(iter(values))
    with pytest.raises(
        BadInput, match=rf"network: found unknown key '{key}'; expected one of name, border.*; {remedy}"
    ):
        network_settings(values)


def test_did_you_mean():
    assert did_you_mean("learning_rte", ["learning_rate", "steps"]) == "did you mean 'learning_rate'?"
    assert did_you_mean("xyz", ["learning_rate", "steps"]) == "remove it"
    assert did_you_mean(121, [122, 99]) == "did you mean '122'?"


def test_sections_from_json():
    read = read_sections(json.dumps({"network": {"width": 4}, "folds": 3, "validation": ["a*"]}))
    assert read["network"] == UNetSettings(width=4)
    assert read["train"] == Train()
    assert (read["folds"], read["validation"]) == (3, ["a*"])
    with pytest.raises(BadInput, match=r"train: found unknown key 'stepz'.*did you mean 'steps'"):
        read_sections('{"train": {"stepz": 1}}')
    with pytest.raises(BadInput, match="unknown section 'trian'"):
        read_sections('{"trian": {}}')


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (3, int, True), (3.0, int, False), (True, int, False), (3, float, True), (np.nan, float, False),
        (10**400, float, False), ("a", str, True), (None, str | None, True), ([1, 2], list[int], True),
        ([1, "a"], list[int], False),
        ({"a": 1}, dict[str, int], True), ({"a": None}, dict[str, int], False), ("auto", int | str, True),
        ("b", Literal["a", "b"], True), ([], Literal["a"], False), ({}, list[int], False),
    ],
)  # fmt: skip
def test_values_are_of_the_types_of_their_keys(value, kind, expected):
    assert fits(value, kind) == expected
    assert in_words(kind)


def test_a_value_of_another_type_is_told():
    with pytest.raises(BadInput, match=r"x, width: found 'a'; expected a whole number; correct the value of this key"):
        network_settings({"width": "a"}, "x")
    with pytest.raises(BadInput, match=r"prepare, spacing: found 3; expected a list, each a number, or text, or null"):
        build(SECTIONS["prepare"], {"spacing": 3}, "prepare")
