"""Validation loss on held-out images during a training."""

import torch
from torch import nn

from snakeseg.networks.geometry import Geometry
from snakeseg.prediction.overlap_tile import predict_logits
from snakeseg.training.losses import weighted_cross_entropy


def validation_loss(network: nn.Module, items, geometry: Geometry, tile: int, device: torch.device) -> float:
    """Compute the mean weighted cross entropy over whole images, tile by tile.

    Parameters
    ----------
    network : Module
        Is left in evaluation mode.
    items : sequence of Item
        Held-out images with targets and weights.
    geometry : Geometry
        Geometry of the network.
    tile : int
        Largest stride of the tiles along each axis, in pixels.
    device : torch.device
    """
    network.eval()
    losses = []
    for image, target, weight, _objects in items:
        logits = torch.from_numpy(predict_logits(network, image, geometry, tile, device))[None]
        losses.append(
            weighted_cross_entropy(logits, torch.from_numpy(target).long()[None], torch.from_numpy(weight)[None])
        )
    return float(torch.stack(losses).mean())
