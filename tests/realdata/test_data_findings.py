"""Findings on the real data sets: only true near duplicates are reported, not neighbouring sections of a stack."""

import numpy as np
import pandas as pd
import pytest
import yaml

from snakeseg.checks.findings.label_kind import label_kind_findings
from snakeseg.checks.findings.leakage import MIN_REPORTED_CORRELATION, leakage_findings
from snakeseg.checks.findings.table import build_facts_table
from snakeseg.checks.image_facts import decoded, image_facts
from snakeseg.checks.input import check_input
from snakeseg.checks.inspect import inspect_rows
from snakeseg.checks.near_duplicates import find_near_duplicates
from snakeseg.io.images import read
from snakeseg.io.sheet import SHEET_COLUMNS, assign_parts, read_sheet
from snakeseg.settings import Labels, build_section

pytestmark = [pytest.mark.realdata, pytest.mark.slow]


def read_example(repository, realdata, name):
    config = yaml.safe_load((repository / f"config/examples/{name}.yaml").read_text(encoding="utf-8"))
    labels = build_section(Labels, config["labels"])
    return read_sheet(repository / config["sheet"], realdata / name), 2, labels, config["validation"]


def read_volumes(realdata):
    """Read sixty volumes to train on and twenty to test on."""
    rows = []
    for i, image in enumerate(sorted((realdata / "hippocampus/images").iterdir())):
        label = realdata / "hippocampus/labels" / image.name
        subset = "train" if i < 60 else "test"
        rows.append((image.name[:15], str(image), str(label), subset, image.name[:15], "b", 1, ""))
    labels = Labels("semantic", {"background": 0, "anterior": 1, "posterior": 2})
    return pd.DataFrame(rows, columns=SHEET_COLUMNS), 3, labels, []


@pytest.mark.parametrize(
    ("name", "duplicates"), [("isbi2012", set()), ("dsb2018", {"20b20ab04937 cb4df20a83b2"}), ("hippocampus", set())]
)
def test_only_true_near_duplicates_are_reported(realdata, repository, name, duplicates):
    """The pair shows two planes of one embryo, a step apart. All labels are of their declared kind."""
    data = read_volumes(realdata) if name == "hippocampus" else read_example(repository, realdata, name)
    sheet, dims, labels, validation = data
    facts, problems = inspect_rows(sheet, dims, labels)
    facts = pd.DataFrame(facts)
    assert problems + check_input(sheet, facts, 1, validation) == []
    # All rows count as training images, so that all pairs are compared.
    table = build_facts_table(sheet, facts, assign_parts(sheet, 1, validation)).assign(subset="train")
    assert {" ".join(finding.samples) for finding in leakage_findings(table, dims)} == duplicates
    assert list(label_kind_findings(table, labels)) == []


def test_the_limit_lies_between_neighbours_and_altered_copies(realdata):
    """The altered copies are flipped, noisy and pale."""
    sections = [read(realdata / f"isbi2012/train/images/{i:03d}.png", 2).array for i in range(24)]
    rng = np.random.default_rng(0)
    altered = [(255 * (s[:, ::-1] / 255.0) ** 0.6 + rng.normal(0, 15, s.shape)).astype(np.float32) for s in sections]
    signatures = [decoded(image_facts(image)["signature"]) for image in [*sections, *altered]]
    pairs, similarities = find_near_duplicates(np.stack(signatures), 2, 0.3)
    neighbours = similarities[pairs[:, 1] == pairs[:, 0] + 1]
    assert len(neighbours) > 10
    assert neighbours.max() < MIN_REPORTED_CORRELATION - 0.1
    copies, similarities = find_near_duplicates(np.stack(signatures), 2, MIN_REPORTED_CORRELATION)
    assert copies.tolist() == [[i, i + 24] for i in range(24)]
    assert similarities.min() > MIN_REPORTED_CORRELATION + 0.03
