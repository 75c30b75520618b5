"""Arrays that are read on demand, and work that runs ahead of its use."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, product

import numpy as np

# Pixels that a pass over an array takes at once.
BLOCK = 2**22
Region = tuple[slice, ...]


@dataclass(frozen=True)
class Lazy:
    """An array of which only what is asked for is read: ``array[regions]`` gives NumPy's.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    read : function
        From a slice per axis, each with start and stop, to an array.
    chunks : tuple of int or None
        Shape of the pieces that are cheap to read.
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
        given = regions if isinstance(regions, tuple) else (regions,)
        given = (*given, *[slice(None)] * (self.ndim - len(given)))
        if any(region.step not in (None, 1) for region in given):
            raise IndexError(f"{given}; expected slices without steps")
        return self.read(tuple(slice(*r.indices(n)[:2]) for r, n in zip(given, self.shape, strict=True)))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def map(self, function: Callable[[np.ndarray], np.ndarray], dtype: np.dtype) -> "Lazy":
        """The same with a function of pixels applied to whatever is read."""
        return Lazy(self.shape, np.dtype(dtype), lambda region: function(self.read(region)), self.chunks)


def as_lazy(array) -> Lazy:
    """What has a shape, a type and slices, as a `Lazy`."""
    if isinstance(array, Lazy):
        return array
    return Lazy(tuple(array.shape), array.dtype, lambda region: array[region], getattr(array, "chunks", None))


def decoded_whole(shape: Sequence[int], dtype: np.dtype, decode: Callable[[], np.ndarray]) -> Lazy:
    """An array that can only be decoded whole: on the first read, once; its pixels are freed with the `Lazy`.

    Parameters
    ----------
    shape : sequence of int
    dtype : dtype
    decode : function
        Returns an array, or what has slices, of this shape and type.

    Raises
    ------
    ValueError
        On reading, if the array has another shape or type.
    """

    @cache
    def decoded():
        array = decode()
        if (tuple(array.shape), array.dtype) != (tuple(shape), dtype):
            raise ValueError(f"{array.dtype} pixels of shape {array.shape} under a header of {dtype} and {shape}")
        return array

    return Lazy(tuple(shape), np.dtype(dtype), lambda region: decoded()[region])


def box_of(array, box: Region) -> Lazy:
    """A box of an array-like, one slice per axis; the array itself if that is all of it."""
    source = as_lazy(array)
    if tuple(b.stop - b.start for b in box) == source.shape:
        return source

    def read(region: Region) -> np.ndarray:
        return source[tuple(slice(b.start + r.start, b.start + r.stop) for b, r in zip(box, region, strict=True))]

    return Lazy(tuple(b.stop - b.start for b in box), source.dtype, read)


def blocks(shape: Sequence[int], chunks: Sequence[int] | None = None, limit: int = BLOCK) -> Iterator[Region]:
    """Regions of at most about `limit` pixels that cover an array once, in C order, along its chunks if it has any."""
    sides = list(chunks or [1] * len(shape))
    for axis in reversed(range(len(sides))):
        room = limit // math.prod(sides)
        sides[axis] *= max(1, min(room, -(-shape[axis] // sides[axis])))
    return regions_of(shape, sides)


def regions_of(shape: Sequence[int], sides: Sequence[int]) -> Iterator[Region]:
    """Blocks with these sides that cover an array exactly once, in C order; those at its end may be smaller."""
    starts = (range(0, size, side) for size, side in zip(shape, sides, strict=True))
    for corner in product(*starts):
        yield tuple(slice(a, min(a + side, n)) for a, side, n in zip(corner, sides, shape, strict=True))


def overlap(first: Region, second: Region) -> bool:
    """Whether two regions share any pixel."""
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(first, second, strict=True))


def ahead(function: Callable, items: Iterable, depth: int = 2) -> Iterator:
    """`map` in a thread of its own that is at most `depth` results ahead of their use."""
    pool, waiting = ThreadPoolExecutor(1), deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def concatenate(arrays: Sequence, axis: int) -> Lazy:
    """Array-likes one after the other along an axis."""
    stops = list(accumulate(array.shape[axis] for array in arrays))
    shape = (*arrays[0].shape[:axis], stops[-1], *arrays[0].shape[axis + 1 :])

    def read(region: Region) -> np.ndarray:
        found = []
        for array, stop in zip(arrays, stops, strict=True):
            start = stop - array.shape[axis]
            first, last = max(region[axis].start, start), min(region[axis].stop, stop)
            if first < last:
                found.append(array[(*region[:axis], slice(first - start, last - start), *region[axis + 1 :])])
        return np.concatenate(found, axis) if len(found) > 1 else found[0]

    return Lazy(shape, arrays[0].dtype, read, getattr(arrays[0], "chunks", None))


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
