"""The U-Net as published (Ronneberger et al. 2015, figure 1), and its common variations."""

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
from snakeseg.networks.upsampling import DECODERS, UpConvolution, pool_with_places, transposed_convolution, unpool
from snakeseg.settings import UNetSettings

# A level's features, and the places of their maxima if the decoder unpools.
Skip = tuple[torch.Tensor, torch.Tensor | None]
SKIPS = ("concat", "sum")
# What a decoder crops of an unpadded level beyond the two convolutions, in pixels of its output.
CROPPED = {"transposed": 0, "unpool": 0, "nearest": 2, "bilinear": 4}


class UNet(nn.Module):
    """Encoder, decoder, 1-wide convolution to logits.

    Parameters
    ----------
    dims : {1, 2, 3}
        Spatial dimensions.
    channels, classes : int
        Channels of the image and of the logits.
    settings : UNetSettings
        `width` is the number of channels of the first level (64 in the paper), doubled at each of `depth` levels;
        `dropout` acts at the end of the contracting path, after its last two levels. `padded`, `decoder` and `skips`
        other than the defaults are departures from the paper.

    Raises
    ------
    ValueError
        If a setting has no such value.
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
        """Logits, shape (batch, classes, *spatial), for images of shape (batch, channels, *spatial)."""
        return self.head(self.decoder(*self.encoder(x)))


class Encoder(nn.Module):
    """The contracting path: two convolutions a level, 2-wide max pooling between levels."""

    def __init__(self, dims: int, widths: list[int], settings: UNetSettings):
        super().__init__()
        self.levels = nn.ModuleList(
            double_convolution(dims, i, o, settings.normalisation, settings.padded) for i, o in pairwise(widths)
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.pool = pool_with_places if settings.decoder == "unpool" else POOLING[dims](2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[Skip]]:
        """The deepest level's features, and those of the others, shallow to deep."""
        skips = []
        for level, block in enumerate(self.levels):
            x = block(x)
            if level >= len(self.levels) - 2:
                x = self.dropout(x)
            if level < len(self.levels) - 1:
                pooled = self.pool(x)
                pooled, places = pooled if isinstance(pooled, tuple) else (pooled, None)
                skips.append((x, places))
                x = pooled
        return x, skips


class Decoder(nn.Module):
    """The expanding path: up, crop and join the skip connection, two convolutions; `widths` are deep to shallow."""

    def __init__(self, dims: int, widths: list[int], settings: UNetSettings):
        super().__init__()
        self.sums = settings.skips == "sum"
        pairs = list(pairwise(widths))
        self.up = nn.ModuleList(make_up(dims, i, o, settings) for i, o in pairs)
        self.levels = nn.ModuleList(
            double_convolution(dims, o if self.sums else 2 * o, o, settings.normalisation, settings.padded)
            for _, o in pairs
        )

    def forward(self, x: torch.Tensor, skips: list[Skip]) -> torch.Tensor:
        """Features of the shallowest level."""
        for up, block, (skip, places) in zip(self.up, self.levels, reversed(skips), strict=True):
            x = up(x)
            if places is not None:
                x = unpool(x, crop_to(places, [2 * size for size in x.shape[2:]]))
            skip = crop_to(skip, x.shape[2:])
            x = block(skip + x if self.sums else torch.cat([skip, x], dim=1))
        return x


def make_up(dims: int, inputs: int, outputs: int, settings: UNetSettings) -> nn.Module:
    """What brings one level's features to the next one's channels and, but for unpooling, to its size."""
    if settings.decoder == "transposed":
        return transposed_convolution(dims, inputs, outputs, 2, 2)
    if settings.decoder == "unpool":
        return CONVOLUTION[dims](inputs, outputs, 1)
    return UpConvolution(dims, inputs, outputs, settings.decoder, settings.padded)


def unet_geometry(dims: int, settings: UNetSettings) -> Geometry:
    """Halo 6 * 2**depth - 4 per side (92 at depth 4), more where the decoder convolves; inputs -4 modulo 2**depth."""
    multiple = 2**settings.depth
    halo = 6 * multiple - 4 + CROPPED.get(settings.decoder, 0) // 2 * (multiple - 1)
    if settings.padded:  # tiles start on a window of pooling, 4 pixels off where those of the unpadded network would
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
