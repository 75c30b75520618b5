"""The config's schema and the package's settings say the same."""

import json
from dataclasses import MISSING, FrozenInstanceError, fields
from pathlib import Path

import numpy as np
import pytest
import yaml

from snakeseg import labels, tuning
from snakeseg.errors import BadInput
from snakeseg.grey import grey_statistics
from snakeseg.networks.blocks import NORMALISATIONS
from snakeseg.networks.registry import NETWORKS
from snakeseg.settings import PLAIN, SECTIONS, Labels, Network, Train, build, did_you_mean, read_sections
from snakeseg.training import learning_rate_factor, make_optimiser

SCHEMA = yaml.safe_load((Path(__file__).parents[1] / "workflow/schemas/config.schema.yaml").read_text())
# Settings that are the schema's alone: they name and place a run, or make several of one.
RUN = {"name", "sheet", "data", "threads", "experiments"}


def section_of(name):
    """The schema of a section, also where it may be null."""
    schema = SCHEMA["properties"][name]
    return next((s for s in schema.get("anyOf", []) if s["type"] == "object"), schema)


def default_of(field):
    return field.default_factory() if field.default is MISSING else field.default


@pytest.mark.parametrize("name", SECTIONS)
def test_schema_and_settings_have_the_same_keys_and_defaults(name):
    properties = section_of(name)["properties"]
    in_schema = {key: schema["default"] for key, schema in properties.items()}
    in_package = {field.name: default_of(field) for field in fields(SECTIONS[name])}
    assert in_schema == in_package
    assert {k: type(v) for k, v in in_schema.items()} == {k: type(v) for k, v in in_package.items()}


def test_every_section_and_key_is_known_to_both():
    assert set(SCHEMA["properties"]) - RUN == set(SECTIONS) | (set(PLAIN) - {"networks"})
    for key in set(PLAIN) - {"networks"}:
        assert SCHEMA["properties"][key]["default"] == PLAIN[key]


@pytest.mark.parametrize("name", SECTIONS)
def test_schema_forbids_unknown_keys(name):
    assert section_of(name)["additionalProperties"] is False
    assert all("description" in schema for schema in section_of(name)["properties"].values())


def test_schema_offers_what_the_package_knows():
    """Every word that the schema allows is understood, and every word understood is allowed."""

    def words(section, key):
        return section_of(section)["properties"][key]["enum"]

    assert words("labels", "kind") == list(labels.KINDS)
    assert words("network", "name") == list(NETWORKS)
    assert words("network", "normalisation") == list(NORMALISATIONS)
    assert words("instances", "select_by") == list(tuning.SCORES)
    for schedule in words("train", "schedule"):
        assert learning_rate_factor(Train(schedule=schedule), 0) > 0
    for kind in words("prepare", "normalise"):
        settings = build(SECTIONS["prepare"], {"normalise": kind})
        assert len(grey_statistics(np.ones((1, 2, 2)), settings)) == 2
    network = NETWORKS["unet"].build(2, 1, 2, Network(width=1, depth=1))
    for optimiser in words("train", "optimiser"):
        assert make_optimiser(network, Train(optimiser=optimiser))


def test_experiments_override_sections_that_exist():
    overrides = SCHEMA["properties"]["experiments"]["additionalProperties"]["properties"]
    assert set(overrides) <= set(SECTIONS)


def test_settings_cannot_change():
    with pytest.raises(FrozenInstanceError):
        Train().steps = 3


def test_mutable_defaults_are_not_shared():
    Labels().values["extra"] = 9
    assert Labels().values == {"background": 0, "foreground": 1}


def test_build():
    assert build(Network, {"width": 8}) == Network(width=8)


@pytest.mark.parametrize(
    ("values", "remedy"), [({"widht": 8}, r"did you mean 'width'\?"), ({"zzz": 1}, "remove it")]
)  # fmt: skip
def test_unknown_key(values, remedy):
    key = next(iter(values))
    with pytest.raises(BadInput, match=rf"network: found unknown key '{key}'; expected one of name, width.*; {remedy}"):
        build(Network, values, "network")


def test_did_you_mean():
    assert did_you_mean("learning_rte", ["learning_rate", "steps"]) == "did you mean 'learning_rate'?"
    assert did_you_mean("xyz", ["learning_rate", "steps"]) == "remove it"
    assert did_you_mean(121, [122, 99]) == "did you mean '122'?"


def test_sections_from_json():
    read = read_sections(json.dumps({"network": {"width": 4}, "folds": 3, "validation": ["a*"]}))
    assert read["network"] == Network(width=4)
    assert read["train"] == Train()
    assert (read["folds"], read["validation"]) == (3, ["a*"])
    with pytest.raises(BadInput, match=r"train: found unknown key 'stepz'.*did you mean 'steps'"):
        read_sections('{"train": {"stepz": 1}}')
    with pytest.raises(BadInput, match="unknown section 'trian'"):
        read_sections('{"trian": {}}')
