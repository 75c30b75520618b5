"""Loss functions on logits, by name."""

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from snakeseg.settings import Loss
from snakeseg.text import did_you_mean

Criterion = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def make_loss(settings: Loss, balance: Sequence[float]) -> Criterion:
    """Return the loss function of the settings.

    Parameters
    ----------
    settings : Loss
        `name` is one of: "border", cross entropy weighted by the weight map; "plain", unweighted cross entropy;
        "balanced", cross entropy weighted by `balance`; "sum", unweighted cross entropy summed over the pixels of a
        patch (reference implementation of Long et al. 2015, with correspondingly smaller learning rates); "dice",
        "border" plus MONAI's Dice loss.
    balance : sequence of float
        Weight of each class.

    Returns
    -------
    function of (logits, target, weight)
        logits : float tensor, shape (batch, classes, *spatial)
        target : int64 tensor, shape (batch, *spatial)
        weight : float tensor, shape (batch, *spatial); 0 for ignored pixels, whose target is any class.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if settings.name not in LOSSES:
        raise ValueError(
            f"loss.name: found {settings.name!r}; expected one of {list(LOSSES)}; {did_you_mean(settings.name, LOSSES)}"
        )
    return LOSSES[settings.name](torch.tensor(balance, dtype=torch.float32))


def weighted_cross_entropy(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Compute the mean over pixels of the weighted cross entropy of the softmax, in float32.

    The divisor is the number of pixels, not the sum of weights, so that patches with many borders have a larger loss.

    Parameters
    ----------
    logits : float tensor, shape (batch, classes, *spatial)
    target : int64 tensor, shape (batch, *spatial)
    weight : float tensor, shape (batch, *spatial)

    Returns
    -------
    tensor, shape ()

    References
    ----------
    Ronneberger et al. 2015, equation 1.
    """
    return (weight * functional.cross_entropy(logits.float(), target, reduction="none")).mean()


def _unweighted(balance: torch.Tensor) -> Criterion:
    return lambda logits, target, weight: weighted_cross_entropy(logits, target, (weight > 0).float())


def _balanced(balance: torch.Tensor) -> Criterion:
    def loss(logits, target, weight):
        return weighted_cross_entropy(logits, target, (weight > 0) * balance.to(target.device)[target])

    return loss


def _sum(balance: torch.Tensor) -> Criterion:
    return lambda logits, target, weight: _unweighted(balance)(logits, target, weight) * target[0].numel()


def _dice(balance: torch.Tensor) -> Criterion:
    from monai.losses import MaskedDiceLoss

    # The loss gets probabilities, because it masks its input, and the softmax of masked logits is not zero.
    dice = MaskedDiceLoss(batch=True)

    def loss(logits, target, weight):
        counted = (weight > 0).float().unsqueeze(1)
        truth = functional.one_hot(target, logits.shape[1]).movedim(-1, 1).float()
        return weighted_cross_entropy(logits, target, weight) + dice(logits.float().softmax(dim=1), truth, counted)

    return loss


LOSSES: dict[str, Callable[[torch.Tensor], Criterion]] = {
    "border": lambda balance: weighted_cross_entropy,
    "plain": _unweighted,
    "balanced": _balanced,
    "sum": _sum,
    "dice": _dice,
}
