"""Distributed training: each process of a team computes its share of every batch, and gradients are averaged.

Processes communicate by gloo on CPUs and by NCCL on GPUs, with one process per GPU. Patches are a function of step and
rank, so no sampler has to be synchronised, and the training state is the same in every process.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from snakeseg.errors import EXIT_STOPPED, STOP_SIGNALS, BadInput, Interrupted
from snakeseg.progress import log
from snakeseg.training.rendezvous import (
    LOOPBACK,
    address_towards,
    open_store,
    private_folder,
    step_file,
    use_loopback,
)


class Team(NamedTuple):
    """Rank of this process, counted from 0, and the number of processes that train one model together."""

    rank: int = 0
    size: int = 1


ALONE = Team()
# Environment variables that torchrun sets, in the order in which `launched_team` reads them.
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
# Largest text that rank 0 sends, in bytes of UTF-8.
MAX_BROADCAST_BYTES = 4096


class ProcessPosition(NamedTuple):
    """Position of a process on its machine, and the rendezvous of its team.

    Parameters
    ----------
    local_rank : int
        Rank among the processes of this machine.
    local_size : int
        Number of processes of this machine.
    rendezvous : str, path or None
        Address of the rendezvous (under `torchrun`); file of the store (for processes that this program starts); or
        None for `snakeseg.training.rendezvous` (under `srun`).
    """

    local_rank: int
    local_size: int
    rendezvous: str | Path | None


def launched_team() -> tuple[Team, ProcessPosition] | None:
    """Return the team and place of a process that `torchrun` or `srun` started with others; None for any other."""
    if all(name in os.environ for name in ("MASTER_ADDR", "MASTER_PORT", *TORCHRUN)):
        rank, size, local_rank, local_size = (int(os.environ[name]) for name in TORCHRUN)
        rendezvous = f"tcp://{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    elif int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        rank, size, local_rank, nodes = (
            int(os.environ[f"SLURM_{name}"]) for name in ("PROCID", "STEP_NUM_TASKS", "LOCALID", "STEP_NUM_NODES")
        )
        local_size, rendezvous = -(-size // nodes), None
    else:
        return None
    return Team(rank, size), ProcessPosition(local_rank, local_size, rendezvous)


def run_together(processes: int, gpus: int, folder: Path | None, work: Callable, *arguments) -> None:
    """Call ``work(*arguments, team)`` in all processes of a team; a single process calls it itself.

    If `torchrun` or `srun` started this process as one of a team, it joins the others. Otherwise it starts the
    processes and forwards stop signals to them. An exception in any process ends all of them and is raised here.

    Parameters
    ----------
    processes : int
        Number of processes.
    gpus : int
        Number of GPUs; with 0, none is used.
    folder : path
        Folder on a file system of all machines, for the rendezvous of processes that `srun` started.
    work : callable
    *arguments

    Raises
    ------
    BadInput
        If another number of processes was started, or they cannot connect to each other.
    Interrupted
        If a signal stopped the processes that this one started.
    """
    started = launched_team()
    if started and started[0].size != processes:
        number = started[0].size
        raise BadInput(
            "train.processes", f"{processes}, but {number} started processes", "equal numbers",
            f"set train.processes to {number}, or start {processes} processes",
        )  # fmt: skip
    if processes == 1:
        work(*arguments, ALONE)
    elif started:
        _run_process(0, LocalTeam(*started, gpus, folder), work, arguments)
    else:
        with private_folder() as private:
            place = ProcessPosition(0, processes, private / "store")
            _start_processes(LocalTeam(Team(0, processes), place, gpus, folder), work, arguments)


class LocalTeam(NamedTuple):
    """Processes of a team that start on this machine.

    Parameters
    ----------
    first : Team
        Rank of the first of these processes, and the size of the team.
    place : Place
        Place of the first of these processes.
    gpus, folder
        Arguments of `run_together`.
    """

    first: Team
    place: ProcessPosition
    gpus: int
    folder: Path | None


def _start_processes(local: LocalTeam, work: Callable, arguments: tuple) -> None:
    """Start the training processes of this machine, and wait until all end; an error of one is raised."""
    size = local.first.size
    context = mp.start_processes(_run_process, (local, work, arguments), nprocs=size, join=False, start_method="spawn")
    for number in STOP_SIGNALS:
        signal.signal(number, lambda received, frame: _forward_signal(received, context.pids()))
    try:
        while not context.join():
            pass
    except mp.ProcessExitedException as error:
        if error.exit_code == EXIT_STOPPED:
            raise Interrupted("training stopped by a signal; run again to continue from there") from error
        raise
    except mp.ProcessRaisedException as error:
        raise ValueError(str(error).strip().splitlines()[-1].partition(": ")[2]) from error


def _forward_signal(number: int, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _run_process(number: int, local: LocalTeam, work: Callable, arguments: tuple) -> None:
    """Connect to the team and call `work`, as process `number` of those that start on this machine."""
    place, team = local.place, Team(local.first.rank + number, local.first.size)
    backend = "nccl" if local.gpus and torch.cuda.device_count() >= place.local_size else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(place.local_rank + number)
    _connect(backend, team, place, local.folder)
    try:
        work(*arguments, team)
    except Interrupted as stop:
        log(stop)
        sys.exit(EXIT_STOPPED)
    finally:
        dist.destroy_process_group()


def _connect(backend: str, team: Team, place: ProcessPosition, folder: Path | None) -> None:
    """Connect this process to the others of its team."""
    one_machine = place.local_size == team.size
    if one_machine:
        use_loopback()
    try:
        if isinstance(place.rendezvous, str):
            rendezvous = {"init_method": place.rendezvous}
        elif place.rendezvous:
            rendezvous = {"store": dist.FileStore(str(place.rendezvous), team.size)}
        else:
            address = LOOPBACK if one_machine else address_towards(os.environ["SLURM_LAUNCH_NODE_IPADDR"])
            rendezvous = {"store": open_store(step_file(folder), *team, address)}
        dist.init_process_group(backend, rank=team.rank, world_size=team.size, **rendezvous)
    except RuntimeError as error:
        raise BadInput(
            "train.processes", f"no connection to the other processes ({str(error).splitlines()[0]})",
            f"{team.size} processes that reach each other over TCP",
            "read the errors of the others in the log, and run again",
        ) from error  # fmt: skip


def average_gradients(network: nn.Module, team: Team) -> None:
    """Replace every gradient by its mean over the team, in place, with one all-reduce."""
    if team.size == 1:
        return
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= team.size
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def mean_of_all(values: list[float], team: Team, device: torch.device) -> list[float]:
    """Return the mean of each number over the team, the same in every process."""
    if team.size == 1:
        return values
    shared = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(shared)
    return (shared / team.size).tolist()


def minimum_of_all(numbers: dict[str, int], team: Team, device: torch.device) -> dict[str, int]:
    """Return the minimum of each number over the team, the same in every process."""
    if team.size == 1:
        return numbers
    shared = torch.tensor(list(numbers.values()), device=device)
    dist.all_reduce(shared, dist.ReduceOp.MIN)
    return dict(zip(numbers, shared.tolist(), strict=True))


def broadcast_text(text: str, team: Team) -> str:
    """Send a short text from rank 0 to all processes, as its length and its bytes in UTF-8; nothing is unpickled.

    Parameters
    ----------
    text : str
        Text of rank 0; that of other ranks is ignored.
    team : Team

    Returns
    -------
    str
        Text of rank 0.

    Raises
    ------
    BadInput
        If it is longer than `MAX_BROADCAST_BYTES`.
    """
    if team.size == 1:
        return text
    device = _communication_device()
    content = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device)
    length = torch.tensor(len(content), device=device)
    dist.broadcast(length, src=0)
    if not 0 <= length.item() <= MAX_BROADCAST_BYTES:
        found, expected = f"a text of {length.item()} bytes", f"at most {MAX_BROADCAST_BYTES} bytes"
        raise BadInput("rank 0", found, expected, "run the same command again")
    if team.rank:
        content = torch.empty(length.item(), dtype=torch.uint8, device=device)
    dist.broadcast(content, src=0)
    return bytes(content.tolist()).decode()


def broadcast_decision(decision: bool, team: Team) -> bool:
    """Return the decision of rank 0 in every process."""
    if team.size == 1:
        return decision
    shared = torch.tensor(decision, dtype=torch.uint8, device=_communication_device())
    dist.broadcast(shared, src=0)
    return bool(shared.item())


def _communication_device() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
