"""The learning-rate range test (Smith 2017, section 3.3)."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from snakeseg.devices import autocast
from snakeseg.errors import BadInput
from snakeseg.networks.blocks import lay_out
from snakeseg.progress import progress
from snakeseg.training.losses import Criterion
from snakeseg.training.optimiser import LossScale, derive_seed, make_optimiser
from snakeseg.training.patches import Item, PatchPlan, draw_batch, prefetch
from snakeseg.training.step import Learner, train_step

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
    # One process takes the whole batch of a team, in as many parts more.
    parts = plan.train.accumulate * plan.train.processes
    settings = replace(plan.train, steps=STEPS, minutes=None, accumulate=parts)
    plan = replace(plan, train=settings)
    lay_out(network, device)
    learner = Learner(network, make_optimiser(network.train(), settings), criterion, settings, device)
    found: list[dict] = []
    for rate, loss in _losses(learner, items, plan):
        found.append({"learning_rate": rate, "loss": loss})
        if not loss <= DIVERGED * min(row["loss"] for row in found):
            break
    if len(found) < 10:
        raise BadInput(
            "the range test", f"a loss that is {found[-1]['loss'] if found else 'no number'} after {len(found)} steps",
            f"one that stays near its start at rates from {LOWEST}", "look at train.precision, loss and labels",
        )  # fmt: skip
    return found


def _losses(learner: Learner, items: Sequence[Item], plan: PatchPlan) -> Iterator[tuple[float, float]]:
    """Yield each learning rate with the loss after a step with it, until the loss is no number."""
    # After the last step's, so that none of them is trained on.
    judges = [draw_batch(items, plan, STEPS + index) for index in range(JUDGES)]
    scale = LossScale()
    with closing(prefetch(items, plan)) as batches:
        for step, rate in enumerate(progress(np.geomspace(LOWEST, HIGHEST, STEPS), STEPS, "learning rates")):
            torch.manual_seed(derive_seed(plan.train.seed, step))
            for group in learner.optimiser.param_groups:
                group["lr"] = float(rate)
            try:
                train_step(learner, next(batches), scale)
            except FloatingPointError:
                return
            yield float(rate), float(np.mean([_loss(learner, judge) for judge in judges]))


@torch.no_grad()
def _loss(learner: Learner, batch: Item) -> float:
    """As in training (with its dropout and the batch's own statistics), part by part, learning nothing."""
    network, settings, device = learner.network, learner.settings, learner.device
    image, target, weight = (torch.from_numpy(array).to(device) for array in batch)
    parts = min(settings.accumulate, len(image))
    kept = {name: value.clone() for name, value in network.named_buffers()}
    total = 0.0
    for i, t, w in zip(*(tensor.tensor_split(parts) for tensor in (image, target, weight)), strict=True):
        torch.manual_seed(0)
        with autocast(settings.precision, device):
            logits = network(i.to(next(network.parameters()).dtype))
        total += learner.criterion(logits, t, w).item() * len(i) / len(image)
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
