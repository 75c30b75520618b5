"""U-Net as published (Ronneberger et al. 2015, figure 1), and its common variations."""

from itertools import pairwise

import torch
from torch import nn

from snakeseg.networks.blocks import (
    CONVOLUTION,
    POOLING,
    TILE_STATISTICS,
    crop_to,
    double_convolution,
    initialise_he,
)
from snakeseg.networks.geometry import Geometry, uniform
from snakeseg.networks.upsampling import DECODERS, UpConvolution, pool_with_maxima, transposed_convolution, unpool
from snakeseg.settings import UNetSettings

# Features of a level, and a mask of their maxima if the decoder unpools.
Skip = tuple[torch.Tensor, torch.Tensor | None]
SKIPS = ("concat", "sum")
# Pixels per axis that an unpadded upsampling removes at each level, in addition to the two convolutions.
UPSAMPLING_CROP_PIXELS = {"transposed": 0, "unpool": 0, "nearest": 2, "bilinear": 4}


class UNet(nn.Module):
    """U-Net: encoder, decoder, and a 1-wide convolution to logits.

    Parameters
    ----------
    dims : {1, 2, 3}
        Number of spatial dimensions.
    channels, classes : int
        Number of channels of the image and of the logits.
    settings : UNetSettings
        `width` is the number of channels of the first level (64 in the paper); each of the `depth` further levels has
        twice as many. `dropout` acts on the last two levels of the contracting path. Values of `padded`, `decoder` and
        `skips` other than the defaults differ from the paper.

    Raises
    ------
    ValueError
        If a setting has an unknown value.

    References
    ----------
    Ronneberger, Fischer & Brox 2015, U-Net: convolutional networks for biomedical image segmentation.
    """

    def __init__(self, dims: int, channels: int, classes: int, settings: UNetSettings):
        super().__init__()
        for key, known in (("decoder", DECODERS), ("skips", SKIPS)):
            if getattr(settings, key) not in known:
                raise ValueError(f"network.{key} {getattr(settings, key)!r}; expected one of {known}")
        widths = [settings.width * 2**level for level in range(settings.depth + 1)]
        self.encoder = Encoder(dims, [channels, *widths], settings)
        self.decoder = Decoder(dims, widths[::-1], settings)
        self.head = CONVOLUTION[dims](widths[0], classes, 1)
        initialise_he(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits, shape (batch, classes, *spatial), of images of shape (batch, channels, *spatial)."""
        return self.head(self.decoder(*self.encoder(x)))


class Encoder(nn.Module):
    """Contracting path: two convolutions per level, 2-wide max pooling between levels.

    Parameters
    ----------
    dims : {1, 2, 3}
        Number of spatial dimensions.
    widths : list of int
        Number of channels of the image and of each level, shallow to deep.
    settings : UNetSettings
    """

    def __init__(self, dims: int, widths: list[int], settings: UNetSettings):
        super().__init__()
        self.levels = nn.ModuleList(
            double_convolution(dims, i, o, settings.normalisation, settings.padded) for i, o in pairwise(widths)
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.pool = pool_with_maxima if settings.decoder == "unpool" else POOLING[dims](2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[Skip]]:
        """Return the features of the deepest level, and the skip connections of the others, shallow to deep."""
        skips = []
        for level, block in enumerate(self.levels):
            x = block(x)
            if level >= len(self.levels) - 2:
                x = self.dropout(x)
            if level < len(self.levels) - 1:
                pooled = self.pool(x)
                pooled, maxima = pooled if isinstance(pooled, tuple) else (pooled, None)
                skips.append((x, maxima))
                x = pooled
        return x, skips


class Decoder(nn.Module):
    """Expanding path; at each level, upsampling, cropping and joining the skip connection, two convolutions.

    Parameters
    ----------
    dims : {1, 2, 3}
        Number of spatial dimensions.
    widths : list of int
        Number of channels of each level, deep to shallow.
    settings : UNetSettings
    """

    def __init__(self, dims: int, widths: list[int], settings: UNetSettings):
        super().__init__()
        self.sums = settings.skips == "sum"
        pairs = list(pairwise(widths))
        self.up = nn.ModuleList(make_upsampling(dims, i, o, settings) for i, o in pairs)
        self.levels = nn.ModuleList(
            double_convolution(dims, o if self.sums else 2 * o, o, settings.normalisation, settings.padded)
            for _, o in pairs
        )

    def forward(self, x: torch.Tensor, skips: list[Skip]) -> torch.Tensor:
        """Return the features of the shallowest level.

        Parameters
        ----------
        x : tensor, shape (batch, channels, *spatial)
            Features of the deepest level.
        skips : list of Skip
            Skip connections of the other levels, shallow to deep.
        """
        for up, block, (skip, maxima) in zip(self.up, self.levels, reversed(skips), strict=True):
            x = up(x)
            if maxima is not None:
                x = unpool(x, crop_to(maxima, [2 * size for size in x.shape[2:]]))
            skip = crop_to(skip, x.shape[2:])
            x = block(skip + x if self.sums else torch.cat([skip, x], dim=1))
        return x


def make_upsampling(dims: int, inputs: int, outputs: int, settings: UNetSettings) -> nn.Module:
    """Make the layer that brings features to the next level's channels and size; for unpooling, to its channels only.

    Parameters
    ----------
    dims : {1, 2, 3}
        Number of spatial dimensions.
    inputs, outputs : int
        Number of channels before and after the layer.
    settings : UNetSettings
    """
    if settings.decoder == "transposed":
        return transposed_convolution(dims, inputs, outputs, 2, 2)
    if settings.decoder == "unpool":
        return CONVOLUTION[dims](inputs, outputs, 1)
    return UpConvolution(dims, inputs, outputs, settings.decoder, settings.padded)


def unet_geometry(dims: int, settings: UNetSettings) -> Geometry:
    """Return the geometry of a U-Net.

    The halo is 6 * 2**depth - 4 pixels (92 at depth 4), more if the decoder convolves after interpolation. Valid input
    sizes of an unpadded network are -4 modulo 2**depth.
    """
    multiple = 2**settings.depth
    halo = 6 * multiple - 4 + UPSAMPLING_CROP_PIXELS.get(settings.decoder, 0) // 2 * (multiple - 1)
    # Tiles of a padded network start at a pooling window, 4 pixels away from where those of an unpadded one start.
    if settings.padded:
        halo = -(-(halo + 4) // multiple) * multiple
    return uniform(
        dims,
        halo=halo,
        multiple=multiple,
        remainder=0 if settings.padded else -4 % multiple,
        smallest=multiple,
        padded=settings.padded,
        tile_exact=settings.normalisation not in TILE_STATISTICS,
    )
