"""The learning-rate range test (Smith 2017, section 3.3)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from snakeseg.devices import autocast
from snakeseg.errors import BadInput
from snakeseg.networks.blocks import lay_out
from snakeseg.progress import progress
from snakeseg.training.loop import train_step
from snakeseg.training.losses import Criterion
from snakeseg.training.optimiser import LossScale, derive_seed, make_optimiser
from snakeseg.training.patches import Item, PatchPlan, draw_batch, prefetch

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 100
# Patches that every rate is tried on, besides those it is trained on: what one patch says of a rate, another denies.
JUDGES = 4
# A loss that exceeds the lowest by this factor has diverged.
DIVERGED = 2.0


def range_test(
    network: nn.Module, items: Sequence[Item], plan: PatchPlan, criterion: Criterion, device: torch.device
) -> list[dict]:
    """Train a fresh network with a rate that rises by the same factor every step, until the loss diverges.

    Returns
    -------
    list of dict
        One per step: learning_rate; loss, after the step, on the same few patches for all.

    Raises
    ------
    BadInput
        If the loss is no number, or runs away, at the lowest rates.
    """
    plan = replace(plan, train=replace(plan.train, steps=STEPS, minutes=None))
    lay_out(network, device)
    optimiser, scale = make_optimiser(network.train(), plan.train), LossScale()
    # After the last step's, so that none of them is trained on.
    judges = [draw_batch(items, plan, STEPS + index) for index in range(JUDGES)]
    found: list[dict] = []
    batches = prefetch(items, plan)
    for step, rate in enumerate(progress(np.geomspace(LOWEST, HIGHEST, STEPS), STEPS, "learning rates")):
        torch.manual_seed(derive_seed(plan.train.seed, step))
        for group in optimiser.param_groups:
            group["lr"] = float(rate)
        try:
            train_step(network, optimiser, next(batches), criterion, plan.train, device, scale=scale)
        except FloatingPointError:
            break
        loss = float(np.mean([_loss(network, judge, criterion, plan, device) for judge in judges]))
        found.append({"learning_rate": float(rate), "loss": loss})
        if not loss <= DIVERGED * min(row["loss"] for row in found):
            break
    batches.close()
    if len(found) < 10:
        raise BadInput(
            "the range test", f"a loss that is {found[-1]['loss'] if found else 'no number'} after {len(found)} steps",
            f"one that stays near its start at rates from {LOWEST}", "look at train.precision, loss and labels",
        )  # fmt: skip
    return found


@torch.no_grad()
def _loss(network: nn.Module, batch: Item, criterion: Criterion, plan: PatchPlan, device: torch.device) -> float:
    """As in training (with its dropout and the batch's own statistics), part by part, learning nothing."""
    image, target, weight = (torch.from_numpy(array).to(device) for array in batch)
    parts = min(plan.train.accumulate, len(image))
    kept = {name: value.clone() for name, value in network.named_buffers()}
    total = 0.0
    for i, t, w in zip(*(tensor.tensor_split(parts) for tensor in (image, target, weight)), strict=True):
        torch.manual_seed(0)
        with autocast(plan.train.precision, device):
            logits = network(i.to(next(network.parameters()).dtype))
        total += criterion(logits, t, w).item() * len(i) / len(image)
    for name, value in network.named_buffers():
        value.copy_(kept[name])
    return total


def propose(found: Sequence[dict]) -> float:
    """The rate at which the loss (averaged over five neighbours) falls fastest, before its lowest point."""
    losses = ndimage.uniform_filter1d([row["loss"] for row in found], 5, mode="nearest")
    lowest = int(losses.argmin())
    if lowest < 2:
        return found[0]["learning_rate"]
    return found[int(np.gradient(losses[: lowest + 1]).argmin())]["learning_rate"]
