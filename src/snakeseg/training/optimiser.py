"""The optimiser, its schedule, and the seed of a step."""

import hashlib
from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import nn

from snakeseg.settings import Train

PATIENCE = 2000


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


@dataclass
class LossScale:
    """What the loss is multiplied by in float16, so that small gradients do not vanish: halved whenever gradients
    overflow, doubled after `PATIENCE` steps without (Micikevicius et al. 2018, section 3.2)."""

    value: float = 2.0**16
    good: float = 0.0

    def values(self) -> tuple[float, float]:
        """To make it again from."""
        return astuple(self)

    def passed(self, finite: bool) -> bool:
        """Note whether the gradients of a step were numbers; False if there is no lower scale to go on with."""
        if not finite:
            self.value, self.good = self.value / 2, 0.0
            return self.value >= 1  # at 1 it is the gradients that are no numbers
        self.good += 1
        if self.good == PATIENCE:
            self.value, self.good = min(2 * self.value, 2.0**24), 0.0
        return True


def derive_seed(seed: int, step: int) -> int:
    """A seed for what torch draws in a step (dropout), a function of the two numbers alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:7], "big")
