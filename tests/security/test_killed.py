"""Commands that are killed at random moments and run again leave the bytes of an undisturbed run, and nothing else."""

import hashlib
import json
import os
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cli_process import end, start
from made_run import CONFIG, make_run

from snakeseg.io import files
from snakeseg.io.files import atomic_file, atomic_folder
from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.settings import ContextSettings, Labels, Predict, Prepare

pytestmark = pytest.mark.slow
# Number of kills per command, fewer for slow commands; SNAKESEG_KILLS replaces each of them.
KILLS = {"prepare": 13, "evaluate": 10, "predict": 5, "report": 2}
SETTINGS = json.dumps({key: CONFIG[key] for key in ("spatial_dims", "labels", "folds", "validation")})
RUN = "results/made"
COMMANDS = {
    "prepare": ["prepare", "--sheet", "samples.tsv", "--data", ".", "--batch", "train-0000", "--output",
                f"{RUN}/prepared/train-0000.zarr.zip"],
    "predict": ["predict", "model", "volume.tif", "images/0003.png", "-o", "labels", "--keep-probabilities",
                "--skip-golden"],
    "evaluate": ["evaluate", "--sheet", "samples.tsv", "--data", ".", "--batch", "test-0000", "--experiment", "plain",
                 "--settings", SETTINGS, "--predictions", f"{RUN}/predictions/plain/test-0000", "--output",
                 f"{RUN}/evaluation/predictions/plain/test-0000"],
    "report": ["report", "--sheet", "samples.tsv", "--data", ".", "--run", RUN, "--settings", json.dumps(CONFIG),
               "--output", f"{RUN}/report.html"],
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Write a run's results with its report, a model, and a large image, not by the tested commands."""
    folder = tmp_path_factory.mktemp("made")
    before = Path.cwd()
    os.chdir(folder)
    make_run(folder)
    network = ContextSettings(width=1, dilations=[1])
    description = Description(2, 1, Labels("instance"), network, Prepare(), Predict(average=False, tile=512), None)
    save_model(folder / "model", description.make_network(), description, {})
    # Too large to be segmented in memory, so that a scratch array lies beside the labels.
    tifffile.imwrite(folder / "volume.tif", np.random.default_rng(0).integers(0, 255, (2100, 2100)).astype(np.uint8))
    os.chdir(before)
    return folder


def files_in(folder: Path) -> dict[str, str]:
    """Return the checksums of all files, also hidden ones; folders have an empty text."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def run_undisturbed(name: str, log: Path) -> float:
    """Run a command to its end; return its duration in seconds."""
    start_time = time.monotonic()
    assert end(start(COMMANDS[name], log)) == 0, log.read_text(encoding="utf-8")
    return time.monotonic() - start_time


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_leaves_the_same_files_when_run_again(name, inputs, tmp_path, monkeypatch):
    """The moment is drawn from the duration of the last complete run; a command that ended before it does not count."""
    shutil.copytree(inputs, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    log, rng, killed = tmp_path / "log", random.Random(name), 0
    kills = int(os.environ.get("SNAKESEG_KILLS", KILLS[name]))
    seconds = run_undisturbed(name, log)
    expected = files_in(Path())
    for _ in range(20 * kills):
        child = start(COMMANDS[name], log)
        time.sleep(rng.uniform(0, seconds))
        child.kill()
        killed += end(child) != 0
        seconds = run_undisturbed(name, log)
        assert files_in(Path()) == expected
        if killed == kills:
            return
    raise AssertionError(f"{killed} of {kills}")


def write_and_die(path: Path, folder: bool, written: int) -> None:
    """Begin to write in a forked process, which is killed before the end."""
    child = os.fork()
    if child == 0:
        files._temporary_names.cache_clear()  # as in a process that is not forked
        with (atomic_folder if folder else atomic_file)(path) as temporary:
            target = temporary / "part" if folder else temporary
            target.write_bytes(b"x" * written)
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)


@pytest.mark.parametrize("folder", [False, True], ids=["a file", "a folder"])
def test_leftovers_of_killed_processes_are_removed(folder, tmp_path):
    """The next process that writes the same name removes them; those of other names and of living processes stay."""
    for name in ("a.zarr", "other.zarr"):
        write_and_die(tmp_path / name, folder, 100)
    leftovers = sorted(path.name for path in tmp_path.iterdir())
    assert len(leftovers) == 2
    assert all(name.startswith(".part-") for name in leftovers)
    with (atomic_folder if folder else atomic_file)(tmp_path / "b.zarr") as living:
        write_and_die(tmp_path / "b.zarr", folder, 1)  # while the file of this process stays
        child = os.fork()
        if child == 0:
            files._temporary_names.cache_clear()
            for name in ("a.zarr", "b.zarr"):
                with (atomic_folder if folder else atomic_file)(tmp_path / name) as temporary:
                    (temporary / "whole" if folder else temporary).write_bytes(b"whole")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert living.exists()
        leftovers = sorted(path.name for path in tmp_path.iterdir() if path != living)
        assert leftovers[0].endswith(".other.zarr")
        assert leftovers[1:] == ["a.zarr", "b.zarr"]
