"""Cost model of networks: floating-point operations and memory, computed from the settings alone.

The workflow loads this file by its path, so it imports nothing from the package.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

# Cost of a training step in forward passes: one forward, about two for the backward pass.
PASSES_PER_STEP = 3
# Pixels that overlapping tiles read per pixel of the image.
TILE_OVERLAP = 2
# Bytes that a training step keeps per parameter (weight, gradient, two moments), and per output value of a convolution
# (float32, once more normalised and activated, plus half as much for buffers).
BYTES_PER_PARAMETER, BYTES_PER_OUTPUT = 24, 24
# Pixels by which FCN pads an image along each axis, both sides together.
FCN_PADDING_PIXELS = 198


class Level(NamedTuple):
    """Layers of a network at one resolution.

    Parameters
    ----------
    width : int
        Number of channels, as a multiple of the network's first width.
    stride : int
        Pixels of the image per pixel of the level, along each axis.
    convolutions : float
        Number of 3-wide convolutions with `width` channels in and out; one with half the channels in counts as 0.5.
    """

    width: int
    stride: int
    convolutions: float


# Levels of VGG16. In units of a 3 x 3 convolution, fc6 (7 x 7, an eighth of the channels in) and fc7 (1 x 1) add up to
# (49 / 8 + 1) / 9.
FCN_LEVELS = [
    Level(1, 1, 1), Level(2, 2, 1.5), Level(4, 4, 2.5), Level(8, 8, 2.5), Level(8, 16, 3),
    Level(64, 32, (49 / 8 + 1) / 9),
]  # fmt: skip


def levels_of(network: Mapping) -> list[Level]:
    """Return the levels of a registered network, from fine to coarse.

    Parameters
    ----------
    network : mapping
        All keys of its settings (`settings.NETWORK_SETTINGS`), including "name".
    """
    name = network["name"]
    if name.startswith("fcn"):
        return FCN_LEVELS
    if name == "context":
        # The first convolution takes the image's channels only, so it is left out.
        return [Level(1, 1, max(1, len(network["dilations"]) - 1))]
    # Convolutions of encoder and decoder: at the finest level, at each level in between, at the deepest level.
    first, between, last = (4, 6.5, 8.5) if name == "segresnet" else (4, 4.5, 1.5)
    up = 2 if network.get("decoder") in ("nearest", "bilinear") else 0  # only U-Net has the key `decoder`
    counts = [first + up, *[between + up] * (network["depth"] - 1), last]
    return [Level(2**level, 2**level, count) for level, count in enumerate(counts)]


def operations_per_pixel(dims: int, network: Mapping) -> float:
    """Compute the floating-point operations of a forward pass per pixel (2 per multiplication and addition).

    Parameters
    ----------
    dims : int
        Number of spatial dimensions of the images.
    network : mapping
        All keys of the network's settings.
    """
    return 2 * sum(
        _parameters(level, dims, network) / level.stride ** _convolved_axes(dims, network)
        for level in levels_of(network)
    )


def step_operations(dims: int, network: Mapping, patch: Sequence[int], batch: int) -> float:
    """Compute the floating-point operations of a training step.

    Parameters
    ----------
    dims : int
        Number of spatial dimensions of the images.
    network : mapping
        All keys of the network's settings.
    patch : sequence of int
        Side lengths of a patch, in pixels, one per axis.
    batch : int
        Number of patches per step.
    """
    return PASSES_PER_STEP * operations_per_pixel(dims, network) * batch * _worked_pixels(patch, network)


def prediction_operations(dims: int, network: Mapping, pixels: float) -> float:
    """Compute the floating-point operations of predicting `pixels` pixels once, tile by tile."""
    return TILE_OVERLAP * operations_per_pixel(dims, network) * pixels


def step_bytes(dims: int, network: Mapping, patch: Sequence[int], batch: int) -> float:
    """Estimate the memory of a training step in float32, in bytes.

    Parameters
    ----------
    dims : int
        Number of spatial dimensions of the images.
    network : mapping
        All keys of the network's settings.
    patch : sequence of int
        Side lengths of a patch, in pixels, one per axis.
    batch : int
        Number of patches per step.
    """
    levels, axes = levels_of(network), _convolved_axes(dims, network)
    parameters = sum(_parameters(level, dims, network) for level in levels)
    outputs = sum(level.convolutions * level.width * network["width"] / level.stride**axes for level in levels)
    return BYTES_PER_PARAMETER * parameters + BYTES_PER_OUTPUT * outputs * batch * _worked_pixels(patch, network)


def _convolved_axes(dims: int, network: Mapping) -> int:
    """Return the number of axes that the network convolves along: 2 if it takes volumes slice by slice."""
    return dims if network["slices"] is None else 2


def _parameters(level: Level, dims: int, network: Mapping) -> float:
    """Return the number of weights of a level's convolutions."""
    return level.convolutions * 3 ** _convolved_axes(dims, network) * (level.width * network["width"]) ** 2


def _worked_pixels(patch: Sequence[int], network: Mapping) -> float:
    """Estimate the number of pixels that a convolution of the finest level computes for one patch.

    The input of an unpadded network includes the halo, which shrinks layer by layer, mostly in the encoder. About a
    third of the work is on the whole input.
    """
    if network["name"].startswith("fcn"):
        return _enlarged_pixels(patch, FCN_PADDING_PIXELS, network)
    halo = 0
    if network["name"] == "context":
        halo = sum(network["dilations"])
    elif network["name"] == "unet" and not network["padded"]:
        halo = 6 * 2 ** network["depth"]
    return (_enlarged_pixels(patch, 2 * halo, network) + 2 * prod(patch)) / 3


def _enlarged_pixels(patch: Sequence[int], margin: int, network: Mapping) -> int:
    """Return the pixels of a patch whose sides are `margin` pixels longer, except across slices."""
    return prod(side + margin * (axis != network["slices"]) for axis, side in enumerate(patch))
