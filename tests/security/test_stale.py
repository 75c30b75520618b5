"""Replaced input is detected, even if the new files are older. No job runs."""

import os
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
PREDICTED = {"infer", "instances"}
IMAGES = ("images/a.tif", "images/b.zarr/c/0/0", "images/c.mhd", "images/c.raw")
MODEL = ("model/fold-0/model.json", "model/fold-0/model.safetensors", "model/fold-0/golden.safetensors",
         "model/fold-0/instances.json")  # fmt: skip
SHEET = "sample\timage\tsubset\na\timages/a.tif\tpredict\nb\timages/b.zarr\tpredict\nc\timages/c.mhd\tpredict\n"


@pytest.fixture(scope="module", params=["a sheet", "a folder"])
def finished(request, tmp_path_factory, snakemake):
    """Return a folder whose predictions look finished to Snakemake, and a function that returns the planned rules."""
    folder = tmp_path_factory.mktemp("finished")
    for name in (*IMAGES, *MODEL):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("content", encoding="utf-8")
    (folder / "s.tsv").write_text(SHEET, encoding="utf-8")
    arguments = ["--config", "model=model", "sheet=s.tsv" if request.param == "a sheet" else "images=images"]

    def output() -> str:
        done = snakemake(folder, "--dry-run", *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def planned() -> set[str]:
        return set(re.findall(r"^(?:local)?rule (\w+):\n", output(), re.MULTILINE)) - {"default"}

    for outputs in re.findall(r"^    output: (.*)$", output(), re.MULTILINE):
        for path in map(folder.joinpath, outputs.split(", ")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir(exist_ok=True)
    done = snakemake(folder, "--cores", "1", "--touch", "--forceall", *arguments)
    assert done.returncode == 0, done.stdout
    assert planned() == set()
    return folder, planned


def replace_by_older(path: Path, text: str) -> None:
    """Replace a file by an older one, as `cp -p`, tar and rsync do."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, (10**9, 10**9))


@pytest.mark.parametrize("text", ["another", "longer than before"], ids=["same size", "other size"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model/fold-0/model.safetensors", PREDICTED),
        ("model/fold-0/model.json", PREDICTED),
        ("model/fold-0/golden.safetensors", PREDICTED),
        ("model/fold-0/instances.json", PREDICTED),  # the probabilities are not kept
        ("images/a.tif", PREDICTED),
        ("images/b.zarr/c/0/0", PREDICTED),
        ("images/c.raw", PREDICTED),
    ],
)
def test_a_replacement_by_an_older_file_is_detected(name, text, expected, finished):
    folder, planned = finished
    before = (folder / name).stat()
    replace_by_older(folder / name, text)
    rules = planned()
    (folder / name).write_text("content", encoding="utf-8")
    os.utime(folder / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert rules == expected
    assert planned() == set()


def test_a_new_image_and_a_new_fold_are_detected(finished):
    folder, planned = finished
    (folder / "images/d.tif").write_text("content", encoding="utf-8")
    sheet = (folder / "s.tsv").read_text(encoding="utf-8")
    (folder / "s.tsv").write_text(f"{sheet}d\timages/d.tif\tpredict\n", encoding="utf-8")
    rules = planned()
    assert rules - {"write_sheet"} == PREDICTED
    (folder / "images/d.tif").unlink()
    (folder / "s.tsv").write_text(sheet, encoding="utf-8")
    assert planned() == set()
    fold = folder / "model/fold-1"
    fold.mkdir()
    for name in MODEL:
        replace_by_older(fold / Path(name).name, "content")
    assert planned() == PREDICTED
    for path in fold.iterdir():
        path.unlink()
    fold.rmdir()


def test_a_model_folder_with_links_to_itself_is_read(finished):
    folder, planned = finished
    loop = folder / "model" / "loop"
    loop.symlink_to(folder / "model")
    (folder / "model/fold-0/loop").symlink_to(folder / "model")
    assert planned() == set()
    loop.unlink()
    (folder / "model/fold-0/loop").unlink()
