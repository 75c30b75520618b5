"""Jobs that run again in a run of ten thousand rows; a stand-in for the package writes empty files."""

import os
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROWS, BATCHES = 10_000, 127
STAND_IN = """#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = --output ] && : > "$2"; shift; done
"""
CONFIG = "name: many\nsheet: samples.tsv\n"


def write_sheet(folder: Path, train: int, test: int = 0) -> None:
    subsets = ["train"] * train + ["test"] * test
    rows = [f"cell-{i:05d}\ti{i}.tif\tl{i}.tif\t{subset}\n" for i, subset in enumerate(subsets)]
    (folder / "samples.tsv").write_text("sample\timage\tlabel\tsubset\n" + "".join(rows), encoding="utf-8")


@pytest.fixture(scope="module")
def many(tmp_path_factory, snakemake):
    """Prepare ten thousand images; return the folder, and a function that gives the batches to rerun, by rule."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text(STAND_IN, encoding="utf-8")
    (folder / "bin" / "python").chmod(0o755)
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "i5000.tif").write_text("an image", encoding="utf-8")
    write_sheet(folder, ROWS)

    def run(batches: int, *options: str) -> dict[str, list[str]]:
        targets = [f"results/many/prepared/train-{i:04d}.zarr.zip" for i in range(batches)]
        done = snakemake(
            folder, *targets, "--configfile", "config.yaml", "--cores", "1", *options, programs_first=folder / "bin"
        )
        assert done.returncode == 0, done.stdout
        batches_by_rule: dict[str, list[str]] = {}
        for text in re.split(r"^(?:local)?rule ", done.stdout, flags=re.MULTILINE)[1:]:
            batches_by_rule.setdefault(text.partition(":")[0], []).append(re.search(r"wildcards: batch=(\S+)", text)[1])
        return batches_by_rule

    first = run(BATCHES)
    assert {rule: len(batches) for rule, batches in first.items()} == {"inspect": BATCHES, "prepare": BATCHES}
    return folder, lambda batches=BATCHES: run(batches, "--dry-run")


def test_appended_rows_rerun_one_batch(many):
    folder, planned = many
    write_sheet(folder, ROWS + 10)
    assert planned() == {"inspect": ["train-0126"], "prepare": ["train-0126"]}


def test_rows_beyond_a_full_batch_start_another(many):
    folder, planned = many
    write_sheet(folder, ROWS + 120)
    expected = ["train-0126", "train-0127"]
    planned_batches = planned(BATCHES + 1)
    assert {rule: sorted(batches) for rule, batches in planned_batches.items()} == {
        "inspect": expected,
        "prepare": expected,
    }


def test_other_rows_and_a_touched_sheet_rerun_nothing(many):
    folder, planned = many
    write_sheet(folder, ROWS, test=10)
    assert planned() == {}


def test_a_changed_file_reruns_its_batch(many):
    folder, planned = many
    write_sheet(folder, ROWS)
    image, before = folder / "i5000.tif", (folder / "i5000.tif").stat()
    image.write_text("another image", encoding="utf-8")
    (batch,) = planned()["prepare"]
    image.write_text("an image", encoding="utf-8")  # tests may run in any order
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert batch == f"train-{64 + (5000 - 1024 - 2048) // 96:04d}"


def test_a_share_of_the_batches_can_be_predicted(many, snakemake):
    """With an existing model, `--batch predict=2/4` is the second quarter of the images."""
    folder, _ = many
    write_sheet(folder, 0, test=ROWS)
    (folder / "model").mkdir()
    (folder / "model" / "model.json").write_text("{}", encoding="utf-8")
    share = ["--batch", "predict=2/4", "--config", "sheet=samples.tsv", "model=model"]
    done = snakemake(folder, "predict", *share, "--dry-run", "--quiet", "rules")
    assert set(re.findall(r"^infer +(\d+)$", done.stdout, re.MULTILINE)) == {"32"}, done.stdout
