"""A user's own files: what is done again when one of them changes, and what is not. Nothing is computed."""

import os
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# Two batches to train on, two to predict.
BATCHES = {"a": ("s0", "s1"), "b": ("s2", "s3"), "c": ("s4",), "d": ("s5",)}
ROWS = [["sample", "image", "label", "subset", "batch"]] + [
    [sample, f"{sample}.tif", f"{sample}-label.tif", "train" if batch in "ab" else "test", batch]
    for batch, samples in BATCHES.items()
    for sample in samples
]
TABLES = {"check", "summarise", "compare", "report"}
# Of the one batch alone.
PREDICTED = TABLES | {f"{rule} c" for rule in ("inspect", "infer", "instances", "evaluate")}
# `prepare` and `augment` of the one; balanced classes weigh those of all; then the training, and all that it predicts.
TRAINED = (
    TABLES
    | {"statistics", "train", "measure", "validate", "tune", "weigh a", "weigh b", "infer c", "infer d"}
    | {f"{rule} a" for rule in ("inspect", "prepare", "augment")}
    | {f"{rule} {part}" for rule in ("instances", "evaluate") for part in ("c", "d", "fold-0")}
)


@pytest.fixture(scope="module")
def again(tmp_path_factory, snakemake, write_run):
    """The files of a run that Snakemake takes for finished, and a function that tells the jobs to be done again."""
    folder = tmp_path_factory.mktemp("own")
    write_run(folder, {"data": "own", "simulate": None, "experiments": {"plain": {}}}, ROWS)
    (folder / "own").mkdir()
    for _, image, label, *_ in ROWS[1:]:
        (folder / "own" / image).write_text("an image", encoding="utf-8")
        (folder / "own" / label).write_text("a label", encoding="utf-8")
    asked = ["--configfile", "config.yaml", "--cores", "1"]

    def said() -> str:
        done = snakemake(folder, *asked, "--dry-run")
        assert done.returncode == 0, done.stdout
        return done.stdout

    def planned() -> set[str]:
        """Rules, with the batch or part of those that have one."""
        blocks = re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)+)", said(), re.MULTILINE)
        parts = [re.search(r"wildcards: .*?(?:batch|part)=([^,\n]+)", text) for _, text in blocks]
        return {f"{rule} {part[1]}" if part else rule for (rule, _), part in zip(blocks, parts, strict=True)}

    for outputs in re.findall(r"^    output: (.*)$", said(), re.MULTILINE):
        for path in map(folder.joinpath, outputs.split(", ")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir(exist_ok=True)
    done = snakemake(folder, *asked, "--touch", "--forceall")
    assert done.returncode == 0, done.stdout
    return folder / "own", planned


def touched(path: Path) -> None:
    path.touch()


def other_bytes(path: Path) -> None:
    """As old as before."""
    before = path.stat()
    path.write_text("another image", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("s4.tif", touched, PREDICTED),
        ("s4.tif", other_bytes, PREDICTED),
        ("s4-label.tif", touched, PREDICTED),
        ("s0.tif", touched, TRAINED),
        ("s0-label.tif", other_bytes, TRAINED),
    ],
)
def test_a_changed_file_reruns_what_hangs_on_it(name, change, expected, again):
    data, planned = again
    path, before = data / name, (data / name).stat()
    text = path.read_text(encoding="utf-8")
    change(path)
    found = planned()
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert found - {"default"} == expected


def test_files_put_back_as_they_were_rerun_nothing(again):
    _, planned = again
    assert planned() == set()
