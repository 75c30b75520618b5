"""Jobs that share a machine claim different GPUs."""

import multiprocessing
import os

import pytest

from snakeseg.devices import claim_gpus


def hold(count: int, pipe) -> None:
    """Claim GPUs, send the visible ones, and keep the claim until a message arrives."""
    claim_gpus(count)
    pipe.send(os.environ["CUDA_VISIBLE_DEVICES"])
    pipe.recv()


@pytest.fixture
def claim(tmp_path, monkeypatch):
    """Return a function that starts a process with a claim of visible GPUs, and returns those that remain visible."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    started = []

    def start(count: int, visible: str) -> str:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=hold, args=(count, theirs), daemon=True)
        process.start()
        started.append((process, ours))
        return ours.recv()

    def end(number: int) -> None:
        process, ours = started[number]
        ours.send("end")
        process.join()

    start.end = end
    yield start
    for process, _ in started:
        process.kill()
        process.join()


def test_every_process_claims_another_gpu_while_one_is_free(claim):
    assert [claim(1, "0,1,2") for _ in range(2)] == ["0", "1"]
    assert claim(2, "0,1,2") == "0,1,2"  # only one is free, so nothing changes
    assert claim(1, "0,1,2") == "2"  # released by the second process
    claim.end(1)
    assert claim(1, "0,1,2") == "1"
    assert claim(1, "0,1,2") == "0,1,2"


def test_gpus_of_a_scheduler_are_not_changed(claim):
    assert claim(1, "3") == claim(1, "3") == "3"
    assert claim(0, "0,1") == "0,1"
    assert claim(2, "0,1") == "0,1"
    assert claim(1, "") == ""


def test_gpus_that_cannot_be_claimed_are_no_error(claim, tmp_path):
    """If a lock file is a link, it is not opened, and the visible GPUs do not change."""
    target = tmp_path / "precious"
    for name in "012":
        (tmp_path / f"snakeseg-gpu-{name}.lock").symlink_to(target)
    assert claim(1, "0,1,2") == "0,1,2"
    assert not target.exists()
    assert claim(1, "../a,../b") == "../a,../b"


def test_lock_files_are_written_only_to_private_folders(claim, tmp_path, monkeypatch):
    tmp_path.chmod(0o777)
    claim(1, "0,1")
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".lock"]
