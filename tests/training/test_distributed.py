"""Processes that share a batch do what one process does with all of it."""

import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_process import end
from team_training import SETTINGS, WORLD, launch, make_items, together, train

from snakeseg.networks.geometry import uniform
from snakeseg.settings import Augment, Train
from snakeseg.training.distributed import ALONE, Place, Team, launched, run_together
from snakeseg.training.patches import PatchPlan, draw_batch

pytestmark = pytest.mark.slow


def load(folder: Path, rank: int = 0) -> dict:
    """Losses and weights of a process."""
    return torch.load(folder / f"rank-{rank}.pt", weights_only=True)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> Path:
    """What a training of two processes leaves."""
    folder = tmp_path_factory.mktemp("two")
    together(WORLD, 0, None, train, folder, None)
    return folder


def test_two_processes_match_one(two_processes, tmp_path):
    """In float64 over 20 steps with gloo: the same losses to 1e-5, and the same weights."""
    together(1, 0, None, train, tmp_path, None)
    one, two, other = load(tmp_path), load(two_processes), load(two_processes, 1)
    assert len(one["losses"]) == 20
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    for name, tensor in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], tensor, rtol=0, atol=1e-6)
    assert other["losses"] == two["losses"]
    assert all(torch.equal(other["weights"][name], tensor) for name, tensor in two["weights"].items())


@pytest.mark.parametrize("size", [1, 2, 4])
def test_shares_are_the_batch(size):
    """All patches of the batch are drawn, none twice, whatever the number of processes."""
    items, plan = make_items(), PatchPlan(SETTINGS, Augment(), uniform(2, halo=0, multiple=1))
    for step in range(3):
        shares = [draw_batch(items, plan, step, rank, size) for rank in range(size)]
        whole = draw_batch(items, plan, step)
        for parts, expected in zip(zip(*shares, strict=True), whole, strict=True):
            np.testing.assert_array_equal(np.concatenate(parts), expected)
    different = {draw_batch(items, plan, step).image.tobytes() for step in range(3)}
    assert len(different) == 3


def test_an_error_in_one_ends_all(tmp_path):
    with pytest.raises(Exception, match="rank 1 fails"):
        together(WORLD, 0, None, train, tmp_path, 1)


def test_alone_needs_no_processes():
    seen = []
    run_together(1, 0, None, lambda *given: seen.append(given), "x")
    assert seen == [("x", ALONE)]
    assert Train().processes == 1


TORCHRUN = {"MASTER_ADDR": "127.0.0.1", "LOCAL_WORLD_SIZE": "2"}
SRUN = {
    "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1",
    "SLURM_STEP_NUM_NODES": "1",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_ID": "0",
}


@pytest.mark.parametrize("launcher", ["torchrun", "srun"])
def test_processes_started_by_a_launcher_do_what_ours_do(two_processes, tmp_path, launcher):
    """As `torchrun` and `srun` start them, by what they set in the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in map(str, range(WORLD)):
        if launcher == "torchrun":
            more = TORCHRUN | {"MASTER_PORT": str(port), "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": str(WORLD)}
        else:
            more = SRUN | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank}
        children.append(launch(train, more, tmp_path, tmp_path / "theirs", None))
    assert [end(child) for child in children] == [0, 0]
    for rank in range(WORLD):
        one, two = load(two_processes, rank), load(tmp_path / "theirs", rank)
        assert one["losses"] == two["losses"]
        assert all(torch.equal(one["weights"][name], two["weights"][name]) for name in one["weights"])


def test_launchers_are_known_by_what_they_set(monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "somewhere")  # alone it says nothing
    assert launched() is None
    slurm = {"PROCID": 3, "LOCALID": 1, "STEP_NUM_TASKS": 4, "STEP_NUM_NODES": 2}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    assert launched() == (Team(3, 4), Place(1, 2, None))
    for processes in (1, 2):
        with pytest.raises(ValueError, match=rf"train\.processes: found {processes}, but 4 were started"):
            run_together(processes, 0, None, train, None, None)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert launched() is None
