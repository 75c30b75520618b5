"""Lazily read arrays, iteration over their blocks, and prefetching."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, product

import numpy as np

# Largest number of pixels that a pass over an array holds in memory.
MAX_BLOCK_PIXELS = 2**22
Region = tuple[slice, ...]


@dataclass(frozen=True)
class Lazy:
    """Array that is read on demand: ``array[regions]`` reads these regions and returns them as a NumPy array.

    Parameters
    ----------
    shape : tuple of int
        Length of each axis, in pixels.
    dtype : dtype
    read : function
        Reads a region. Takes a tuple with a slice (start and stop, no step) for each axis and returns a NumPy array.
    chunks : tuple of int, optional
        Shape of the pieces in which the array is stored. Reads that follow their borders are the fastest.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[Region], np.ndarray]
    chunks: tuple[int, ...] | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, regions) -> np.ndarray:
        slices = regions if isinstance(regions, tuple) else (regions,)
        slices = (*slices, *[slice(None)] * (self.ndim - len(slices)))
        if any(part.step not in (None, 1) for part in slices):
            raise IndexError(f"{slices}; expected slices without steps")
        return self.read(tuple(slice(*part.indices(n)[:2]) for part, n in zip(slices, self.shape, strict=True)))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def map(self, function: Callable[[np.ndarray], np.ndarray], dtype: np.dtype) -> "Lazy":
        """Return a lazy array of type `dtype` that applies a pixelwise function to each region after it is read."""
        return Lazy(self.shape, np.dtype(dtype), lambda region: function(self.read(region)), self.chunks)


def as_lazy(array) -> Lazy:
    """Wrap an array-like (with shape, dtype and slicing) in a `Lazy`; return a `Lazy` unchanged."""
    if isinstance(array, Lazy):
        return array
    return Lazy(tuple(array.shape), array.dtype, lambda region: array[region], getattr(array, "chunks", None))


def decode_on_first_read(shape: Sequence[int], dtype: np.dtype, decode: Callable[[], np.ndarray]) -> Lazy:
    """Return a lazy array for a source that can only be decoded as a whole.

    The first read decodes it, later reads reuse the pixels, and these are freed together with the `Lazy`.

    Parameters
    ----------
    shape : sequence of int
    dtype : dtype
    decode : function
        Returns the decoded array-like, which must have this shape and type.

    Raises
    ------
    ValueError
        On the first read, if the decoded array has another shape or type.
    """

    @cache
    def decoded():
        array = decode()
        if (tuple(array.shape), array.dtype) != (tuple(shape), dtype):
            raise ValueError(f"{array.dtype} pixels of shape {array.shape} under a header of {dtype} and {shape}")
        return array

    return Lazy(tuple(shape), np.dtype(dtype), lambda region: decoded()[region])


def crop_box(array, box: Region) -> Lazy:
    """Return the part of an array-like in a box (one slice per axis) as a lazy array."""
    source = as_lazy(array)
    if tuple(b.stop - b.start for b in box) == source.shape:
        return source

    def read(region: Region) -> np.ndarray:
        return source[tuple(slice(b.start + r.start, b.start + r.stop) for b, r in zip(box, region, strict=True))]

    return Lazy(tuple(b.stop - b.start for b in box), source.dtype, read)


def iterate_blocks(
    shape: Sequence[int], chunks: Sequence[int] | None = None, limit: int = MAX_BLOCK_PIXELS
) -> Iterator[Region]:
    """Divide an array into blocks that follow its chunks.

    Parameters
    ----------
    shape : sequence of int
    chunks : sequence of int, optional
        Shape of the chunks; by default single pixels.
    limit : int
        Largest number of pixels in a block; a single chunk may be larger.

    Yields
    ------
    tuple of slice
        Regions that cover the array exactly once, in C order.
    """
    sides = list(chunks or [1] * len(shape))
    for axis in reversed(range(len(sides))):
        factor = limit // math.prod(sides)
        sides[axis] *= max(1, min(factor, -(-shape[axis] // sides[axis])))
    return grid_regions(shape, sides)


def grid_regions(shape: Sequence[int], sides: Sequence[int]) -> Iterator[Region]:
    """Divide an array into blocks with the side lengths `sides`, in C order; blocks at the far edges may be smaller."""
    starts = (range(0, size, side) for size, side in zip(shape, sides, strict=True))
    for corner in product(*starts):
        yield tuple(slice(a, min(a + side, n)) for a, side, n in zip(corner, sides, shape, strict=True))


def regions_overlap(first: Region, second: Region) -> bool:
    """Return True if two regions share at least one pixel."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(first, second, strict=True))


def prefetch_results(function: Callable, items: Iterable, depth: int = 2) -> Iterator:
    """Apply a function to all items in a background thread, at most `depth` results ahead of the consumer."""
    pool, pending = ThreadPoolExecutor(1), deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def concatenate(arrays: Sequence, axis: int) -> Lazy:
    """Concatenate array-likes of one dtype along an axis, lazily."""
    stops = list(accumulate(array.shape[axis] for array in arrays))
    shape = (*arrays[0].shape[:axis], stops[-1], *arrays[0].shape[axis + 1 :])

    def read(region: Region) -> np.ndarray:
        pieces = []
        for array, stop in zip(arrays, stops, strict=True):
            start = stop - array.shape[axis]
            first, last = max(region[axis].start, start), min(region[axis].stop, stop)
            if first < last:
                pieces.append(array[(*region[:axis], slice(first - start, last - start), *region[axis + 1 :])])
        return np.concatenate(pieces, axis) if len(pieces) > 1 else pieces[0]

    return Lazy(shape, arrays[0].dtype, read, getattr(arrays[0], "chunks", None))


def mirror_indices(start: int, stop: int, size: int) -> np.ndarray:
    """Fold the indices start..stop-1 back into 0..size-1 by mirroring at the border pixels, as often as needed."""
    if size == 1:
        return np.zeros(stop - start, dtype=np.intp)
    period = 2 * (size - 1)
    folded = np.arange(start, stop) % period
    return np.minimum(folded, period - folded)


def read_mirrored(array: np.ndarray, start: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """Read a region of an array that is continued by mirroring at its border pixels.

    Parameters
    ----------
    array : array-like, shape (..., *spatial)
        NumPy array or lazy array. Only the pixels that the region needs are read.
    start, size : sequence of int
        First index (may be negative) and length of the region along each spatial axis, in pixels.

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
