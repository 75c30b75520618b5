"""Settings: accepted values, and the agreement of the generated schema with the dataclasses."""

import json
from dataclasses import FrozenInstanceError, asdict, fields
from typing import Literal, get_args, get_type_hints

import numpy as np
import pytest
from config_schema import config_schema, type_schema

from snakeseg.errors import BadInput
from snakeseg.networks.blocks import NORMALISATION_LAYERS
from snakeseg.networks.fcn import DECONVOLUTIONS
from snakeseg.networks.registry import NETWORKS, make_network
from snakeseg.networks.unet import SKIPS
from snakeseg.networks.upsampling import DECODERS
from snakeseg.objects import trials
from snakeseg.settings import (
    NETWORK_SETTINGS,
    SECTIONS,
    FCNSettings,
    Instances,
    Labels,
    Loss,
    Network,
    Prepare,
    Run,
    Settings,
    Train,
    UNetSettings,
    build_section,
    describe_kind,
    is_valid,
    network_settings,
    read_config,
    read_settings,
)
from snakeseg.text import did_you_mean
from snakeseg.training.losses import LOSSES
from snakeseg.training.optimiser import learning_rate_factor, make_optimiser
from snakeseg.transforms.normalise import intensity_statistics

CLASSES = [
    Run,
    Settings,
    *(cls for cls in SECTIONS.values() if cls is not Network),
    *dict.fromkeys(NETWORK_SETTINGS.values()),
]
KEYS = [(cls, key) for cls in CLASSES for key in fields(cls) if "description" in key.metadata]
# Values of all types, at and beyond the limits of keys.
VALUES = [
    None, True, False, 0, 1, 2, 3, 7, 16, -1, 10**6, 0.0, 0.5, 1.5, 99.8, 100.5, -0.1, 1.0000001,
    "", "auto", "all", "none", "unet", "a b", "x" * 600, "10.1000/a", "https://a",
    [], [0], [1], [1, 1], [1, 1.5], [0.5, 0.5], [2, 3], [1, 2, 3, 4], [-1], [None], ["a"], ["a/b"], ["10.1000/a"],
    {}, {"a": 1}, {"a": 1, "b": 2}, {"a": "b", "c": 1},
]  # fmt: skip


def literal_values(cls, key):
    return list(get_args(get_type_hints(cls)[key]))


@pytest.fixture(scope="module")
def config_validator(repository):
    """Return the workflow's validator, for which 2.0 is not a whole number."""
    source = (repository / "workflow/rules/config.smk").read_text(encoding="utf-8")
    exec(source, rules := {})
    return rules["ConfigValidator"]


@pytest.mark.parametrize(("cls", "key"), KEYS, ids=lambda item: getattr(item, "name", None) or item.__name__)
def test_schema_and_settings_accept_the_same(cls, key, config_validator):
    """The schema of the workflow and the dataclasses of the commands accept the same configs."""
    kind, limits = get_type_hints(cls)[key.name], key.metadata["limits"]
    schema = config_validator(type_schema(kind, limits))
    assert {repr(value): is_valid(value, kind, limits) for value in VALUES} == {
        repr(value): schema.is_valid(value) for value in VALUES
    }
    assert describe_kind(kind, limits)


@pytest.mark.parametrize("cls", [*CLASSES[2:]])
def test_defaults_are_accepted(cls):
    defaults = cls(name="fcn8s") if cls is FCNSettings else cls()
    assert build_section(cls, asdict(defaults)) == defaults


def test_every_limit_is_checked():
    """The package checks all keywords of the schema; others would be limits in the workflow only."""
    checked = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern", "maxLength"}
    checked |= {"minItems", "maxItems", "uniqueItems", "minProperties"}
    assert {limit for _, key in KEYS for limit in key.metadata["limits"]} == checked


def test_missing_keys_get_their_defaults():
    schema = config_schema()["properties"]
    config = read_config({"name": "a", "sheet": "b", "train": {"steps": 7}, "experiments": {"c": None}})
    assert {key.name for key in fields(config)} == set(schema)
    assert (config.train.steps, config.train.batch, config.simulate) == (7, 1, None)
    assert config.experiments == {"c": None}
    with pytest.raises(BadInput, match=r"settings: found unknown key 'seed'; expected one of"):
        read_config({"name": "a", "sheet": "b", "seed": 3})


def test_every_listed_value_is_implemented():
    """The values that the settings list are exactly those that the package implements."""
    assert list(NETWORK_SETTINGS) == list(NETWORKS)
    assert literal_values(UNetSettings, "normalisation") == list(NORMALISATION_LAYERS)
    assert literal_values(UNetSettings, "decoder") == list(DECODERS)
    assert literal_values(UNetSettings, "skips") == list(SKIPS)
    assert literal_values(FCNSettings, "deconvolutions") == list(DECONVOLUTIONS)
    assert literal_values(Loss, "name") == list(LOSSES)
    assert literal_values(Instances, "select_by") == list(trials.SCORES)
    for schedule in literal_values(Train, "schedule"):
        assert learning_rate_factor(Train(schedule=schedule), 0) > 0
    for kind in literal_values(Prepare, "normalise"):
        assert len(intensity_statistics(np.ones((1, 2, 2)), build_section(Prepare, {"normalise": kind}))) == 2
    network = make_network(2, 1, 2, UNetSettings(width=1, depth=1))
    for optimiser in literal_values(Train, "optimiser"):
        assert make_optimiser(network, Train(optimiser=optimiser))


def test_settings_cannot_change():
    with pytest.raises(FrozenInstanceError):
        Train().steps = 3


def test_mutable_defaults_are_not_shared():
    Labels().values["extra"] = 9
    assert Labels().values == {"background": 0, "foreground": 1}


def test_a_section_is_built_from_its_keys():
    assert build_section(UNetSettings, {"width": 8}) == UNetSettings(width=8)


def test_network_settings_are_selected_by_name():
    assert network_settings({}) == UNetSettings()
    assert network_settings({"name": "fcn16s", "width": 8}) == FCNSettings(name="fcn16s", width=8)
    with pytest.raises(BadInput, match=r"network.name: found 'unett'; expected one of .*; did you mean 'unet'"):
        network_settings({"name": "unett"})


@pytest.mark.parametrize(
    ("values", "remedy"), [({"widht": 8}, r"did you mean 'width'\?"), ({"zzz": 1}, "remove it")]
)  # fmt: skip
def test_an_unknown_key_is_an_error(values, remedy):
    key = next(iter(values))
    with pytest.raises(
        BadInput, match=rf"network: found unknown key '{key}'; expected one of name, border.*; {remedy}"
    ):
        network_settings(values)


def test_the_closest_key_is_suggested():
    assert did_you_mean("learning_rte", ["learning_rate", "steps"]) == "did you mean 'learning_rate'?"
    assert did_you_mean("xyz", ["learning_rate", "steps"]) == "remove it"
    assert did_you_mean(121, [122, 99]) == "did you mean '122'?"


def test_settings_are_read_from_json():
    experiments = {"a": {"network": {"name": "fcn16s"}, "start_from": "b"}}
    config = {"network": {"width": 4}, "folds": 3, "validation": ["a*"], "experiments": experiments}
    settings = read_settings(json.dumps(config))
    assert settings.network == UNetSettings(width=4)
    assert settings.train == Train()
    assert (settings.folds, settings.validation) == (3, ["a*"])
    assert settings.experiments["a"].network == FCNSettings(name="fcn16s")
    assert (settings.experiments["a"].train, settings.experiments["a"].start_from) == (Train(), "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"train": {"stepz": 1}}', r"train: found unknown key 'stepz'.*did you mean 'steps'"),
        ('{"trian": {}}', "settings: found unknown key 'trian'.*did you mean 'train'"),
        ('{"train": {"batch": 0}}', "train, batch: found 0; expected a whole number from 1, or auto"),
        ('{"train": 3}', "train: found int; expected keys with values"),
        ('{"experiments": {"a": {"train": {"batch": 0}}}}', "experiments.a.train, batch: found 0"),
        ('{"experiments": {"a": 3}}', "experiments.a: found int; expected sections with keys"),
        ('{"experiments": 3}', "settings, experiments: found 3"),
        ("[]", "settings: found list"),
        ("{", "settings: found no JSON"),
    ],
)
def test_invalid_settings_are_errors(text, message):
    with pytest.raises(BadInput, match=message):
        read_settings(text)


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
def test_values_must_have_the_type_of_their_key(value, kind, expected):
    assert is_valid(value, kind) == expected
    assert describe_kind(kind)


def test_a_value_of_another_type_is_an_error():
    with pytest.raises(
        BadInput, match=r"x, width: found 'a'; expected a whole number from 1; correct the value of this key"
    ):
        network_settings({"width": "a"}, "x")
    with pytest.raises(
        BadInput, match=r"prepare, spacing: found 3; expected auto, or a list, each a number above 0, or null"
    ):
        build_section(Prepare, {"spacing": 3}, "prepare")
