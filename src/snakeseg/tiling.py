"""Overlap-tile strategy (Ronneberger et al. 2015, figure 2): where tiles lie, and what each must see."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

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


def lay_tiles(shape: Sequence[int], stride: Sequence[int]) -> Iterator[Tile]:
    """Tiles that cover an image of this shape exactly once, in C order."""
    for start in product(*(range(0, size, step) for size, step in zip(shape, stride, strict=True))):
        stop = tuple(min(a + step, size) for a, step, size in zip(start, stride, shape, strict=True))
        yield Tile(start, stop)


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
    start, size : sequence of int
        First index (may be negative) and extent of the region along each spatial axis.

    Returns
    -------
    array, shape (..., *size)
    """
    for axis, (first, extent) in enumerate(zip(start, size, strict=True), start=array.ndim - len(size)):
        length = array.shape[axis]
        if first >= 0 and first + extent <= length:
            array = array[(slice(None),) * axis + (slice(first, first + extent),)]
        else:
            array = array.take(mirror_indices(first, first + extent, length), axis=axis)
    return array
