"""Overlap-tile strategy (Ronneberger et al. 2015, figure 2): where tiles lie, and what each must see."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Geometry:
    """What a network asks of its input, the same along every axis.

    Parameters
    ----------
    halo : int
        Pixels of context that an output pixel's tile needs on each side.
    multiple : int
        The network is shift-equivariant only modulo this (2**depth).
    remainder : int
        Valid inputs n have ``n % multiple == remainder``.
    padded : bool
        Whether its output is as large as its input (of which the outermost `halo` pixels saw padding), or
        ``2 * halo`` smaller.
    tile_exact : bool
        Whether outputs depend on nothing but their halo, so that tiles equal one pass over the whole.
    smallest : int
        Smallest side of an image that leaves a pixel at the deepest level.
    """

    halo: int
    multiple: int
    remainder: int = 0
    padded: bool = False
    tile_exact: bool = True
    smallest: int = 1

    @property
    def training(self) -> "Geometry":
        """The same for training: a padded network sees no more than the patch."""
        return replace(self, halo=0) if self.padded else self

    @property
    def reach(self) -> int:
        """A halo that also holds what a valid input has to spare beyond the tile."""
        return self.input_size(self.multiple) - self.multiple - self.halo

    def output_size(self, size: int) -> int:
        """The smallest valid output that holds `size` pixels."""
        return size + (self.remainder - 2 * self.halo - size) % self.multiple

    def input_size(self, size: int) -> int:
        """The input that gives the smallest valid output holding `size` pixels."""
        return self.output_size(size) + 2 * self.halo


@dataclass(frozen=True)
class Tile:
    """One tile: `start` to `stop` is what it writes; it reads `size` pixels from `start - halo`, mirrored."""

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def region(self) -> tuple[slice, ...]:
        """The image region that this tile writes."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    def meets(self, box: Sequence[slice]) -> bool:
        """Whether it writes to any pixel of a box."""
        return all(a < part.stop and part.start < b for a, b, part in zip(self.start, self.stop, box, strict=True))


def tile_shape(shape: Sequence[int], geometry: Geometry, largest: int) -> tuple[int, ...]:
    """Stride of the tiles per axis: the image in as few equal tiles as `largest` allows.

    Strides are multiples of `geometry.multiple`, so that pooling falls on the same pixels in every tile.
    """
    step = geometry.multiple
    largest = max(largest // step, 1) * step
    strides = []
    for size in shape:
        tiles = -(-size // largest)
        strides.append(-(-size // (tiles * step)) * step)
    return tuple(strides)


def combine(geometries: Sequence[Geometry]) -> Geometry:
    """What tiles that several networks share must see: their own where all are alike, else a halo that holds all."""
    first = geometries[0]
    if all(geometry == first for geometry in geometries):
        return first
    step, halo = max(g.multiple for g in geometries), max(g.reach for g in geometries)
    return Geometry(halo, step, 2 * halo % step, tile_exact=all(g.tile_exact for g in geometries))


def magnified(geometry: Geometry, scale: float) -> Geometry:
    """What tiles must see, in their own pixels, for a network that looks at them magnified.

    Halos and strides are whole pixels before and after, so that every tile is magnified on the same grid.

    Parameters
    ----------
    geometry : Geometry
        Of the network.
    scale : float
        1 or more, a ratio of small whole numbers.
    """
    if scale == 1:
        return geometry
    whole = Fraction(scale).denominator
    halo = -(-math.ceil(geometry.reach / scale + REACH_OF_MAGNIFYING) // whole) * whole
    step = geometry.multiple * whole
    return Geometry(halo, step, 2 * halo % step, tile_exact=geometry.tile_exact)


# Pixels beyond its place that a magnified one is interpolated from.
REACH_OF_MAGNIFYING = 2
# Largest stride, by number of axes, where nothing is known of the device.
PLAIN_TILE = {2: 384, 3: 64}


# Times closer than this are alike: they scatter as much from one run to the next.
ALIKE = 1.03


class Sample(NamedTuple):
    """What one tile took that was tried: pixels of its input, seconds, bytes at most."""

    pixels: int
    seconds: float
    memory: float


class Costs(NamedTuple):
    """What tiles cost: samples of rising size, how often each tile is computed, and bytes that are taken anyhow."""

    samples: Sequence[Sample]
    passes: float = 1
    fixed: float = 0.0


class Plan(NamedTuple):
    """Tiles for an image: stride, number, pixels of input per pixel of the image, expected seconds and bytes."""

    stride: tuple[int, ...]
    tiles: int
    redundancy: float
    seconds: float
    memory: float


def plan_tiles(shape: Sequence[int], geometry: Geometry, costs: Costs, budget: float) -> Plan:
    """The tiles that are expected to be fastest (or all but that, in less memory) in a budget, rectangles allowed.

    The largest tiles waste the least on halos but overflow the processor's caches, so what tiles take is measured, not
    assumed; none larger than those measured are planned.

    Parameters
    ----------
    shape : sequence of int
        Of the image, without channels.
    geometry : Geometry
    costs : Costs
    budget : float
        In bytes; exceeded only where the smallest tiles do.
    """
    largest = costs.samples[-1].pixels
    strides = product(*(_strides(size, geometry) for size in shape))
    known = [s for s in strides if _passes(shape, s, geometry)[1] <= largest]
    plans = [price_tiles(shape, s, geometry, costs) for s in known or [(geometry.multiple,) * len(shape)]]
    fitting = [plan for plan in plans if plan.memory <= budget]
    if not fitting:  # nearly the least, but not at any price
        least = min(plan.memory for plan in plans) - costs.fixed
        fitting = [plan for plan in plans if plan.memory - costs.fixed <= 1.5 * least]
    fastest = min(plan.seconds for plan in fitting)
    return min(
        (plan for plan in fitting if plan.seconds <= ALIKE * fastest), key=lambda plan: (plan.memory, plan.seconds)
    )


def price_tiles(shape: Sequence[int], stride: Sequence[int], geometry: Geometry, costs: Costs) -> Plan:
    """What tiles of this stride cost over an image."""
    tiles, pixels = _passes(shape, stride, geometry)
    sizes, times, memory = np.array(costs.samples).T
    # Per pixel, which changes little from one size to the next, or beyond them.
    rate = float(np.interp(np.log(pixels), np.log(sizes), times / sizes))
    taken = np.interp(pixels, sizes, memory) if pixels > sizes[0] else memory[0] * pixels / sizes[0]
    redundancy = tiles * pixels / math.prod(shape)
    return Plan(tuple(stride), tiles, redundancy, tiles * pixels * rate * costs.passes, costs.fixed + float(taken))


def is_blended(shape: Sequence[int], stride: Sequence[int], geometry: Geometry) -> bool:
    """Whether tiles must be blended: there are several, of a network whose answers depend on the tile."""
    return not geometry.tile_exact and any(size > step for size, step in zip(shape, stride, strict=True))


def _passes(shape: Sequence[int], stride: Sequence[int], geometry: Geometry) -> tuple[int, int]:
    """How often the network is run, on how many pixels; what is blended takes windows around the tiles' corners."""
    blended = is_blended(shape, stride, geometry)
    count = math.prod(-(-size // step) + blended for size, step in zip(shape, stride, strict=True))
    return count, math.prod(geometry.input_size(step * (1 + blended)) for step in stride)


def _strides(size: int, geometry: Geometry) -> list[int]:
    """Strides worth trying along an axis: for 1, 2, 3, ... equal tiles, but none within a tenth of the one before."""
    found, step = [-(-size // geometry.multiple) * geometry.multiple], geometry.multiple
    while found[-1] > step:
        tiles = -(-size // max(step, int(0.9 * found[-1]) // step * step))
        found.append(-(-size // (tiles * step)) * step)
    return found


def lay_tiles(shape: Sequence[int], stride: Sequence[int]) -> Iterator[Tile]:
    """Tiles that cover an image of this shape exactly once, in C order."""
    for start in product(*(range(0, size, step) for size, step in zip(shape, stride, strict=True))):
        stop = tuple(min(a + step, size) for a, step, size in zip(start, stride, shape, strict=True))
        yield Tile(start, stop)


def part_of(size: int, stride: int, index: int, count: int) -> tuple[int, int]:
    """Where along an axis one of `count` parts of whole tiles starts and stops; it may be empty."""
    tiles = -(-size // stride)
    return min(size, tiles * index // count * stride), min(size, tiles * (index + 1) // count * stride)


def tiles_of_part(shape: Sequence[int], stride: Sequence[int], index: int, count: int) -> list[Tile]:
    """The tiles of one of `count` parts of an image, which is cut along its first axis."""
    first, last = part_of(shape[0], stride[0], index, count)
    return [tile for tile in lay_tiles(shape, stride) if first <= tile.start[0] < last]


def mirror_indices(start: int, stop: int, size: int) -> np.ndarray:
    """Indices start..stop folded back into 0..size-1 by mirroring at the border pixels, as often as needed."""
    if size == 1:
        return np.zeros(stop - start, dtype=np.intp)
    period = 2 * (size - 1)
    folded = np.arange(start, stop) % period
    return np.minimum(folded, period - folded)


def read_mirrored(array: np.ndarray, start: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """A region of the mirrored continuation of an array.

    Parameters
    ----------
    array : array, shape (..., *spatial)
        NumPy's, or anything that gives one for a tuple of slices; no more of it is read than the region needs.
    start, size : sequence of int
        First index (may be negative) and extent of the region along each spatial axis.

    Returns
    -------
    array, shape (..., *size)
    """
    leading = array.ndim - len(size)
    indices = [mirror_indices(a, a + n, m) for a, n, m in zip(start, size, array.shape[leading:], strict=True)]
    lows = [int(index.min()) for index in indices]
    highs = [int(index.max()) + 1 for index in indices]
    region = array[(slice(None),) * leading + tuple(map(slice, lows, highs))]
    for axis, (first, index, low) in enumerate(zip(start, indices, lows, strict=True), start=leading):
        if first < 0 or first + len(index) > array.shape[axis]:
            region = region.take(index - low, axis=axis)
    return region
