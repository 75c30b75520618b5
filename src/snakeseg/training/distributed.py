"""Several processes that train one model: each takes its share of every batch, gradients are averaged.

gloo on CPUs, NCCL on GPUs, one process a GPU. Torch's own collectives are all it takes: patches are addressed by step
and rank, so there is no sampler to keep in step, and the state of a training is the same in every process.
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

from snakeseg.errors import STOP_SIGNALS, STOPPED, BadInput, Interrupted
from snakeseg.progress import tell
from snakeseg.training.rendezvous import (
    LOOPBACK,
    address_towards,
    open_store,
    private_folder,
    step_file,
    use_loopback,
)


class Team(NamedTuple):
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1


ALONE = Team()
# What torchrun sets.
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
MAX_TEXT_BYTES = 4096


class Place(NamedTuple):
    """Where a process of a team was started: its number on its machine, the number of processes there, and the meeting.

    Processes meet at an address (under `torchrun`), in a file (those that this program starts), or as
    `snakeseg.training.rendezvous` lets them meet under `srun` (None).
    """

    local_rank: int
    local_size: int
    meeting: str | Path | None


def launched() -> tuple[Team, Place] | None:
    """The team that this process was started into by `torchrun`, or by `srun` on one node or several; else None."""
    if all(name in os.environ for name in ("MASTER_ADDR", "MASTER_PORT", *TORCHRUN)):
        rank, size, local_rank, local_size = (int(os.environ[name]) for name in TORCHRUN)
        meeting = f"tcp://{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    elif int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        rank, size, local_rank, nodes = (
            int(os.environ[f"SLURM_{name}"]) for name in ("PROCID", "STEP_NUM_TASKS", "LOCALID", "STEP_NUM_NODES")
        )
        local_size, meeting = -(-size // nodes), None
    else:
        return None
    return Team(rank, size), Place(local_rank, local_size, meeting)


def run_together(processes: int, gpus: int, folder: Path | None, work: Callable, *arguments) -> None:
    """Call ``work(*arguments, team)`` in `processes` processes at once, in this one if it is alone.

    If this process was started as one of them, it takes its place; otherwise it starts them, passes on signals that ask
    for a stop, and raises the first exception in any, which ends all.

    Parameters
    ----------
    processes : int
    gpus : int
        0 forbids their use.
    folder : path
        Where processes that `srun` started find each other; all machines can read it.
    work : callable
    """
    started = launched()
    if started and started[0].size != processes:
        raise ValueError(
            f"train.processes: found {processes}, but {started[0].size} were started; make the two numbers equal"
        )
    if processes == 1:
        work(*arguments, ALONE)
    elif started:
        _join(0, Start(*started, gpus, folder), work, arguments)
    else:
        with private_folder() as private:
            place = Place(0, processes, private / "store")
            _start(Start(Team(0, processes), place, gpus, folder), work, arguments)


class Start(NamedTuple):
    """How the processes of a team start here: the first one's rank and place, and what `run_together` was given."""

    first: Team
    place: Place
    gpus: int
    folder: Path | None


def _start(start: Start, work: Callable, arguments: tuple) -> None:
    """Start all processes of a team on this machine, and wait for their end."""
    size = start.first.size
    context = mp.start_processes(_join, (start, work, arguments), nprocs=size, join=False, start_method="spawn")
    for number in STOP_SIGNALS:
        signal.signal(number, lambda received, frame: _pass_on(received, context.pids()))
    try:
        while not context.join():
            pass
    except mp.ProcessExitedException as error:
        if error.exit_code == STOPPED:
            raise Interrupted("training stopped by a signal; run again to go on from there") from error
        raise
    except mp.ProcessRaisedException as error:
        raise ValueError(str(error).strip().splitlines()[-1].partition(": ")[2]) from error


def _pass_on(number: int, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _join(number: int, start: Start, work: Callable, arguments: tuple) -> None:
    """Work as process `number` of those that start here."""
    place, team = start.place, Team(start.first.rank + number, start.first.size)
    backend = "nccl" if start.gpus and torch.cuda.device_count() >= place.local_size else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(place.local_rank + number)
    _connect(backend, team, place, start.folder)
    try:
        work(*arguments, team)
    except Interrupted as stop:
        tell(stop)
        sys.exit(STOPPED)
    finally:
        dist.destroy_process_group()


def _connect(backend: str, team: Team, place: Place, folder: Path | None) -> None:
    """Connect this process to the others of its team."""
    one_machine = place.local_size == team.size
    if one_machine:
        use_loopback()
    try:
        if isinstance(place.meeting, str):
            meeting = {"init_method": place.meeting}
        elif place.meeting:
            meeting = {"store": dist.FileStore(str(place.meeting), team.size)}
        else:
            address = LOOPBACK if one_machine else address_towards(os.environ["SLURM_LAUNCH_NODE_IPADDR"])
            meeting = {"store": open_store(step_file(folder), *team, address)}
        dist.init_process_group(backend, rank=team.rank, world_size=team.size, **meeting)
    except RuntimeError as error:
        raise BadInput(
            "train.processes", f"no connection to the others ({str(error).splitlines()[0]})",
            f"{team.size} processes that reach each other over TCP",
            "look in the log for the error of the others, and run again",
        ) from error  # fmt: skip


def average_gradients(network: nn.Module, team: Team) -> None:
    """Replace every gradient by its mean over the team, in one message."""
    if team.size == 1:
        return
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= team.size
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def mean_of_all(values: list[float], team: Team, device: torch.device) -> list[float]:
    """The mean over the team of some numbers: everyone gets the same."""
    if team.size == 1:
        return values
    shared = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(shared)
    return (shared / team.size).tolist()


def agree(numbers: dict[str, int], team: Team, device: torch.device) -> dict[str, int]:
    """The smallest of the team's numbers, for all."""
    if team.size == 1:
        return numbers
    shared = torch.tensor(list(numbers.values()), device=device)
    dist.all_reduce(shared, dist.ReduceOp.MIN)
    return dict(zip(numbers, shared.tolist(), strict=True))


def first_says(text: str, team: Team) -> str:
    """Send a short text of rank 0 to all, as its length and its bytes in UTF-8; nothing is unpickled.

    Raises
    ------
    BadInput
        If it is longer than `MAX_TEXT_BYTES`.
    """
    if team.size == 1:
        return text
    device = _device_of_messages()
    content = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device)
    length = torch.tensor(len(content), device=device)
    dist.broadcast(length, src=0)
    if not 0 <= length.item() <= MAX_TEXT_BYTES:
        raise BadInput("rank 0", f"a text of {length.item()} bytes", f"at most {MAX_TEXT_BYTES}", "run again")
    if team.rank:
        content = torch.empty(length.item(), dtype=torch.uint8, device=device)
    dist.broadcast(content, src=0)
    return bytes(content.tolist()).decode()


def first_decides(decision: bool, team: Team) -> bool:
    """Return the decision of rank 0, whatever that of this process is."""
    if team.size == 1:
        return decision
    shared = torch.tensor(decision, dtype=torch.uint8, device=_device_of_messages())
    dist.broadcast(shared, src=0)
    return bool(shared.item())


def _device_of_messages() -> torch.device:
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
