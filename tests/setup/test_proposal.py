"""Proposed settings use the thresholds of the checks, so that `check` never contradicts `init`."""

import pandas as pd
import pytest

from snakeseg.checks.findings.per_dataset import dataset_findings
from snakeseg.settings import Labels, Settings
from snakeseg.setup.proposal import propose_settings
from snakeseg.setup.survey import Survey

LABELS = Labels("semantic", {"background": 0, "cell": 1})


def survey(spacings=((1.0, 1.0),) * 2, share=0.5):
    """Return the survey of two labelled images with these pixel sizes and this share of cells."""
    sheet = pd.DataFrame({"label": ["a.tif", "b.tif"], "subset": ["train", "train"]})
    facts = pd.DataFrame({"type": ["uint8"] * 2, "shares": [{"background": 1 - share, "cell": share}] * 2})
    return Survey(2, sheet, [(200, 300)] * 2, 1, list(spacings), False, LABELS, "", facts, 2, [])


def topics(spacings=((1.0, 1.0),) * 2, share=0.5):
    """Return the topics of the findings about the same data."""
    table = pd.DataFrame({
        "sample": ["a", "b"], "subset": "train", "part": "training", "group": ["a", "b"], "shape": "300x300",
        "share_background": 1 - share,
        "share_cell": share, "spacing": [" ".join(map(str, spacing)) for spacing in spacings],
    })  # fmt: skip
    return {finding.topic for finding in dataset_findings(table, Settings(labels=LABELS), {})}


def proposed(section, **data):
    return {key.name: key.value for key in propose_settings(survey(**data)).sections[section]}


@pytest.mark.parametrize(("size", "differ"), [(1.05, False), (1.19, False), (1.21, True)])
def test_resampling_is_proposed_if_pixel_sizes_would_cause_a_warning(size, differ):
    spacings = [(1.0, 1.0), (1.0, size)]
    assert ("Different pixel sizes" in topics(spacings=spacings)) == differ
    assert (proposed("prepare", spacings=spacings).get("spacing") == "auto") == differ


@pytest.mark.parametrize(("share", "rare"), [(0.01, True), (0.04, True), (0.06, False)])
def test_patches_around_foreground_are_proposed_if_classes_are_rare(share, rare):
    assert ("Rare classes" in topics(share=share)) == rare
    assert ("foreground" in proposed("train", share=share)) == rare
