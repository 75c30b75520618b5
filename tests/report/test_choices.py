"""Sentences on the choices that were made on held-out images, over all combinations."""

import re
from itertools import product

import pytest

from snakeseg.report.choices import Choices, collect_choices
from snakeseg.report.methods import describe_objects

COMBINATIONS = [
    Choices(*values, selected, 0.0125)
    for *values, selected in product((False, True), (False, True), (1, 2), (1, 5), ((), ("a",), ("a", "b_c")))
    if not (values[1] and values[2] == 1)  # one group cannot be cross-fitted
]


@pytest.mark.parametrize("choices", COMBINATIONS, ids=str)
def test_every_reason_for_optimism_is_named_and_no_other(choices):
    text = " ".join(choices.sentences())
    assert ("The pieces of a class" in text) == choices.is_semantic
    assert ("Object settings (threshold, size, growth)" in text) == (not choices.is_semantic)
    assert ("for each validation image on the others (cross-fitting)" in text) == choices.is_cross_fitted
    assert ("validation scores are not optimistic for this reason" in text) == choices.is_cross_fitted
    assert ("the only held-out group" in text) == (not choices.is_cross_fitted and choices.groups == 1)
    assert ("on all validation images, so" in text) == (not choices.is_cross_fitted and choices.groups > 1)
    assert ("mean of 5 models" in text) == (choices.models > 1)
    assert ("train.select: best" in text) == bool(choices.selected)
    assert all(name in text for name in choices.selected)
    # The size of the effect is a number.
    size = r"by 0\.01[23]\." if choices.is_semantic else r"too high by 0\.17 with 1 image and 0\.05 with 8 images\."
    assert bool(re.search(size, text)) == (not choices.is_cross_fitted)
    assert text.endswith(".")
    assert ".." not in text


@pytest.mark.parametrize("choices", COMBINATIONS, ids=str)
def test_use_of_validation_images(choices):
    """Of an experiment whose weights may have been selected, and of one whose were not."""
    for experiment in ("a", "other"):
        use = choices.describe_use(experiment)
        assert use.startswith("held out of training")
        assert ("select the weights" in use) == (experiment in choices.selected)
        assert ("to choose" in use) == (not choices.is_cross_fitted)
        assert ("chosen on the other images" in use) == choices.is_cross_fitted
        assert ("pieces" in use) == choices.is_semantic


def test_choices_are_those_of_the_files():
    cross_fitted = {"parameters": [{}], "samples": {"a": 0}}
    objects = {"chosen": {"threshold": 0.5}, "trials": [], "cross_fitted": cross_fitted}
    last, best, old = ({"provenance": {"train": train}} for train in ({"select": "last"}, {"select": "best"}, {}))
    choices = collect_choices({"x": objects, "y": objects}, {"x": last, "y": best}, 3, 5)
    assert choices == Choices(False, True, 3, 5, ("y",))
    # A single group, or a model of an earlier version.
    for missing in ({**objects, "cross_fitted": {}}, {"chosen": {"threshold": 0.5}, "trials": []}):
        assert not collect_choices({"x": objects, "y": missing}, {"x": old, "y": old}, 1, 1).is_cross_fitted
    trials = [{"score": 0.5}, {"score": 0.75}]
    semantic = {"chosen": {}, "trials": [], "classes": {"cell": {"trials": trials}, "wall": {"trials": trials[:1]}}}
    assert collect_choices({"x": semantic}, {"x": last}, 1, 1) == Choices(True, False, 1, 1, (), 0.125)


def test_no_page_calls_scores_slightly_optimistic(repository):
    """The size of the effect is stated, wherever it is mentioned."""
    pages = [path for folder in ("src", "docs", "config", "benchmarks") for path in (repository / folder).rglob("*")]
    texts = {path: path.read_text(encoding="utf-8") for path in pages if path.suffix in (".py", ".md", ".j2", ".yaml")}
    assert [str(path) for path, text in texts.items() if re.search(r"slightly\s+optimistic", text)] == []


def test_groups_are_named_where_they_have_several_images():
    grouped = Choices(False, True, 3, 1, has_groups=True)
    assert "for each group of validation images on the other groups (cross-fitting)" in grouped.sentences()[0]
    assert "chosen on the other groups" in grouped.describe_use("a")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "foreground from probability 0.5, depth 4 pixels, any size, growth 2 pixels"),
        ({"smallest": 20, "grow": 0}, "foreground from probability 0.5, depth 4 pixels, at least 20 pixels, no growth"),
        ({"method": "core", "depth": 0.8, "grow": 1},
         "foreground from probability 0.5, cores from probability 0.8, any size, growth 1 pixel"),
        ({"method": "components", "fill_holes": True, "drop_at_edge": True},
         "foreground from probability 0.5, any size, growth 2 pixels, holes filled, objects at the edge of the image"
         " left out"),
    ],
)  # fmt: skip
def test_object_settings_are_described_in_words(changes, text):
    """Trial of the report: "a depth or seed threshold of 4.0" left open which of both it was."""
    chosen = {"method": "soft", "threshold": 0.5, "depth": 4.0, "smallest": 0, "grow": 2, **changes}
    described = describe_objects(chosen)
    assert described.startswith(f"method {chosen['method']} (")
    assert described.partition("), ")[2] == text
