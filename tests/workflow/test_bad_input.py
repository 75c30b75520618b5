"""Bad input is refused before any compute, in one line that names file, found, expected and remedy."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from snakeseg.cli import main

pytestmark = pytest.mark.slow

HEADER = ["sample", "image", "label", "subset"]


def rows_of(*changed: list[str]) -> list[list[str]]:
    """A sheet of six good rows; changed rows replace the first ones."""
    good = [[f"s{i}", f"i{i}.tif", f"l{i}.tif", "train"] for i in range(6)]
    return [HEADER, *changed, *good[len(changed) :]]


@pytest.fixture
def refused(tmp_path, snakemake, write_run):
    """Run with six good images and some changes; returns the lines that complain."""

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


@pytest.mark.parametrize(
    ("changes", "rows", "words"),
    [
        ({"trian": {"steps": 3}}, None, ["unknown key 'trian'", "did you mean 'train'?"]),
        ({"train": {"step": 3}}, None, ["config.train", "'step'", "did you mean 'steps'?"]),
        ({"train": {"steps": "many"}}, None, ["config.train.steps", "'many'", "integer"]),
        ({"network": {"name": "unett"}}, None, ["config.network.name", "unett"]),
        ({"experiments": {"a": {"network": {"wdth": 8}}}}, None, ["experiments.a.network", "did you mean 'width'?"]),
        ({"sheet": "nowhere.tsv"}, None, ["nowhere.tsv", "no such file", "sheet"]),
        ({}, [HEADER], ["samples.tsv", "no rows", "add some"]),
        ({}, rows_of(["s1", "i0.tif", "l0.tif", "train"]), ["sample 's1' more than once", "rename one"]),
        ({}, rows_of(["../s0", "i0.tif", "l0.tif", "train"]), ["row 2", "sample '../s0'", "correct the cell"]),
        ({}, rows_of(["a/b", "i0.tif", "l0.tif", "train"]), ["row 2", "sample 'a/b'"]),
        ({}, rows_of(["s0", "i0.tif", "l0.tif", "trian"]), ["subset 'trian'", "train, test or predict"]),
        ({}, [[*HEADER, "grup"], ["s0", "i0.tif", "l0.tif", "train", "x"]], ["'grup'", "did you mean 'group'?"]),
    ],
    ids=[
        "key",
        "nested",
        "type",
        "network",
        "experiment",
        "sheet",
        "empty",
        "twice",
        "dots",
        "slash",
        "subset",
        "column",
    ],
)
def test_config_and_sheet(changes, rows, words, refused):
    output = refused(changes, rows)
    for word in words:
        assert word in output, output


def test_all_bad_files_are_reported_at_once(refused, tmp_path, monkeypatch, capsys):
    """Six rows, six different faults, one run; and `snakeseg status` says so once more."""

    def spoil(folder):
        (folder / "i0.tif").unlink()
        whole = (folder / "i1.tif").read_bytes()
        (folder / "i1.tif").write_bytes(whole[: len(whole) // 2])
        tifffile.imwrite(folder / "l2.tif", np.zeros((40, 40), np.uint16))
        tifffile.imwrite(folder / "i3.tif", np.full((48, 48), np.nan, np.float32))
        tifffile.imwrite(folder / "l4.tif", np.ones((48, 48), np.float32))
        Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(folder / "i5.png")

    output = refused(rows=[*rows_of()[:-1], ["s5", "i5.png", "", "train"]], spoil=spoil)
    for name, found in (
        ("i0.tif", "no such file"),
        ("i1.tif", "damaged"),
        ("l2.tif", "shape (40, 40)"),
        ("i3.tif", "NaN"),
        ("l4.tif", "float32"),
        ("i5.png", "3 channels"),
        ("s5", "no label"),
    ):
        assert any(name in line and found in line and "expected" in line for line in output.splitlines()), (
            name,
            output,
        )
    monkeypatch.chdir(tmp_path)
    assert main(["status", "--json"]) == 1
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert (case["rule"], case["state"], case["cause"]) == ("check", "failed", "bad input")
    assert "i0.tif: found no such file" in case["lines"][0]
    assert case["lines"][-1] == "(and 1 more lines like these)"


def test_unknown_class(refused):
    output = refused({"labels": {"kind": "semantic", "values": {"background": 0, "cell": 1}}})
    assert "l0.tif: found label values [2]; expected the classes" in output


def test_odd_but_good_images_run(tmp_path, snakemake, write_run):
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
    summary = (tmp_path / "results" / "small" / "evaluation" / "summary.tsv").read_text()
    dice = next(line.split("\t") for line in summary.splitlines() if "\tdice\t" in line)
    assert dice[3] == "6"
    assert dice[6] == "2"
