"""Measures of any network: receptive field, checkerboard artefact, number of parameters, operations."""

from bisect import bisect_left
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from snakeseg.networks.geometry import Geometry


def receptive_field(network: nn.Module, channels: int, geometry: Geometry, axis: int = 0) -> tuple[int, int]:
    """Measure how many pixels beyond a tile its output depends on, to the lower and to the higher side of an axis.

    Step response: all pixels on the far side of a line are changed, and the line is moved away from the tile until the
    tile's output no longer changes. Tiles start at a multiple of the network's period; within a period, single pixels
    have a receptive field that reaches farther to one side and less far to the other.

    Parameters
    ----------
    network : Module
        In evaluation mode, in float64, without normalisation by statistics of the tile.
    channels : int
        Number of channels of the input.
    geometry : Geometry
        Declared halo and multiple. Receptive fields of up to two periods more than the halo are measured.
    axis : int
        Spatial axis, counted from 0.

    Returns
    -------
    lower, higher : int
        Pixels; at most the halo along the axis, if the declared halo is large enough.
    """
    halo, period = geometry.halo[axis], geometry.multiple[axis]
    farthest = halo + 2 * period
    start = halo + -(-farthest // period) * period
    stop = start + geometry.output_size(geometry.multiple)[axis]
    sides = [stop + farthest if dim == axis else 1 for dim in range(geometry.dims)]
    image, change = _random_image_and_change((1, channels, *geometry.input_size(sides)))

    def tile(image: torch.Tensor) -> torch.Tensor:
        out = network(image)
        cropped = (image.shape[axis + 2] - out.shape[axis + 2]) // 2
        return out.narrow(axis + 2, start - cropped, stop - start)

    def depends(first: int, last: int | None) -> bool:
        changed = image.clone()
        region = (..., slice(first, last), *[slice(None)] * (geometry.dims - 1 - axis))
        changed[region] += change[region]
        return not torch.equal(tile(changed), before)

    with torch.inference_mode():
        before = tile(image)
        distances = range(farthest + 1)
        lower = bisect_left(distances, True, key=lambda d: not depends(0, start - d))
        higher = bisect_left(distances, True, key=lambda d: not depends(stop + d, None))
    return lower, higher


def _random_image_and_change(shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return seeded noise, and a stronger change to add to it, to measure how far a pixel influences the output."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(shape, generator=generator, dtype=torch.float64)
    return image, 10 * torch.randn(shape, generator=generator, dtype=torch.float64)


def checkerboard(
    network: Callable[[torch.Tensor], torch.Tensor], period: Sequence[int], margin: Sequence[int], image: torch.Tensor
) -> float:
    """Measure the checkerboard artefact: the share of a constant image's logits that repeats with the strides.

    Away from the border, a constant image gives constant logits, unless the upsampling treats pixels unevenly. What
    this adds repeats every `period` pixels, so its spectral energy lies at the frequencies k / period, k = 1, 2, ...

    Parameters
    ----------
    network : function
        Network or decoder, from an image (1, channels, *spatial) to logits (1, classes, *spatial).
    period : sequence of int
        Product of the network's strides along each axis, in pixels.
    margin : sequence of int
        Pixels along each border of the output that depend on padding, one per axis.
    image : tensor, shape (1, channels, *spatial)
        Constant image whose output has at least `period` pixels and two margins per axis.

    Returns
    -------
    float
        Energy at the frequencies of the strides as a share of all energy, including frequency zero; from 0 (no
        checkerboard) to 1. The share of all-zero logits is 0.
    """
    with torch.inference_mode():
        out = network(image)[0].double()
    block = out[(slice(None), *(slice(a, a + n) for a, n in zip(margin, period, strict=True)))]
    axes = tuple(range(1, block.ndim))
    energy = torch.fft.fftn(block, dim=axes, norm="forward").abs().square()
    total = energy.sum()
    constant = energy.flatten(1)[:, 0].sum()
    return float((total - constant).clamp(min=0) / total) if total > 0 else 0.0


def network_checkerboard(network: nn.Module, channels: int, geometry: Geometry) -> float:
    """Measure the checkerboard artefact of a network in evaluation mode on a constant image of 0.5.

    Parameters
    ----------
    network : Module
    channels : int
        Number of channels of the input.
    geometry : Geometry
        Geometry of the network.

    Returns
    -------
    float
        Share of energy from 0 to 1, see `checkerboard`.
    """
    margin = geometry.halo if geometry.padded else (0,) * geometry.dims
    size = geometry.input_size(geometry.multiple)
    like = next(network.parameters())
    image = torch.full((1, channels, *size), 0.5, dtype=like.dtype, device=like.device)
    return checkerboard(network, geometry.multiple, margin, image)


def count_parameters(network: nn.Module) -> int:
    """Count the parameters of a network, learned or fixed; running statistics do not count."""
    return sum(parameter.numel() for parameter in network.parameters())


def count_operations(make: Callable[[], nn.Module], channels: int, size: Sequence[int]) -> int:
    """Count the floating-point operations (2 per multiplication and addition) of one tile, without computing them.

    Parameters
    ----------
    make : function
        Function without arguments that returns the network.
    channels : int
        Number of channels of the input.
    size : sequence of int
        Side lengths of the tile in pixels, including the halo.
    """
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        make().eval()(torch.empty(1, channels, *size))
    return counter.get_total_flops()
