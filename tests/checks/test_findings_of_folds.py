"""Findings about what a fold trains on, and about deformations that would fold."""

import pandas as pd
import pytest

from snakeseg.checks.findings.per_dataset import dataset_findings
from snakeseg.settings import Augment, Labels, Settings

LABELS = Labels("semantic", {"background": 0, "cell": 1, "vessel": 2})


def find(parts, vessels, shape="400x400", augment=None):
    """Return topic, samples and text of the findings about images that contain these shares of vessels."""
    table = pd.DataFrame({
        "sample": [f"s{i}" for i in range(len(parts))], "subset": "train", "part": parts, "shape": shape,
        "group": [f"g{i}" for i in range(len(parts))], "spacing": "1 1",
        "share_background": 0.5, "share_cell": 0.4, "share_vessel": vessels,
    })  # fmt: skip
    findings = dataset_findings(table, Settings(labels=LABELS, augment=augment or Augment()), {})
    return [(finding.topic, finding.samples, finding.found, finding.remedy) for finding in findings]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["training"] * 3 + ["validation"], "the only fold"),
        (["fold 0", "fold 1", "fold 2", "fold 3"], "fold 3"),
    ],
)
def test_a_class_of_held_out_images_alone_is_a_warning(parts, words):
    """Held-out images counted as training images, so that the fold seemed to have all classes."""
    ((topic, samples, text, _),) = find(parts, [0, 0, 0, 0.3])
    assert (topic, samples) == ("Classes that are not trained on", ("s3",))
    assert text == f"only images that {words} holds out contain the class vessel"
    assert not find(parts, [0.3, 0, 0, 0.3])


def test_deformations_that_would_fold_are_a_warning():
    """10 pixels are a tenth of the distance between 3 points at 201 pixels."""
    assert not find(["training"] * 2, [0.3] * 2, "201x300")
    ((topic, _, text, remedy),) = find(["training"] * 2, [0.3] * 2, "101x300")
    assert topic == "Large elastic deformations"
    assert text == "augment.std 10 is more than 0.1 of the distance between control points in 2 training images"
    assert remedy == "set augment: {std: 5}"
    assert not find(["training"] * 2, [0.3] * 2, "101x300", Augment(std=5))
    assert not find(["training"] * 2, [0.3] * 2, "101x300", Augment(copies=0))
