"""A small training that several processes may share; its own module, so that they can import it."""

from pathlib import Path

import numpy as np
import torch

from snakeseg.losses import weighted_cross_entropy
from snakeseg.networks.unet import UNet, unet_geometry
from snakeseg.parallel import Team
from snakeseg.patches import Item, PatchPlan
from snakeseg.settings import Augment, Train, UNetSettings
from snakeseg.training import fit

WORLD = 2
SETTINGS = Train(steps=20, batch=4, patch=12, precision="float32", optimiser="adamw", learning_rate=0.01)
NETWORK = UNetSettings(width=4, depth=1, dropout=0)


def make_items() -> list[Item]:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(3, 1, 30, 34)).astype(np.float32)
    return [Item(i, (i[0] > 0).astype(np.uint8), np.ones(i.shape[1:], np.float32)) for i in images]


def train(folder: Path, failing: int | None, team: Team) -> None:
    """Leaves losses and weights of every rank in the folder."""
    if team.rank == failing:
        raise ValueError(f"rank {team.rank} fails")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = UNet(2, 1, 2, NETWORK).double()
    plan = PatchPlan(SETTINGS, Augment(), unet_geometry(NETWORK))
    history = fit(network, make_items(), plan, weighted_cross_entropy, torch.device("cpu"), team=team)
    folder.mkdir(parents=True, exist_ok=True)
    found = {"losses": [row["loss"] for row in history], "weights": network.state_dict()}
    torch.save(found, folder / f"rank-{team.rank}.pt")
