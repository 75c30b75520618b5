"""Cost model of networks: operations and memory of a pass, by arithmetic on their settings alone.

The workflow loads this file by its path, without the package; it imports nothing of it.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

# Passes forward that a training step costs: one forward, about two backward.
PASSES_PER_STEP = 3
# Pixels that overlapping tiles read for each pixel of an image.
OVERLAP = 2
# Bytes that a training step keeps for each parameter (weight, gradient, two moments), and for each value that a
# convolution puts out (float32, once more normalised and activated), half as much added for buffers.
BYTES_PER_PARAMETER, BYTES_PER_OUTPUT = 24, 24
# Pixels that FCN pads an image by, in all, along each axis.
FCN_PADDING = 198


class Level(NamedTuple):
    """Layers of one resolution.

    Parameters
    ----------
    width : int
        Channels, as a multiple of the network's first width.
    stride : int
        Pixels of the image per pixel of the level, along each axis.
    convolutions : float
        Number of 3-wide convolutions from so many channels to as many; half the channels in count as half of one.
    """

    width: int
    stride: int
    convolutions: float


# VGG16: of 3 x 3 convolutions from as many channels; fc6 is 7 x 7 from an 8th of the channels, fc7 is 1 x 1.
FCN_LEVELS = [
    Level(1, 1, 1), Level(2, 2, 1.5), Level(4, 4, 2.5), Level(8, 8, 2.5), Level(8, 16, 3),
    Level(64, 32, (49 / 8 + 1) / 9),
]  # fmt: skip


def levels_of(network: Mapping) -> list[Level]:
    """The levels of a registered network, the finest first.

    Parameters
    ----------
    network : mapping
        All keys of its settings (`settings.NETWORK_SETTINGS`), "name" among them.
    """
    name = network["name"]
    if name.startswith("fcn"):
        return FCN_LEVELS
    if name == "context":
        return [Level(1, 1, max(1, len(network["dilations"]) - 1))]  # the first has but the image's channels
    # Of encoder and decoder: at the finest level, at each one between, at the deepest.
    first, between, last = (4, 6.5, 8.5) if name == "segresnet" else (4, 4.5, 1.5)
    up = 2 if network.get("decoder") in ("nearest", "bilinear") else 0  # U-Net alone has a choice
    counts = [first + up, *[between + up] * (network["depth"] - 1), last]
    return [Level(2**level, 2**level, count) for level, count in enumerate(counts)]


def operations_per_pixel(dims: int, network: Mapping) -> float:
    """Floating-point operations (2 per multiplication and addition) of a forward pass, per pixel."""
    return 2 * sum(
        _parameters(level, dims, network) / level.stride ** _axes(dims, network) for level in levels_of(network)
    )


def step_operations(dims: int, network: Mapping, patch: Sequence[int], batch: int) -> float:
    """Operations of a training step on a batch of patches."""
    return PASSES_PER_STEP * operations_per_pixel(dims, network) * batch * _worked_pixels(patch, network)


def prediction_operations(dims: int, network: Mapping, pixels: float) -> float:
    """Operations of predicting images of so many pixels in all, once, tile by tile."""
    return OVERLAP * operations_per_pixel(dims, network) * pixels


def step_bytes(dims: int, network: Mapping, patch: Sequence[int], batch: int) -> float:
    """Bytes that a training step on a batch of patches takes in float32."""
    levels, axes = levels_of(network), _axes(dims, network)
    parameters = sum(_parameters(level, dims, network) for level in levels)
    outputs = sum(level.convolutions * level.width * network["width"] / level.stride**axes for level in levels)
    return BYTES_PER_PARAMETER * parameters + BYTES_PER_OUTPUT * outputs * batch * _worked_pixels(patch, network)


def _axes(dims: int, network: Mapping) -> int:
    """Axes that are convolved along: two where volumes are taken slice by slice."""
    return dims if network["slices"] is None else 2


def _parameters(level: Level, dims: int, network: Mapping) -> float:
    """Weights of a level's convolutions."""
    return level.convolutions * 3 ** _axes(dims, network) * (level.width * network["width"]) ** 2


def _worked_pixels(patch: Sequence[int], network: Mapping) -> float:
    """Pixels that the finest level works on for a patch.

    An unpadded network begins with the context around the patch, which it loses layer by layer, most of it in the
    encoder: about a third of its work is on the whole input.
    """
    if network["name"].startswith("fcn"):
        return _grown(patch, FCN_PADDING, network)
    halo = 0
    if network["name"] == "context":
        halo = sum(network["dilations"])
    elif network["name"] == "unet" and not network["padded"]:
        halo = 6 * 2 ** network["depth"]
    return (_grown(patch, 2 * halo, network) + 2 * prod(patch)) / 3


def _grown(patch: Sequence[int], by: int, network: Mapping) -> int:
    """Pixels of a patch with larger sides, but for the axis across which slices are taken."""
    return prod(side + by * (axis != network["slices"]) for axis, side in enumerate(patch))
