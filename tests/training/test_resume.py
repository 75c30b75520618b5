"""A training that is killed, as often as you like, ends in the same bits as one left alone."""

import csv
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli_process import end, start

from snakeseg.cli import main
from snakeseg.io.store import write_store

pytestmark = pytest.mark.slow
STEPS = 400
# Longer than a busy machine takes to send a signal to a training that has begun.
LONG = {"steps": 3000}
MEASURED = ("wait_seconds", "compute_seconds", "memory_mb")
SETTINGS = {
    "network": {"width": 3, "depth": 1, "normalisation": "batch", "dropout": 0.3},
    "train": {"steps": STEPS, "batch": 2, "patch": 24, "optimiser": "adamw", "learning_rate": 0.01},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Stores as the workflow leaves them, of six images, and their sheet."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    prepared, weights, rows = [], [], []
    for index in range(6):
        name = f"s{index}"
        objects = np.kron(rng.integers(0, 2, (5, 5)), np.ones((8, 8))).astype(np.int32)
        image = (objects + rng.normal(0, 0.3, objects.shape)).astype(np.float32)
        noted = {kind: {"path": name, "sha256": ""} for kind in ("image", "label")}
        noted |= {"statistics": None, "spacing": [1.0, 1.0]}
        arrays = {"image": image[None], "classes": objects.astype(np.uint8), "objects": objects}
        prepared.append((name, noted, arrays))
        weights.append((name, {}, {"weights": np.ones(objects.shape, np.float32)}))
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
    """What must not differ: the weights, and the history but for times and memory."""
    with open(output / "history.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    history = [{key: row[key] for key in row if key not in MEASURED} for row in rows]
    return hashlib.sha256((output / "model.safetensors").read_bytes()).hexdigest(), history


def newest(output):
    """Name of the newest state."""
    return max((path.name for path in output.glob("state/0*")), default="")


def heeds_signals(pid):
    """Whether a process has a handler of its own for SIGUSR1, as while it trains."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return bool(int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (signal.SIGUSR1 - 1) & 1)


def alone(data, output, changes=None):
    assert end(start(command(data, output, changes, seconds=1e6))) == 0
    return result(output)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimiser": "sgd", "select": "average"},
        {"select": "best", "clip": 1.0},
        {"precision": "float16", "foreground": 0.5},
    ],
    ids=str,
)
def test_killed_twenty_times(data, tmp_path, changes):
    """SIGKILL at random moments, while a state is written after every step."""
    expected = alone(data, tmp_path / "alone", changes)
    assert len(expected[1]) == STEPS
    arguments, log, kills, resumed = command(data, tmp_path / "killed", changes), tmp_path / "log", 0, 0
    rng = random.Random(0)
    while True:
        before = newest(tmp_path / "killed")
        child = start(arguments, log)
        if kills < 20:
            while kills % 5 and newest(tmp_path / "killed") == before:  # every fifth may be killed before it trains
                time.sleep(0.002)
            time.sleep(rng.uniform(0.0, 0.08))
            child.kill()
        code = end(child)
        resumed += "training goes on from step" in log.read_text(encoding="utf-8")
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
    assert kills == 20
    assert resumed >= 15
    assert result(tmp_path / "killed") == expected
    left = ["golden.safetensors", "history.tsv", "model.json", "model.safetensors"]
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == left


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_asked_to_stop(data, tmp_path, number):
    """A state is written at once, and the process ends with a code of its own."""
    expected = alone(data, tmp_path / "alone", LONG)
    output, log = tmp_path / "stopped", tmp_path / "log"
    for _ in range(3):
        child = start(command(data, output, LONG, seconds=1e6), log)
        while not heeds_signals(child.pid):  # before training proper, a signal does what it always does
            time.sleep(0.002)
        os.kill(child.pid, number)
        assert end(child) == 75
    assert end(start(command(data, output, LONG, seconds=1e6), log)) == 0
    assert "training goes on from step" in log.read_text(encoding="utf-8")
    assert result(output) == expected


def test_two_processes_are_stopped_and_go_on(data, tmp_path):
    """Through the command line, in processes that share the batch: SIGTERM to the first reaches all."""
    changes = {"processes": 2, "steps": 400}

    def run(output):
        return subprocess.Popen(
            [sys.executable, "-m", "snakeseg", *command(data, output, changes)], stderr=log.open("w")
        )

    log = tmp_path / "log"
    assert run(tmp_path / "alone").wait(120) == 0, log.read_text(encoding="utf-8")
    stopped = run(tmp_path / "stopped")
    while not list((tmp_path / "stopped").glob("state/0*")):
        assert stopped.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.02)
    stopped.terminate()
    assert stopped.wait(60) == 75, log.read_text(encoding="utf-8")
    assert "Traceback" not in log.read_text(encoding="utf-8")
    assert run(tmp_path / "stopped").wait(120) == 0, log.read_text(encoding="utf-8")
    assert "training goes on from step" in log.read_text(encoding="utf-8")
    assert result(tmp_path / "stopped") == result(tmp_path / "alone")


def test_processes_must_divide_the_batch(data, tmp_path, capsys):
    assert main(command(data, tmp_path / "model", {"processes": 3})) == 1
    assert "train.processes: found 3 for a batch of 2; expected a number that divides it" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_finished_training_is_not_repeated(data, tmp_path):
    expected = alone(data, tmp_path / "one")
    before = (tmp_path / "one" / "model.safetensors").stat().st_mtime_ns
    (tmp_path / "one" / "state").mkdir()  # as of a process that was killed after its last step
    (tmp_path / "one" / "state" / "000000400.safetensors").touch()
    assert end(start(command(data, tmp_path / "one", seconds=1e6))) == 0
    assert (tmp_path / "one" / "model.safetensors").stat().st_mtime_ns == before
    assert not (tmp_path / "one" / "state").exists()
    assert end(start(command(data, tmp_path / "one", {"seed": 1}, seconds=1e6))) == 0
    assert result(tmp_path / "one") != expected


def test_state_of_other_settings_is_not_gone_on_from(data, tmp_path):
    other = LONG | {"seed": 2}
    expected = alone(data, tmp_path / "alone", other)
    child = start(command(data, tmp_path / "other", LONG))
    while not newest(tmp_path / "other"):
        time.sleep(0.002)
    child.kill()
    end(child)
    refused = newest(tmp_path / "other")
    child = start(command(data, tmp_path / "other", other), tmp_path / "log")
    while "is not used" not in (tmp_path / "log").read_text(encoding="utf-8") or newest(tmp_path / "other") == refused:
        time.sleep(0.002)
    child.kill()
    end(child)
    assert end(start(command(data, tmp_path / "other", other), tmp_path / "log")) == 0
    assert "training goes on from step" in (tmp_path / "log").read_text(encoding="utf-8")
    assert result(tmp_path / "other") == expected


def test_other_weight_maps_are_another_training(data, tmp_path):
    """Same settings, another file: nothing of the old training is taken."""
    expected = alone(data, tmp_path / "model")
    changed = command(data, tmp_path / "model", seconds=1e6)
    maps = [(f"s{i}", {}, {"weights": np.full((40, 40), 1.0 + i, np.float32)}) for i in range(6)]
    write_store(tmp_path / "other.zarr.zip", maps)
    changed[changed.index("--weights") + 1] = str(tmp_path / "other.zarr.zip")
    assert end(start(changed)) == 0
    assert result(tmp_path / "model") != expected


def test_stop_file_ends_the_training_well(data, tmp_path):
    output = tmp_path / "early"
    child = start(command(data, output, {"steps": 100_000}))
    while not list(output.glob("state/[0-9]*")):
        time.sleep(0.01)
    (output / "stop").touch()
    assert end(child) == 0
    assert 0 < len(result(output)[1]) < 100_000
    assert not (output / "stop").exists()


def test_budget_of_minutes(data, tmp_path):
    """Two seconds of training, with the learning rate at its lowest in the end."""
    output = tmp_path / "timed"
    assert end(start(command(data, output, {"minutes": 2 / 60, "schedule": "poly"}, seconds=1e6))) == 0
    with open(output / "history.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    seconds = sum(float(row["wait_seconds"]) + float(row["compute_seconds"]) for row in rows)
    assert seconds >= 2
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates[-1] < 0.2 * max(rates)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False).returncode:
        pytest.skip("no right to mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(path):
    """Write until there is no space."""
    try:
        with open(path, "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
    except OSError:
        pass


def test_full_disk(data, small_disk, tmp_path):
    """The training ends with a clear error, its last state whole, and goes on from there when there is space again."""
    expected = alone(data, tmp_path / "alone")
    output, log = small_disk / "model", tmp_path / "log"
    child = start(command(data, output), log)
    while not list(output.glob("state/0*")):
        time.sleep(0.01)
    fill(small_disk / "filler")
    assert end(child) == 1
    said = log.read_text(encoding="utf-8")
    assert "error: " in said
    assert re.search(r"state: found .*[Nn]o space left.*; expected .* MB .*; free some space and run again", said)
    assert "Traceback" not in said
    assert list(output.glob("state/0*"))
    (small_disk / "filler").unlink()
    assert end(start(command(data, output), log)) == 0
    assert "training goes on from step" in log.read_text(encoding="utf-8")
    assert result(output) == expected


def test_sizes_that_were_left_open_are_settled_and_noted(data, tmp_path):
    """Told in the log, kept in the model; no other weights than with the same sizes given."""
    log = tmp_path / "log"
    few = {"steps": 5, "precision": "float32"}
    assert end(start(command(data, tmp_path / "auto", {**few, "patch": "auto", "batch": "auto"}), log)) == 0
    chosen = json.loads((tmp_path / "auto/model.json").read_text(encoding="utf-8"))["provenance"]["train"]
    assert f"patch {chosen['patch']}, batch {chosen['batch']} take" in log.read_text(encoding="utf-8")
    given = {**few, "patch": chosen["patch"], "batch": chosen["batch"]}
    assert alone(data, tmp_path / "given", given) == result(tmp_path / "auto")


def test_events_and_mapped_images_change_no_weights(data, tmp_path):
    more = {"steps": 20, "tensorboard": True, "cache_gb": 0}
    assert end(start(command(data, tmp_path / "more", more))) == 0
    assert result(tmp_path / "more") == alone(data, tmp_path / "plain", {"steps": 20})
    assert len(list((tmp_path / "more/events").iterdir())) == 1
    assert not [path for path in tmp_path.iterdir() if path.name not in ("more", "plain")]


def test_the_range_test_leaves_a_figure_and_a_table(data, tmp_path, capsys):
    arguments = ["learning-rate", *command(data, tmp_path / "found.png")[1:]]
    assert main(arguments) == 0
    told = re.search(r"learning rate (\S+) proposed, 0.01 set", capsys.readouterr().err)
    assert 1e-6 < float(told[1]) < 10
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")
    with open(tmp_path / "found.tsv", encoding="utf-8", newline="") as file:
        assert list(next(csv.DictReader(file, delimiter="\t"))) == ["learning_rate", "loss"]
