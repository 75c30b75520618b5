"""The optimiser, its schedule, and the seed of a step."""

import hashlib

import numpy as np
import torch
from torch import nn

from snakeseg.settings import Train


def make_optimiser(network: nn.Module, settings: Train) -> torch.optim.Optimizer:
    """The paper's momentum gradient descent, or AdamW."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=settings.momentum, weight_decay=decay)
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(parameters, rate, weight_decay=decay)
    raise ValueError(f"train.optimiser {settings.optimiser!r}; expected sgd or adamw")


def learning_rate_factor(settings: Train, done: float) -> float:
    """The schedule at a share `done` of the budget: 5 % of warm-up, then poly (power 0.9), cosine or constant."""
    step = 1 / settings.steps if settings.minutes is None else 0.001
    warm = min(1.0, (done + step) / max(step, 0.05))
    rest = 1 - min(done, 1.0)
    decay = {"poly": rest**0.9, "cosine": (1 - np.cos(np.pi * rest)) / 2, "constant": 1.0}
    return float(warm * decay[settings.schedule])


def derive_seed(seed: int, step: int) -> int:
    """A seed for what torch draws in a step (dropout), a function of the two numbers alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:7], "big")
