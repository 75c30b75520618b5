"""Dilated convolutions in place of pooling: the context module of Yu & Koltun 2016 (arXiv 1511.07122), unpadded."""

import torch
from torch import nn

from snakeseg.networks.blocks import CONVOLUTION, TILE_STATISTICS, convolution, initialise_he
from snakeseg.networks.geometry import Geometry, uniform
from snakeseg.settings import ContextSettings


class ContextNetwork(nn.Module):
    """A 3-wide convolution per entry of `dilations`, each followed by ReLU, then a 1-wide one to logits.

    Nothing is pooled, so nothing needs up-sampling, and every input size is valid. Dilations double, so that the
    receptive field grows exponentially with depth while every pixel in it is seen.
    """

    def __init__(self, dims: int, channels: int, classes: int, settings: ContextSettings):
        super().__init__()
        layers: list[nn.Module] = []
        for dilation in settings.dilations:
            layers += convolution(dims, channels, settings.width, settings.normalisation, dilation=dilation)
            channels = settings.width
        self.layers = nn.Sequential(*layers)
        self.head = CONVOLUTION[dims](channels, classes, 1)
        initialise_he(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, shape (batch, classes, *spatial), for images of shape (batch, channels, *spatial)."""
        return self.head(self.layers(x))


def context_geometry(dims: int, settings: ContextSettings) -> Geometry:
    """A 3-wide convolution sees as many pixels to each side as its dilation."""
    exact = settings.normalisation not in TILE_STATISTICS
    return uniform(dims, halo=sum(settings.dilations), multiple=1, tile_exact=exact)
