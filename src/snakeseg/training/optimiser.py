"""Optimiser, learning-rate schedule, loss scale, and the seed of a step."""

import hashlib
from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import nn

from snakeseg.settings import Train

# Number of steps without overflow after which the loss scale is doubled.
SCALE_GROWTH_STEPS = 2000
# Largest loss scale.
MAX_SCALE = 2.0**24
# Share of the budget in which the learning rate rises to its full value.
WARM_UP_SHARE = 0.05
# Warm-up step if the budget is in minutes, as a share of the budget.
MINUTES_STEP_SHARE = 0.001


def make_optimiser(network: nn.Module, settings: Train) -> torch.optim.Optimizer:
    """Make the optimiser of the parameters that require a gradient, with weight decay of convolution weights alone.

    Parameters
    ----------
    network : Module
    settings : Train
        `optimiser` is "sgd" (gradient descent with momentum, as in Ronneberger et al. 2015) or "adamw".

    Raises
    ------
    ValueError
        If `settings.optimiser` is unknown.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    # Biases and the parameters of normalisation layers have one axis.
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, settings.learning_rate, momentum=settings.momentum)
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(groups, settings.learning_rate)
    raise ValueError(f"train.optimiser: found {settings.optimiser!r}; expected sgd or adamw; correct train.optimiser")


def learning_rate_factor(settings: Train, done: float) -> float:
    """Return the learning rate as a factor of `train.learning_rate`.

    It rises linearly during warm-up, and decays as ``(1 - done)**0.9`` ("poly"), as a half cosine, or not at all.

    Parameters
    ----------
    settings : Train
        `schedule` is "poly", "cosine" or "constant".
    done : float
        Share of the budget that is spent, from 0 to 1.

    Returns
    -------
    float
        From 0 to 1.
    """
    step = 1 / settings.steps if settings.minutes is None else MINUTES_STEP_SHARE
    warm = min(1.0, (done + step) / max(step, WARM_UP_SHARE))
    rest = 1 - min(done, 1.0)
    decay = {"poly": rest**0.9, "cosine": (1 - np.cos(np.pi * rest)) / 2, "constant": 1.0}
    return float(warm * decay[settings.schedule])


@dataclass
class LossScale:
    """Factor of the loss in float16, so that small gradients do not vanish.

    It is halved if gradients overflow, and doubled after `SCALE_GROWTH_STEPS` steps without overflow.

    Attributes
    ----------
    value : float
        Power of two, at least 1.
    steps : float
        Number of steps since the last overflow or doubling.

    References
    ----------
    Micikevicius et al. 2018, Mixed precision training, section 3.2.
    """

    value: float = 2.0**16
    steps: float = 0.0

    def values(self) -> tuple[float, float]:
        """Return the attributes, as arguments of a new `LossScale`."""
        return astuple(self)

    def update(self, finite: bool) -> bool:
        """Update the scale after a step.

        Parameters
        ----------
        finite : bool
            Whether the gradients of the step were finite.

        Returns
        -------
        bool
            False if gradients overflowed at the lowest scale.
        """
        if not finite:
            self.value, self.steps = self.value / 2, 0.0
            return self.value >= 1  # below 1, the cause is not the scale
        self.steps += 1
        if self.steps == SCALE_GROWTH_STEPS:
            self.value, self.steps = min(2 * self.value, MAX_SCALE), 0.0
        return True


def derive_seed(seed: int, step: int) -> int:
    """Derive the seed of PyTorch's random numbers in a step (dropout) from the training's seed and the step's number.

    Parameters
    ----------
    seed : int
        `train.seed`.
    step : int
        Number of the step; -1 for the initial weights.

    Returns
    -------
    int
        From 0 to 2**56 - 1.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:7], "big")
