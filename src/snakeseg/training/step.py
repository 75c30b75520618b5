"""One step of gradient descent, in parts that fit into the memory, shared by the processes of a team."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from snakeseg.devices import autocast
from snakeseg.networks.blocks import LAYOUT
from snakeseg.settings import Train
from snakeseg.training.distributed import ALONE, Team, average_gradients, mean_of_all
from snakeseg.training.losses import Criterion
from snakeseg.training.optimiser import LossScale
from snakeseg.training.patches import Patch


@dataclass(frozen=True)
class Learner:
    """A network with its loss function and its optimiser.

    Attributes
    ----------
    network : Module
        May be compiled.
    optimiser : Optimizer
        Optimiser of the network's parameters.
    criterion : function
        The loss, from `make_loss`.
    settings : Train
    device : torch.device
    team : Team
        Processes that share every batch.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    criterion: Criterion
    settings: Train
    device: torch.device
    team: Team = ALONE


def train_step(learner: Learner, batch: Patch, scale: LossScale | None = None) -> float:
    """Update the weights by one batch, computed in `settings.accumulate` parts.

    Parameters
    ----------
    learner : Learner
        The weights of its network, and its optimiser, are updated in place.
    batch : Patch
        Stacked patches; in a team, the share of this process.
    scale : LossScale, optional
        Factor of the loss in float16, updated in place. A step whose gradients overflow only updates the scale.

    Returns
    -------
    float
        Mean loss over the team, before the step.

    Raises
    ------
    FloatingPointError
        If the loss or the norm of the gradient is not finite; weights and optimiser are unchanged.
    """
    network, settings = learner.network, learner.settings
    learner.optimiser.zero_grad(set_to_none=True)
    scale = scale if settings.precision == "float16" else None
    factor = scale.value if scale else 1.0
    loss = _add_gradients(learner, batch, factor)
    average_gradients(network, learner.team)
    (loss,) = mean_of_all([loss], learner.team, learner.device)
    if not np.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss}")
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    if scale:
        torch._foreach_div_(gradients, factor)
    norm = nn.utils.get_total_norm(gradients)
    finite = bool(torch.isfinite(norm))
    if scale and scale.update(finite) and not finite:
        return loss
    if not finite:
        raise FloatingPointError(f"the norm of the gradient is {norm.item()}")
    if settings.clip:
        nn.utils.clip_grads_with_norm_(network.parameters(), settings.clip, norm)
    learner.optimiser.step()
    return loss


def _add_gradients(learner: Learner, batch: Patch, factor: float) -> float:
    """Accumulate the gradients of the parts of a batch, multiplied by `factor`; return the loss of the batch."""
    network, settings, device = learner.network, learner.settings, learner.device
    total, parts = 0.0, min(settings.accumulate, len(batch.image))
    for part in zip(*(np.array_split(array, parts) for array in batch), strict=True):
        image, target, weight = (torch.from_numpy(array).to(device, non_blocking=True) for array in part)
        image = image.to(next(network.parameters()).dtype).contiguous(memory_format=LAYOUT[image.ndim - 2])
        with autocast(settings.precision, device):
            logits = network(image)
        loss = learner.criterion(logits, target, weight) * (len(image) / len(batch.image))
        (loss * factor).backward()
        total += loss.item()
    return total
