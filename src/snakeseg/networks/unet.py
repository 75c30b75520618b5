"""The U-Net as published: unpadded convolutions, crop-and-concatenate skips (Ronneberger et al. 2015, figure 1)."""

import torch
from torch import nn

from snakeseg.networks.blocks import (
    CONVOLUTION,
    NORMALISATIONS,
    POOLING,
    TRANSPOSED,
    crop_to,
    double_convolution,
    initialise_he,
)
from snakeseg.settings import Network
from snakeseg.tiling import Geometry


class UNet(nn.Module):
    """Contracting path, expanding path, 1-wide convolution to logits.

    Parameters
    ----------
    dims : {1, 2, 3}
        Spatial dimensions.
    channels, classes : int
        Channels of the image and of the logits.
    settings : Network
        `width` is the number of channels of the first level (64 in the paper), doubled at each of `depth` levels;
        `dropout` acts at the end of the contracting path, after its last two levels.
    """

    def __init__(self, dims: int, channels: int, classes: int, settings: Network):
        super().__init__()
        if settings.normalisation not in NORMALISATIONS:
            raise ValueError(f"network.normalisation {settings.normalisation!r}; expected one of {NORMALISATIONS}")
        widths = [settings.width * 2**level for level in range(settings.depth + 1)]
        inputs = [channels, *widths[:-1]]
        norm = settings.normalisation
        self.contracting = nn.ModuleList(double_convolution(dims, i, o, norm) for i, o in zip(inputs, widths))  # noqa: B905
        self.pool = POOLING[dims](2)
        self.dropout = nn.Dropout(settings.dropout)
        self.up = nn.ModuleList(TRANSPOSED[dims](2 * w, w, 2, stride=2) for w in widths[-2::-1])
        self.expanding = nn.ModuleList(double_convolution(dims, 2 * w, w, norm) for w in widths[-2::-1])
        self.head = CONVOLUTION[dims](widths[0], classes, 1)
        initialise_he(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, shape (batch, classes, *spatial), for images of shape (batch, channels, *spatial)."""
        skips = []
        for level, block in enumerate(self.contracting):
            x = block(x if level == 0 else self.pool(x))
            if level >= len(self.contracting) - 2:
                x = self.dropout(x)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.expanding, strict=True):
            x = up(x)
            x = block(torch.cat([crop_to(skips.pop(), x), x], dim=1))
        return self.head(x)


def unet_geometry(settings: Network) -> Geometry:
    """Halo 6 * 2**depth - 4 per side (92 at depth 4); valid inputs are -4 modulo 2**depth (16 k + 12)."""
    multiple = 2**settings.depth
    return Geometry(halo=6 * multiple - 4, multiple=multiple, remainder=-4 % multiple)
