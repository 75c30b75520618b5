"""The learning-rate range test (Smith 2017, section 3.3)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from snakeseg.losses import Criterion
from snakeseg.optimiser import derive_seed, make_optimiser
from snakeseg.patches import Item, PatchPlan, prefetch
from snakeseg.progress import progress
from snakeseg.training import train_step

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 100
# A running average that exceeds its lowest value by this factor has diverged.
DIVERGED = 2.0


def range_test(
    network: nn.Module, items: Sequence[Item], plan: PatchPlan, criterion: Criterion, device: torch.device
) -> list[dict]:
    """Train a fresh network with a rate that rises by the same factor every step, until the loss diverges.

    Returns
    -------
    list of dict
        One per step: learning_rate, loss, smoothed (running average of the loss, corrected for its start).
    """
    plan = replace(plan, train=replace(plan.train, steps=STEPS, minutes=None))
    network.to(device, memory_format=torch.channels_last if items[0].target.ndim == 2 else torch.contiguous_format)
    optimiser = make_optimiser(network.train(), plan.train)
    found: list[dict] = []
    running = 0.0
    batches = prefetch(items, plan)
    rates = np.geomspace(LOWEST, HIGHEST, STEPS)
    for step, rate in enumerate(progress(rates, STEPS, "learning rates")):
        torch.manual_seed(derive_seed(plan.train.seed, step))
        for group in optimiser.param_groups:
            group["lr"] = float(rate)
        try:
            loss = train_step(network, optimiser, next(batches), criterion, plan.train, device)
        except FloatingPointError:
            break
        running = 0.9 * running + 0.1 * loss
        found.append({"learning_rate": float(rate), "loss": loss, "smoothed": running / (1 - 0.9 ** (step + 1))})
        if found[-1]["smoothed"] > DIVERGED * min(row["smoothed"] for row in found):
            break
    batches.close()
    return found


def propose(found: Sequence[dict]) -> float:
    """The rate at which the smoothed loss falls fastest, per factor in the rate, before its lowest point."""
    smoothed = np.array([row["smoothed"] for row in found])
    lowest = int(smoothed.argmin())
    if lowest < 2:
        return found[0]["learning_rate"]
    return found[int(np.gradient(smoothed[: lowest + 1]).argmin())]["learning_rate"]
