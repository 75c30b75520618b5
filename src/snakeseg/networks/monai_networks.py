"""Baseline networks of MONAI: DynUNet (the network of nnU-Net) and SegResNet."""

import math

from torch import nn

from snakeseg.networks.blocks import BATCH_NORM_MOMENTUM, TILE_STATISTICS
from snakeseg.networks.geometry import Geometry, uniform
from snakeseg.settings import DynUNetSettings, SegResNetSettings


def dynunet(dims: int, channels: int, classes: int, settings: DynUNetSettings) -> nn.Module:
    """Make the network of nnU-Net: strided convolutions down, transposed convolutions up, leaky ReLU.

    Parameters
    ----------
    dims : {2, 3}
        Number of spatial dimensions.
    channels, classes : int
        Number of channels of the image and of the logits.
    settings : DynUNetSettings
        `depth` is the number of times that the resolution is halved.

    Raises
    ------
    ValueError
        If `settings.normalisation` is "none" or unknown.

    References
    ----------
    Isensee et al. 2021, nnU-Net.
    """
    from monai.networks.nets import DynUNet

    levels = settings.depth + 1
    strides = [1] + [2] * settings.depth
    return DynUNet(
        dims, channels, classes, kernel_size=[3] * levels, strides=strides, upsample_kernel_size=strides[1:],
        filters=[settings.width * 2**level for level in range(levels)],
        norm_name=_monai_normalisation(settings), dropout=settings.dropout or None,
    )  # fmt: skip


def segresnet(dims: int, channels: int, classes: int, settings: SegResNetSettings) -> nn.Module:
    """Make a SegResNet: residual encoder and shallow decoder, without the auto-encoder branch.

    Parameters
    ----------
    dims : {2, 3}
        Number of spatial dimensions.
    channels, classes : int
        Number of channels of the image and of the logits.
    settings : SegResNetSettings
        `depth` is the number of times that the resolution is halved.

    Raises
    ------
    ValueError
        If `settings.normalisation` is "none" or unknown.

    References
    ----------
    Myronenko 2018, 3D MRI brain tumor segmentation using autoencoder regularization.
    """
    from monai.networks.nets import SegResNet

    return SegResNet(
        spatial_dims=dims, init_filters=settings.width, in_channels=channels, out_channels=classes,
        dropout_prob=settings.dropout or None, norm=_monai_normalisation(settings),
        blocks_down=[1] + [2] * (settings.depth - 1) + [4], blocks_up=[1] * settings.depth,
    )  # fmt: skip


def dynunet_geometry(dims: int, settings: DynUNetSettings) -> Geometry:
    """Return the geometry of a DynUNet.

    Each level has two 3-wide convolutions in the encoder and two in the decoder. Strided and transposed convolutions
    shift by a pixel of their level.
    """
    return _padded_geometry(dims, settings, halo=5 * 2**settings.depth)


def segresnet_geometry(dims: int, settings: SegResNetSettings) -> Geometry:
    """Return the geometry of a SegResNet.

    Residual blocks have two 3-wide convolutions. There are four blocks at the deepest level, two per level in the
    encoder and one per level in the decoder.
    """
    return _padded_geometry(dims, settings, halo=16 * 2**settings.depth)


def _padded_geometry(dims: int, settings: DynUNetSettings | SegResNetSettings, halo: int) -> Geometry:
    multiple = 2**settings.depth
    exact = settings.normalisation not in TILE_STATISTICS
    return uniform(dims, halo=halo, multiple=multiple, smallest=multiple, padded=True, tile_exact=exact)


def _monai_normalisation(settings: DynUNetSettings | SegResNetSettings):
    """Return MONAI's name and arguments of a normalisation.

    Raises
    ------
    ValueError
        If `settings.normalisation` is "none" or unknown: both networks need a normalisation.
    """
    known = {
        "batch": ("batch", {"momentum": BATCH_NORM_MOMENTUM}),
        "instance": ("instance", {"affine": True}),
        "group": ("group", {"num_groups": math.gcd(8, settings.width)}),
    }
    if settings.normalisation not in known:
        raise ValueError(f"network.normalisation {settings.normalisation!r}; expected one of {list(known)}")
    return known[settings.normalisation]
