"""What can be measured of any network: receptive field, checkerboard, parameters, operations."""

from bisect import bisect_left
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from snakeseg.networks.geometry import Geometry


def receptive_field(network: nn.Module, channels: int, geometry: Geometry, axis: int = 0) -> tuple[int, int]:
    """Measure how many pixels beyond a tile its output depends on, to the lower and to the higher side of an axis.

    Step response: all pixels on the far side of a line are changed, and the line is moved away from the tile until the
    tile's output no longer changes. Tiles start where a period of the network does; single pixels within a period look
    farther to one side and less far to the other.

    Parameters
    ----------
    network : Module
        In evaluation mode, in float64, without normalisation by the tile's own statistics.
    channels : int
        Of its input.
    geometry : Geometry
        Declared halo and multiple; fields up to two periods larger are measured.
    axis : int
        Spatial axis, counted from 0.

    Returns
    -------
    lower, higher : int
        At most the halo along the axis, if it is declared rightly.
    """
    halo, period = geometry.halo[axis], geometry.multiple[axis]
    farthest = halo + 2 * period
    start = halo + -(-farthest // period) * period
    stop = start + geometry.output_size(geometry.multiple)[axis]
    seen = [stop + farthest if each == axis else 1 for each in range(geometry.dims)]
    image, change = _random_images((1, channels, *geometry.input_size(seen)))

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


def _random_images(shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Seeded noise, and more of it, ten times as strong, to add."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(shape, generator=generator, dtype=torch.float64)
    return image, 10 * torch.randn(shape, generator=generator, dtype=torch.float64)


def checkerboard(
    answer: Callable[[torch.Tensor], torch.Tensor], period: Sequence[int], margin: Sequence[int], image: torch.Tensor
) -> float:
    """Share of a constant image's answer that repeats with the network's strides: 0 without a checkerboard, 1 at most.

    A constant in gives a constant out, away from the border, unless the way up treats pixels unevenly. What it then
    adds repeats every `period` pixels, so its spectral energy lies at the frequencies k / period, k = 1, 2, ...

    Parameters
    ----------
    answer : function
        The network or its decoder: image (1, channels, *spatial) to logits (1, classes, *spatial).
    period : sequence of int
        The product of its strides along each axis.
    margin : sequence of int
        Pixels along each border of the output that saw padding.
    image : tensor, shape (1, channels, *spatial)
        Constant, and large enough for an output of `period` pixels and two margins a side.

    Returns
    -------
    float
        Energy at the strides' frequencies over all energy, zero frequency included; 0 for an answer of zero.
    """
    with torch.inference_mode():
        out = answer(image)[0].double()
    block = out[(slice(None), *(slice(a, a + n) for a, n in zip(margin, period, strict=True)))]
    axes = tuple(range(1, block.ndim))
    energy = torch.fft.fftn(block, dim=axes, norm="forward").abs().square()
    total = energy.sum()
    constant = energy.flatten(1)[:, 0].sum()
    return float((total - constant).clamp(min=0) / total) if total > 0 else 0.0


def network_checkerboard(network: nn.Module, channels: int, geometry: Geometry) -> float:
    """The checkerboard of a network in evaluation mode, answering to a constant image of 0.5."""
    margin = geometry.halo if geometry.padded else (0,) * geometry.dims
    size = geometry.input_size(geometry.multiple)
    like = next(network.parameters())
    image = torch.full((1, channels, *size), 0.5, dtype=like.dtype, device=like.device)
    return checkerboard(network, geometry.multiple, margin, image)


def parameters(network: nn.Module) -> int:
    """Numbers that the network is made of, learned or fixed; running statistics do not count."""
    return sum(parameter.numel() for parameter in network.parameters())


def operations(make: Callable[[], nn.Module], channels: int, size: Sequence[int]) -> int:
    """Count the floating-point operations (2 per multiplication and addition) of one tile without computing any.

    Parameters
    ----------
    make : function
        Makes the network.
    channels : int
        Of its input.
    size : sequence of int
        Sides of the tile, halo included.
    """
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        make().eval()(torch.empty(1, channels, *size))
    return counter.get_total_flops()
