"""MONAI's strong baselines behind the same door: DynUNet (nnU-Net's network) and SegResNet."""

import math

from torch import nn

from snakeseg.networks.blocks import BATCH_NORM_MOMENTUM, TILE_STATISTICS
from snakeseg.networks.geometry import Geometry, uniform
from snakeseg.settings import DynUNetSettings, SegResNetSettings


def dynunet(dims: int, channels: int, classes: int, settings: DynUNetSettings) -> nn.Module:
    """nnU-Net's network: strided convolutions down, transposed ones up, leaky ReLU; `depth` halvings."""
    from monai.networks.nets import DynUNet

    levels = settings.depth + 1
    strides = [1] + [2] * settings.depth
    return DynUNet(
        dims, channels, classes, kernel_size=[3] * levels, strides=strides, upsample_kernel_size=strides[1:],
        filters=[settings.width * 2**level for level in range(levels)],
        norm_name=_normalisation(settings), dropout=settings.dropout or None,
    )  # fmt: skip


def segresnet(dims: int, channels: int, classes: int, settings: SegResNetSettings) -> nn.Module:
    """Residual encoder, shallow decoder (Myronenko 2018), without the auto-encoder branch; `depth` halvings."""
    from monai.networks.nets import SegResNet

    return SegResNet(
        spatial_dims=dims, init_filters=settings.width, in_channels=channels, out_channels=classes,
        dropout_prob=settings.dropout or None, norm=_normalisation(settings),
        blocks_down=[1] + [2] * (settings.depth - 1) + [4], blocks_up=[1] * settings.depth,
    )  # fmt: skip


def dynunet_geometry(dims: int, settings: DynUNetSettings) -> Geometry:
    """Two 3-wide convolutions a level both ways; strided and transposed ones shift by a pixel of their level."""
    return _geometry(dims, settings, halo=5 * 2**settings.depth)


def segresnet_geometry(dims: int, settings: SegResNetSettings) -> Geometry:
    """Residual blocks of two 3-wide convolutions: four at the bottom, two on the way down, one on the way up."""
    return _geometry(dims, settings, halo=16 * 2**settings.depth)


def _geometry(dims: int, settings: DynUNetSettings | SegResNetSettings, halo: int) -> Geometry:
    multiple = 2**settings.depth
    exact = settings.normalisation not in TILE_STATISTICS
    return uniform(dims, halo=halo, multiple=multiple, smallest=multiple, padded=True, tile_exact=exact)


def _normalisation(settings: DynUNetSettings | SegResNetSettings):
    """MONAI's name and arguments of a normalisation.

    Raises
    ------
    ValueError
        If it has none: both networks are made to be normalised.
    """
    known = {
        "batch": ("batch", {"momentum": BATCH_NORM_MOMENTUM}),
        "instance": ("instance", {"affine": True}),
        "group": ("group", {"num_groups": math.gcd(8, settings.width)}),
    }
    if settings.normalisation not in known:
        raise ValueError(f"network.normalisation {settings.normalisation!r}; expected one of {list(known)}")
    return known[settings.normalisation]
