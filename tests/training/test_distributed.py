"""Distributed training: processes that share a batch compute the same as one process with the whole batch."""

import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_process import end
from team_training import SETTINGS, WORLD, launch, make_items, run_team, train

from snakeseg.networks.geometry import uniform
from snakeseg.settings import Augment, Train
from snakeseg.training.distributed import ALONE, ProcessPosition, Team, launched_team, run_together
from snakeseg.training.patches import PatchPlan, sample_batch

pytestmark = pytest.mark.slow


def load(folder: Path, rank: int = 0) -> dict:
    """Load the losses and weights of a process."""
    return torch.load(folder / f"rank-{rank}.pt", weights_only=True)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> Path:
    """Train with two processes; return the folder of their losses and weights."""
    folder = tmp_path_factory.mktemp("two")
    run_team(WORLD, 0, None, train, folder, None)
    return folder


def test_two_processes_give_the_results_of_one(two_processes, tmp_path):
    """In float64 over 20 steps with gloo, losses agree to 1e-5 and weights to 1e-6."""
    run_team(1, 0, None, train, tmp_path, None)
    single, first, second = load(tmp_path), load(two_processes), load(two_processes, 1)
    assert len(single["losses"]) == 20
    np.testing.assert_allclose(first["losses"], single["losses"], rtol=0, atol=1e-5)
    for name, tensor in single["weights"].items():
        torch.testing.assert_close(first["weights"][name], tensor, rtol=0, atol=1e-6)
    assert second["losses"] == first["losses"]
    assert all(torch.equal(second["weights"][name], tensor) for name, tensor in first["weights"].items())


@pytest.mark.parametrize("size", [1, 2, 4])
def test_shares_add_up_to_the_batch(size):
    """All patches of the batch are drawn once, for any number of processes."""
    items, plan = make_items(), PatchPlan(SETTINGS, Augment(), uniform(2, halo=0, multiple=1))
    for step in range(3):
        shares = [sample_batch(items, plan, step, rank, size) for rank in range(size)]
        whole = sample_batch(items, plan, step)
        for parts, expected in zip(zip(*shares, strict=True), whole, strict=True):
            np.testing.assert_array_equal(np.concatenate(parts), expected)
    different = {sample_batch(items, plan, step).image.tobytes() for step in range(3)}
    assert len(different) == 3


def test_an_error_in_one_process_ends_all(tmp_path):
    with pytest.raises(Exception, match="rank 1 fails"):
        run_team(WORLD, 0, None, train, tmp_path, 1)


def test_a_single_process_starts_no_others():
    calls = []
    run_together(1, 0, None, lambda *arguments: calls.append(arguments), "x")
    assert calls == [("x", ALONE)]
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
def test_processes_of_a_launcher_give_the_same_results(two_processes, tmp_path, launcher):
    """`torchrun` and `srun` are simulated by the environment variables that they set."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in map(str, range(WORLD)):
        if launcher == "torchrun":
            variables = TORCHRUN | {
                "MASTER_PORT": str(port),
                "RANK": rank,
                "LOCAL_RANK": rank,
                "WORLD_SIZE": str(WORLD),
            }
        else:
            variables = SRUN | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank}
        children.append(launch(train, variables, tmp_path, tmp_path / "theirs", None))
    assert [end(child) for child in children] == [0, 0]
    for rank in range(WORLD):
        expected, state = load(two_processes, rank), load(tmp_path / "theirs", rank)
        assert expected["losses"] == state["losses"]
        assert all(torch.equal(expected["weights"][name], state["weights"][name]) for name in expected["weights"])


def test_launchers_are_recognised_by_their_environment(monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "somewhere")  # not sufficient on its own
    assert launched_team() is None
    slurm = {"PROCID": 3, "LOCALID": 1, "STEP_NUM_TASKS": 4, "STEP_NUM_NODES": 2}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    assert launched_team() == (Team(3, 4), ProcessPosition(1, 2, None))
    for processes in (1, 2):
        with pytest.raises(ValueError, match=rf"train\.processes: found {processes}, but 4 started processes"):
            run_together(processes, 0, None, train, None, None)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert launched_team() is None
