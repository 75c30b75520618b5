"""Several processes that train one model: each takes its share of every batch, gradients are averaged.

gloo on CPUs, NCCL on GPUs, one process a GPU. Torch's own collectives are all it takes: patches are addressed by step
and rank, so there is no sampler to keep in step, and the state of a training is the same in every process.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from snakeseg.errors import STOP_SIGNALS, STOPPED, Interrupted


class Team(NamedTuple):
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1


ALONE = Team()


def run_together(processes: int, gpus: int, work: Callable, *arguments) -> None:
    """Call ``work(*arguments, team)`` in so many processes at once, in this one if it is alone; `gpus` 0 forbids those.

    Signals that ask for a stop are passed on. An exception in one ends all, and is raised here.
    """
    if processes == 1:
        work(*arguments, ALONE)
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = mp.start_processes(
        _join, (processes, gpus, port, work, arguments), nprocs=processes, join=False, start_method="spawn"
    )
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


def _join(rank: int, size: int, gpus: int, port: int, work: Callable, arguments: tuple) -> None:
    backend = "nccl" if gpus and torch.cuda.device_count() >= size else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(rank)
    dist.init_process_group(backend, init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
    try:
        work(*arguments, Team(rank, size))
    except Interrupted:
        sys.exit(STOPPED)
    finally:
        dist.destroy_process_group()


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
