"""Losses on logits, by name."""

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from snakeseg.settings import Loss
from snakeseg.text import did_you_mean

Criterion = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def make_loss(settings: Loss, balance: Sequence[float]) -> Criterion:
    """The loss of this name, as a function of logits, target and weight.

    Parameters
    ----------
    settings : Loss
        `border`: cross entropy weighted by the precomputed map. `plain`: unweighted. `balanced`: weighted by `balance`.
        `sum`: unweighted, summed over the pixels of a patch (reference implementation of Long et al. 2015, where a
        batch is one image; its learning rates are that much smaller). `dice`: `border` plus MONAI's Dice loss.
    balance : sequence of float
        Weight of each class.

    Returns
    -------
    function of (logits, target, weight)
        logits : float tensor, shape (batch, classes, *spatial)
        target : int64 tensor, shape (batch, *spatial)
        weight : float tensor, shape (batch, *spatial); 0 where a pixel is to be ignored, its target still a class.

    Raises
    ------
    ValueError
        If there is no such loss.
    """
    if settings.name not in LOSSES:
        raise ValueError(
            f"loss.name {settings.name!r}; expected one of {list(LOSSES)}; {did_you_mean(settings.name, LOSSES)}"
        )
    return LOSSES[settings.name](torch.tensor(balance, dtype=torch.float32))


def weighted_cross_entropy(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Pixel-wise softmax and cross entropy, weighted per pixel (Ronneberger et al. 2015, equation 1), as a mean.

    The mean is over all pixels, not over the sum of weights, so that a patch with many borders counts for more.
    """
    return (weight * functional.cross_entropy(logits.float(), target, reduction="none")).mean()


def _plain(balance: torch.Tensor) -> Criterion:
    return lambda logits, target, weight: weighted_cross_entropy(logits, target, (weight > 0).float())


def _balanced(balance: torch.Tensor) -> Criterion:
    def loss(logits, target, weight):
        return weighted_cross_entropy(logits, target, (weight > 0) * balance.to(target.device)[target])

    return loss


def _sum(balance: torch.Tensor) -> Criterion:
    return lambda logits, target, weight: _plain(balance)(logits, target, weight) * target[0].numel()


def _dice(balance: torch.Tensor) -> Criterion:
    from monai.losses import MaskedDiceLoss

    # Given logits it would mask those, and the softmax of a masked pixel is not zero.
    dice = MaskedDiceLoss(batch=True)

    def loss(logits, target, weight):
        counted = (weight > 0).float().unsqueeze(1)
        truth = functional.one_hot(target, logits.shape[1]).movedim(-1, 1).float()
        return weighted_cross_entropy(logits, target, weight) + dice(logits.float().softmax(dim=1), truth, counted)

    return loss


LOSSES: dict[str, Callable[[torch.Tensor], Criterion]] = {
    "border": lambda balance: weighted_cross_entropy,
    "plain": _plain,
    "balanced": _balanced,
    "sum": _sum,
    "dice": _dice,
}
