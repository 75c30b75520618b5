"""Bad files are refused before any computation, all at once. `tests/bad_input` tests every single fault."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from snakeseg.cli import main

pytestmark = pytest.mark.slow

HEADER = ["sample", "image", "label", "subset"]


def rows_of(*changed: list[str]) -> list[list[str]]:
    """Return a sheet of six good rows; changed rows replace the first ones."""
    good = [[f"s{i}", f"i{i}.tif", f"l{i}.tif", "train"] for i in range(6)]
    return [HEADER, *changed, *good[len(changed) :]]


@pytest.fixture
def refused(tmp_path, snakemake, write_run):
    """Return a function that runs six images with some changes, checks that the run fails, and returns its output."""

    def run(changes: dict | None = None, rows: list | None = None, spoil=lambda folder: None) -> str:
        rng = np.random.default_rng(0)
        for i in range(6):
            label = np.zeros((48, 48), np.uint16)
            label[8:20, 8:20], label[8:20, 24:40] = 1, 2
            tifffile.imwrite(tmp_path / f"i{i}.tif", (label * 60 + rng.integers(0, 30, label.shape)).astype(np.uint8))
            tifffile.imwrite(tmp_path / f"l{i}.tif", label)
        spoil(tmp_path)
        changes = {"simulate": None, "data": None, **(changes or {})}
        write_run(tmp_path, changes, rows_of() if rows is None else rows)
        done = snakemake(tmp_path, "--configfile", "config.yaml", "--cores", "1")
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stdout
        assert not (tmp_path / "results" / "small" / "prepared").exists()
        assert not (tmp_path / "results" / "small" / "check.tsv").exists()
        return done.stdout

    return run


def test_all_bad_files_are_reported_at_once(refused, tmp_path, monkeypatch, capsys):
    """One run reports six different faults in six rows, and `snakeseg status` repeats them."""

    def spoil(folder):
        (folder / "i0.tif").unlink()
        whole = (folder / "i1.tif").read_bytes()
        (folder / "i1.tif").write_bytes(whole[: len(whole) // 2])
        tifffile.imwrite(folder / "l2.tif", np.zeros((40, 40), np.uint16))
        tifffile.imwrite(folder / "i3.tif", np.full((48, 48), np.nan, np.float32))
        tifffile.imwrite(folder / "l4.tif", np.full((48, 48), 0.5, np.float32))
        Image.fromarray((np.indices((48, 48, 3))[2] * 9).astype(np.uint8)).save(folder / "i5.png")

    output = refused(rows=[*rows_of()[:-1], ["s5", "i5.png", "", "train"]], spoil=spoil)
    for name, fault in (
        ("i0.tif", "no such file"),
        ("i1.tif", "damaged"),
        ("l2.tif", "shape (40, 40)"),
        ("i3.tif", "NaN"),
        ("l4.tif", "float32"),
        ("i5.png", "3 channels"),
        ("s5", "no label"),
    ):
        assert any(name in line and fault in line and "expected" in line for line in output.splitlines()), (
            name,
            output,
        )
    monkeypatch.chdir(tmp_path)
    assert main(["status", "--json"]) == 1
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert (case["rule"], case["state"], case["cause"]) == ("check", "failed", "bad input")
    assert "i0.tif: found no such file" in case["lines"][0]
    assert case["lines"][-1] == "(and 1 more lines of this kind)"


def test_small_images_and_empty_labels_are_accepted(tmp_path, snakemake, write_run):
    """Images smaller than any tile, of different sizes, and empty labels are trained on and predicted."""
    rng = np.random.default_rng(0)
    for i, side in enumerate((7, 48, 33, 60, 21, 5)):
        label = np.zeros((side, side + 3), np.uint16)
        if i > 1:
            label[2:-2, 2:-2] = 1
        tifffile.imwrite(tmp_path / f"i{i}.tif", (label * 90 + rng.integers(0, 30, label.shape)).astype(np.uint8))
        tifffile.imwrite(tmp_path / f"l{i}.tif", label)
    write_run(tmp_path, {"simulate": None, "data": None, "folds": 2, "experiments": {}}, rows_of())
    done = snakemake(tmp_path, "--configfile", "config.yaml", "--cores", "1")
    assert done.returncode == 0, done.stdout
    summary = (tmp_path / "results" / "small" / "evaluation" / "summary.tsv").read_text(encoding="utf-8")
    dice = next(line.split("\t") for line in summary.splitlines() if "\tdice\t" in line)
    assert dice[3] == "6"
    assert dice[6] == "2"
