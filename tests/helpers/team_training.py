"""A small training of several processes, in a module that each of them can import."""

import json
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import psutil
import torch
import torch.distributed as dist
from cli_process import CONTEXT

from snakeseg.errors import STOP_SIGNALS
from snakeseg.networks.unet import UNet, unet_geometry
from snakeseg.settings import Augment, Train, UNetSettings
from snakeseg.training.distributed import Team, broadcast_decision, broadcast_text, run_together
from snakeseg.training.loop import FitOptions, fit
from snakeseg.training.losses import weighted_cross_entropy
from snakeseg.training.patches import Item, PatchPlan

WORLD = 2
SETTINGS = Train(steps=20, batch=4, patch=12, precision="float32", optimiser="adamw", learning_rate=0.01)
NETWORK = UNetSettings(width=4, depth=1, dropout=0)


def make_items() -> list[Item]:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(3, 1, 30, 34)).astype(np.float32)
    return [Item(i, (i[0] > 0).astype(np.uint8), np.ones(i.shape[1:], np.float32)) for i in images]


def train(folder: Path, failing: int | None, team: Team) -> None:
    """Train, and write losses and weights of every rank into the folder."""
    if team.rank == failing:
        raise ValueError(f"rank {team.rank} fails")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = UNet(2, 1, 2, NETWORK).double()
    plan = PatchPlan(SETTINGS, Augment(), unet_geometry(2, NETWORK))
    history = fit(network, make_items(), plan, weighted_cross_entropy, torch.device("cpu"), FitOptions(team=team))
    folder.mkdir(parents=True, exist_ok=True)
    results = {"losses": [row["loss"] for row in history], "weights": network.state_dict()}
    torch.save(results, folder / f"rank-{team.rank}.pt")


def list_listeners(folder: Path, team: Team) -> None:
    """Write the addresses on which this process and its parent listen while the team is connected."""
    dist.barrier()
    processes = [psutil.Process(), psutil.Process().parent()]
    addresses = [c.laddr.ip for p in processes for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    (folder / f"listeners-{team.rank}.json").write_text(json.dumps(addresses), encoding="utf-8")
    dist.barrier()


class Bomb:
    """Object that creates a folder when unpickled."""

    def __init__(self, path: str):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def send_pickle(path: str, team: Team) -> None:
    """Send an object from rank 0, where the others expect a text."""
    if team.rank == 0:
        dist.broadcast_object_list([Bomb(path)], src=0)
    else:
        broadcast_text("", team)


def send_lengths(lengths: list[int], folder: Path, team: Team) -> None:
    """Announce texts of these lengths in bytes from rank 0, and write the errors of the other ranks."""
    errors = []
    for length in lengths:
        if team.rank == 0:
            dist.broadcast(torch.tensor(length), src=0)
        else:
            try:
                broadcast_text("", team)
            except ValueError as error:
                errors.append(str(error))
    (folder / f"errors-{team.rank}.json").write_text(json.dumps(errors), encoding="utf-8")


def share_texts(folder: Path, texts: list[str], team: Team) -> None:
    """Write the texts and the two decisions of rank 0 as every rank receives them."""
    received = [broadcast_text(text if team.rank == 0 else "", team) for text in texts]
    decisions = [broadcast_decision(team.rank == 0, team), broadcast_decision(team.rank != 0, team)]
    (folder / f"received-{team.rank}.json").write_text(json.dumps([received, decisions]), encoding="utf-8")


def run_team(*arguments) -> None:
    """Call `run_together`, and restore the signal handlers that it sets."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        run_together(*arguments)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def launch(work: Callable, environment: dict[str, str], meeting: Path, *arguments) -> ForkServerProcess:
    """Start one process of a team as a launcher does, by environment variables."""
    process = CONTEXT.Process(target=_launched, args=(work, environment, meeting, arguments))
    process.start()
    return process


def _launched(work: Callable, environment: dict[str, str], meeting: Path, arguments: tuple) -> None:
    os.environ.update(environment)
    run_together(WORLD, 0, meeting, work, *arguments)
