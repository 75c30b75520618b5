"""A training that is killed any number of times ends in the same bits as an uninterrupted one."""

import csv
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cli_process import end, start

from snakeseg.cli import main
from snakeseg.io.store import write_store

pytestmark = pytest.mark.slow
STEPS = 400
# Long enough to interrupt a running training in most cases; a training that ended before is repeated.
LONG = {"steps": 600}
ATTEMPTS = 30
MEASURED_COLUMNS = ("wait_seconds", "compute_seconds", "memory_mb")
SETTINGS = {
    "network": {"width": 3, "depth": 1, "normalisation": "batch", "dropout": 0.3},
    "train": {"steps": STEPS, "batch": 2, "patch": 24, "optimiser": "adamw", "learning_rate": 0.01},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write stores of six images, as the workflow does, and their sheet."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    prepared, weights, rows = [], [], []
    for index in range(6):
        name = f"s{index}"
        objects = np.kron(rng.integers(0, 2, (5, 5)), np.ones((8, 8))).astype(np.int32)
        image = (objects + rng.normal(0, 0.3, objects.shape)).astype(np.float32)
        attributes = {kind: {"path": name, "sha256": ""} for kind in ("image", "label")}
        attributes |= {"statistics": None, "spacing": [1.0, 1.0]}
        arrays = {"image": image[None], "classes": objects.astype(np.uint8), "objects": objects}
        prepared.append((name, attributes, arrays))
        weights.append((name, {}, {"border": np.ones(objects.shape, np.float32)}))
        rows.append(f"{name}\t{name}.tif\t{name}.tif\n")
    write_store(folder / "prepared.zarr.zip", prepared)
    write_store(folder / "weights.zarr.zip", weights)
    (folder / "samples.tsv").write_text("sample\timage\tlabel\n" + "".join(rows), encoding="utf-8")
    return folder


def command(data, output, changes=None, seconds=0.0):
    train = {**SETTINGS["train"], "state_seconds": seconds, **(changes or {})}
    return [
        "train", "--sheet", str(data / "samples.tsv"), "--data", str(data), "--fold", "0",
        "--prepared", str(data / "prepared.zarr.zip"), "--weights", str(data / "weights.zarr.zip"),
        "--settings", json.dumps({**SETTINGS, "train": train}), "--gpus", "0", "--threads", "1",
        "--output", str(output),
    ]  # fmt: skip


def result(output):
    """Return the reproducible results: a checksum of the weights, and the history without times and memory."""
    with open(output / "history.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    history = [{key: row[key] for key in row if key not in MEASURED_COLUMNS} for row in rows]
    return hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest(), history


def newest(output):
    """Return the name of the newest state file."""
    return max((path.name for path in output.glob("state/0*")), default="")


def handles_signals(child):
    """Return True if a process has a handler for SIGUSR1, as it has while it trains."""
    try:
        status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return bool(int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (signal.SIGUSR1 - 1) & 1)


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    """Return a function that gives the result of an uninterrupted training; each training runs once."""

    @cache
    def train(changes):
        output = tmp_path_factory.mktemp("uninterrupted")
        assert end(start(command(data, output, json.loads(changes), seconds=1e6))) == 0
        return result(output)

    return lambda changes=None: train(json.dumps(changes))


def interrupted(arguments, output, log, ready, interrupt):
    """Return the exit status of a training that is interrupted when ready; one that ended before is repeated."""
    for _ in range(ATTEMPTS):
        child = start(arguments, log)
        while not ready(child) and child.exitcode is None:
            time.sleep(0.002)
        with suppress(ProcessLookupError):
            interrupt(child)
        if code := end(child):
            return code
        shutil.rmtree(output)
    raise AssertionError(f"{ATTEMPTS} trainings ended before they were interrupted")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"select": "best", "clip": 1.0},
        {"optimiser": "sgd", "select": "average", "precision": "float16", "foreground": 0.5},
    ],
    ids=str,
)
def test_a_training_killed_twenty_times_gives_the_same_bits(data, uninterrupted, tmp_path, changes):
    """SIGKILL at random moments, while a state is written after every step."""
    expected = uninterrupted(changes)
    assert len(expected[1]) == STEPS
    output, log, kills, resumed = tmp_path / "killed", tmp_path / "log", 0, 0
    arguments, rng = command(data, output, changes), random.Random(0)
    while kills < 20:
        before = newest(output)
        child = start(arguments, log)
        # Every fifth process may be killed before it trains.
        while kills % 5 and newest(output) == before and child.exitcode is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.08))
        child.kill()
        code = end(child)
        resumed += "training goes on from step" in log.read_text(encoding="utf-8")
        if code == 0:  # it ended before it was killed
            assert result(output) == expected
            shutil.rmtree(output)
        else:
            assert code == -signal.SIGKILL
            kills += 1
    assert resumed >= 15
    assert end(start(arguments, log)) == 0
    assert result(output) == expected
    files = ["golden.safetensors", "history.tsv", "model.json", "model.safetensors"]
    assert sorted(path.name for path in output.iterdir()) == files


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_stop_signal_ends_a_training_that_resumes(data, uninterrupted, tmp_path, number):
    """A state is written at once, and the process ends with exit status 75."""
    output, log = tmp_path / "stopped", tmp_path / "log"
    arguments = command(data, output, LONG, seconds=1e6)
    for _ in range(3):  # before the first step, a signal has its usual effect
        assert interrupted(arguments, output, log, handles_signals, lambda child: os.kill(child.pid, number)) == 75
    assert end(start(arguments, log)) == 0
    assert "training goes on from step" in log.read_text(encoding="utf-8")
    assert result(output) == uninterrupted(LONG)


def test_two_processes_are_stopped_and_resume(data, tmp_path):
    """SIGTERM to the process of the command is forwarded to the processes that share the batch."""
    log = tmp_path / "log"

    def arguments(output):
        return command(data, output, {"processes": 2, "steps": 120})

    assert end(start(arguments(tmp_path / "alone"), log)) == 0, log.read_text(encoding="utf-8")
    stopped = tmp_path / "stopped"
    code = interrupted(arguments(stopped), stopped, log, lambda _: newest(stopped), lambda child: child.terminate())
    assert code == 75, log.read_text(encoding="utf-8")
    assert "Traceback" not in log.read_text(encoding="utf-8")
    assert end(start(arguments(stopped), log)) == 0, log.read_text(encoding="utf-8")
    assert "training goes on from step" in log.read_text(encoding="utf-8")
    assert result(tmp_path / "stopped") == result(tmp_path / "alone")


def test_processes_must_divide_the_batch(data, tmp_path, capsys):
    assert main(command(data, tmp_path / "model", {"processes": 3})) == 1
    assert (
        "train.processes: found 3 for a batch of 2; expected a number that divides train.batch"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "model").exists()


def test_a_finished_training_is_not_repeated(data, tmp_path):
    assert end(start(command(data, tmp_path / "one", seconds=1e6))) == 0
    expected = result(tmp_path / "one")
    before = (tmp_path / "one" / "model.safetensors").stat().st_mtime_ns
    (tmp_path / "one" / "state").mkdir()  # as a process leaves it that was killed after its last step
    (tmp_path / "one" / "state" / "000000400.safetensors").touch()
    assert end(start(command(data, tmp_path / "one", seconds=1e6))) == 0
    assert (tmp_path / "one" / "model.safetensors").stat().st_mtime_ns == before
    assert not (tmp_path / "one" / "state").exists()
    assert end(start(command(data, tmp_path / "one", {"seed": 1}, seconds=1e6))) == 0
    assert result(tmp_path / "one") != expected


def test_a_state_of_other_settings_is_not_used(data, uninterrupted, tmp_path):
    other, output, log = LONG | {"seed": 2}, tmp_path / "other", tmp_path / "log"
    assert (
        interrupted(command(data, output, LONG), output, log, lambda _: newest(output), lambda child: child.kill()) < 0
    )
    skipped, child = newest(output), start(command(data, output, other), log)
    while child.exitcode is None and (
        "is not used" not in log.read_text(encoding="utf-8") or newest(output) == skipped
    ):
        time.sleep(0.002)
    assert "is not used" in log.read_text(encoding="utf-8")
    child.kill()
    if end(child):
        assert end(start(command(data, output, other), log)) == 0
        assert "training goes on from step" in log.read_text(encoding="utf-8")
    assert result(output) == uninterrupted(other)


def test_other_weight_maps_start_another_training(data, tmp_path):
    """With the same settings and another file, the old training is not used."""
    assert end(start(command(data, tmp_path / "model", seconds=1e6))) == 0
    expected = result(tmp_path / "model")
    changed = command(data, tmp_path / "model", seconds=1e6)
    maps = [(f"s{i}", {}, {"border": np.full((40, 40), 1.0 + i, np.float32)}) for i in range(6)]
    write_store(tmp_path / "other.zarr.zip", maps)
    changed[changed.index("--weights") + 1] = str(tmp_path / "other.zarr.zip")
    assert end(start(changed)) == 0
    assert result(tmp_path / "model") != expected


def test_a_stop_file_ends_the_training(data, tmp_path):
    output = tmp_path / "early"
    child = start(command(data, output, {"steps": 100_000}))
    while not newest(output) and child.exitcode is None:
        time.sleep(0.01)
    (output / "stop").touch()
    assert end(child) == 0
    assert 0 < len(result(output)[1]) < 100_000
    assert not (output / "stop").exists()


def test_a_training_ends_after_its_budget_of_minutes(data, tmp_path):
    """After two seconds of training, the learning rate is at its lowest."""
    output = tmp_path / "timed"
    assert end(start(command(data, output, {"minutes": 2 / 60, "schedule": "poly"}, seconds=1e6))) == 0
    with open(output / "history.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    seconds = [float(row["wait_seconds"]) + float(row["compute_seconds"]) for row in rows]
    assert sum(seconds) >= 2
    rates, left = [float(row["learning_rate"]) for row in rows], max(0, 1 - sum(seconds[:-1]) / 2)
    assert rates[-1] < (left**0.9 + 0.1) * max(rates)  # the last step may start long before the end


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False).returncode:
        pytest.skip("no right to mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(path):
    """Write a file until the disk is full."""
    try:
        with open(path, "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
    except OSError:
        pass


def test_a_training_resumes_after_a_full_disk(data, uninterrupted, small_disk, tmp_path):
    """The training ends with an error and a valid last state, and resumes from it when there is space again."""
    output, log, filler = small_disk / "model", tmp_path / "log", small_disk / "filler"
    arguments = command(data, output, LONG)

    def ready(_):
        filler.unlink(missing_ok=True)
        return newest(output)

    assert interrupted(arguments, output, log, ready, lambda _: fill(filler)) == 1
    lines = log.read_text(encoding="utf-8")
    assert "error: " in lines
    assert re.search(r"state: found .*[Nn]o space left.*; expected .* MB .*; free disk space and run again", lines)
    assert "Traceback" not in lines
    assert newest(output)
    filler.unlink()
    assert end(start(arguments, log)) == 0
    assert "training goes on from step" in log.read_text(encoding="utf-8")
    assert result(output) == uninterrupted(LONG)


def test_automatic_sizes_are_logged_and_kept_in_the_model(data, uninterrupted, tmp_path):
    """The weights are those of a training with the same sizes in its config."""
    log = tmp_path / "log"
    few = {"steps": 5, "precision": "float32"}
    assert end(start(command(data, tmp_path / "auto", {**few, "patch": "auto", "batch": "auto"}), log)) == 0
    chosen = json.loads((tmp_path / "auto/model.json").read_text(encoding="utf-8"))["provenance"]["train"]
    assert f"patch {chosen['patch']}, batch {chosen['batch']} take" in log.read_text(encoding="utf-8")
    fixed = {**few, "patch": chosen["patch"], "batch": chosen["batch"]}
    assert uninterrupted(fixed) == result(tmp_path / "auto")


def test_events_and_mapped_images_do_not_change_the_weights(data, uninterrupted, tmp_path):
    changes = {"steps": 20, "tensorboard": True, "cache_gb": 0}
    assert end(start(command(data, tmp_path / "more", changes))) == 0
    assert result(tmp_path / "more") == uninterrupted({"steps": 20})
    assert len(list((tmp_path / "more/events").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["more"]


def test_the_range_test_writes_a_figure_and_a_table(data, tmp_path, capsys):
    arguments = ["learning-rate", *command(data, tmp_path / "rates.png")[1:]]
    assert main(arguments) == 0
    proposal = re.search(r"proposed learning rate: (\S+); configured: 0.01", capsys.readouterr().err)
    assert 1e-6 < float(proposal[1]) < 10
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")
    with open(tmp_path / "rates.tsv", encoding="utf-8", newline="") as file:
        assert list(next(csv.DictReader(file, delimiter="\t"))) == ["learning_rate", "loss"]
