"""Learning-rate range test (Smith 2017, section 3.3)."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from snakeseg.devices import autocast
from snakeseg.errors import BadInput
from snakeseg.networks.blocks import to_device_layout
from snakeseg.progress import progress
from snakeseg.training.losses import Criterion
from snakeseg.training.optimiser import LossScale, derive_seed, make_optimiser
from snakeseg.training.patches import Item, Patch, PatchPlan, prefetch, sample_batch
from snakeseg.training.step import Learner, train_step

# First and last learning rate, and number of rates, one step each.
LOWEST_RATE, HIGHEST_RATE, RATES = 1e-6, 10.0, 100
# Number of batches that measure the loss after every step; a single batch gives a noisy curve.
TEST_BATCHES = 4
# The loss has diverged if it exceeds the lowest loss by this factor.
DIVERGENCE_FACTOR = 2.0
# Smallest number of steps that give a useful curve.
MIN_TEST_STEPS = 10


def range_test(
    network: nn.Module, items: Sequence[Item], plan: PatchPlan, criterion: Criterion, device: torch.device
) -> list[dict]:
    """Train a network with a learning rate that rises by a constant factor per step, until the loss diverges.

    Parameters
    ----------
    network : Module
        Freshly initialised; its weights change.
    items : sequence of Item
        Training images with targets and weights.
    plan : PatchPlan
    criterion : function
        The loss, from `make_loss`.
    device : torch.device

    Returns
    -------
    list of dict
        One per step: learning_rate; loss, after the step, on the same batches for all steps.

    Raises
    ------
    BadInput
        If the loss diverges, or is not finite, within the first `MIN_TEST_STEPS` steps.
    """
    # This process takes the whole batch of a team, so in as many more parts.
    parts = plan.train.accumulate * plan.train.processes
    settings = replace(plan.train, steps=RATES, minutes=None, accumulate=parts)
    plan = replace(plan, train=settings)
    to_device_layout(network, device)
    learner = Learner(network, make_optimiser(network.train(), settings), criterion, settings, device)
    rows: list[dict] = []
    for rate, loss in _losses(learner, items, plan):
        rows.append({"learning_rate": rate, "loss": loss})
        if not loss <= DIVERGENCE_FACTOR * min(row["loss"] for row in rows):
            break
    if len(rows) < MIN_TEST_STEPS:
        raise BadInput(
            "learning-rate range test", f"a loss of {rows[-1]['loss'] if rows else 'NaN'} after {len(rows)} steps",
            f"a loss that does not double in the first {MIN_TEST_STEPS} steps, from a learning rate of {LOWEST_RATE}",
            "set train.precision to float32, and check the labels",
        )  # fmt: skip
    return rows


def _losses(learner: Learner, items: Sequence[Item], plan: PatchPlan) -> Iterator[tuple[float, float]]:
    """Yield each learning rate with the loss after its step, until the loss is not finite."""
    # These batches come after those of the last step, so none of their patches is trained on.
    test_batches = [sample_batch(items, plan, RATES + index) for index in range(TEST_BATCHES)]
    scale = LossScale()
    with closing(prefetch(items, plan)) as batches:
        for step, rate in enumerate(progress(np.geomspace(LOWEST_RATE, HIGHEST_RATE, RATES), RATES, "learning rates")):
            torch.manual_seed(derive_seed(plan.train.seed, step))
            for group in learner.optimiser.param_groups:
                group["lr"] = float(rate)
            try:
                train_step(learner, next(batches), scale)
            except FloatingPointError:
                return
            yield float(rate), float(np.mean([_test_loss(learner, batch) for batch in test_batches]))


@torch.no_grad()
def _test_loss(learner: Learner, batch: Patch) -> float:
    """Compute the loss as in training (with dropout and statistics of the batch), without changing the network."""
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


def propose_learning_rate(rows: Sequence[dict]) -> float:
    """Return the learning rate at which the smoothed loss falls fastest, before its minimum.

    Parameters
    ----------
    rows : sequence of dict
        From `range_test`. The loss is averaged over five rates.
    """
    losses = ndimage.uniform_filter1d([row["loss"] for row in rows], 5, mode="nearest")
    lowest = int(losses.argmin())
    if lowest < 2:
        return rows[0]["learning_rate"]
    return rows[int(np.gradient(losses[: lowest + 1]).argmin())]["learning_rate"]
