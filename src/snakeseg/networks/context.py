"""Context network: dilated convolutions in place of pooling (Yu & Koltun 2016, arXiv 1511.07122), without padding."""

import torch
from torch import nn

from snakeseg.networks.blocks import CONVOLUTION, TILE_STATISTICS, convolution, initialise_he
from snakeseg.networks.geometry import Geometry, uniform
from snakeseg.settings import ContextSettings


class ContextNetwork(nn.Module):
    """Network of dilated 3-wide convolutions, one per entry of `dilations`, and a 1-wide convolution to logits.

    It has no pooling, so every input size is valid. Doubled dilations make the receptive field grow exponentially with
    depth, without gaps.
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
        """Compute logits, shape (batch, classes, *spatial), of images of shape (batch, channels, *spatial)."""
        return self.head(self.layers(x))


def context_geometry(dims: int, settings: ContextSettings) -> Geometry:
    """Return the geometry of a context network: the halo is the sum of the dilations."""
    exact = settings.normalisation not in TILE_STATISTICS
    return uniform(dims, halo=sum(settings.dilations), multiple=1, tile_exact=exact)
