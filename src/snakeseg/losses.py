"""Losses on logits."""

import torch
from torch.nn import functional


def weighted_cross_entropy(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Pixel-wise softmax and cross entropy, weighted per pixel (Ronneberger et al. 2015, equation 1), as a mean.

    The mean is over all pixels, not over the sum of weights, so that a patch with many borders counts for more.

    Parameters
    ----------
    logits : float tensor, shape (batch, classes, *spatial)
    target : int64 tensor, shape (batch, *spatial)
    weight : float tensor, shape (batch, *spatial)
        0 where a pixel is to be ignored; its target must still be a class.
    """
    return (weight * functional.cross_entropy(logits.float(), target, reduction="none")).mean()
