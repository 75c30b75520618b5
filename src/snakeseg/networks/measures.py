"""What can be measured of any network: receptive field, checkerboard, parameters, operations."""

from bisect import bisect_left
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from snakeseg.networks.geometry import Geometry


def receptive_field(network: nn.Module, dims: int, channels: int, geometry: Geometry) -> tuple[int, int]:
    """How many pixels beyond a tile its output depends on, to the lower and to the higher side of the first axis.

    Step response: all pixels on the far side of a line are changed, and the line is moved away from the tile until the
    tile's output no longer changes. Tiles start where a period of the network does; single pixels within a period look
    farther to one side and less far to the other.

    Parameters
    ----------
    network : Module
        In evaluation mode, in float64, without normalisation by the tile's own statistics.
    dims, channels : int
        Of its input.
    geometry : Geometry
        Declared halo and multiple; fields up to two periods larger are measured.

    Returns
    -------
    lower, higher : int
        At most the halo, if the halo is declared rightly.
    """
    farthest = geometry.halo + 2 * geometry.multiple
    periods = -(-farthest // geometry.multiple)
    start = geometry.halo + periods * geometry.multiple
    stop = start + geometry.output_size(geometry.multiple)
    outer = geometry.input_size(stop + farthest)
    shape = (1, channels, outer, *[geometry.input_size(1)] * (dims - 1))
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(shape, generator=generator, dtype=torch.float64)
    change = 10 * torch.randn(shape, generator=generator, dtype=torch.float64)

    def tile(image: torch.Tensor) -> torch.Tensor:
        out = network(image)
        origin = (outer - out.shape[2]) // 2
        return out[:, :, start - origin : stop - origin]

    def depends(region: slice) -> bool:
        seen = image.clone()
        seen[:, :, region] += change[:, :, region]
        return not torch.equal(tile(seen), before)

    with torch.inference_mode():
        before = tile(image)
        distances = range(farthest + 1)
        lower = bisect_left(distances, True, key=lambda d: not depends(slice(0, start - d)))
        higher = bisect_left(distances, True, key=lambda d: not depends(slice(stop + d, None)))
    return lower, higher


def checkerboard(
    answer: Callable[[torch.Tensor], torch.Tensor], period: int, margin: int, image: torch.Tensor
) -> float:
    """Share of a constant image's answer that repeats with the network's strides: 0 without a checkerboard, 1 at most.

    A constant in gives a constant out, away from the border, unless the way up treats pixels unevenly. What it then
    adds repeats every `period` pixels, so its spectral energy lies at the frequencies k / period, k = 1, 2, ...

    Parameters
    ----------
    answer : function
        The network or its decoder: image (1, channels, *spatial) to logits (1, classes, *spatial).
    period : int
        The product of its strides.
    margin : int
        Pixels along the border of the output that saw padding.
    image : tensor, shape (1, channels, *spatial)
        Constant, and large enough for an output of `period` pixels and two margins a side.

    Returns
    -------
    float
        Energy at the strides' frequencies over all energy, zero frequency included; 0 for an answer of zero.
    """
    with torch.inference_mode():
        out = answer(image)[0].double()
    block = out[(slice(None), *[slice(margin, margin + period)] * (out.ndim - 1))]
    axes = tuple(range(1, block.ndim))
    energy = torch.fft.fftn(block, dim=axes, norm="forward").abs().square()
    total = energy.sum()
    constant = energy.flatten(1)[:, 0].sum()
    return float((total - constant).clamp(min=0) / total) if total > 0 else 0.0


def network_checkerboard(network: nn.Module, dims: int, channels: int, geometry: Geometry) -> float:
    """The checkerboard of a network in evaluation mode, answering to a constant image of 0.5."""
    margin = geometry.halo if geometry.padded else 0
    size = geometry.input_size(geometry.multiple)
    like = next(network.parameters())
    image = torch.full((1, channels, *[size] * dims), 0.5, dtype=like.dtype, device=like.device)
    return checkerboard(network, geometry.multiple, margin, image)


def parameters(network: nn.Module) -> int:
    """Numbers that the network is made of, learned or fixed; running statistics do not count."""
    return sum(parameter.numel() for parameter in network.parameters())


def operations(make: Callable[[], nn.Module], dims: int, channels: int, size: int) -> int:
    """Floating-point operations (2 per multiplication and addition) of one tile, counted without computing any.

    Parameters
    ----------
    make : function
        Makes the network.
    dims, channels : int
        Of its input.
    size : int
        Side of the tile, halo included.
    """
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        make().eval()(torch.empty(1, channels, *[size] * dims))
    return counter.get_total_flops()
