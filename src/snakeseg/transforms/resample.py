"""Arrays on another grid over the same extent, computed where they are asked for."""

from collections.abc import Sequence

import numpy as np

from snakeseg.arrays import Lazy, Region, as_lazy

# Pixel sizes that differ by at most this factor count as one: a network that has seen objects of one size takes them.
SAME_SPACING = 1.2


def grid_shape(shape: Sequence[int], spacing: Sequence[float], wanted: Sequence[float]) -> tuple[int, ...]:
    """Pixels along each axis of a grid of about the wanted spacing over the same extent; the very same if it has it."""
    return tuple(max(1, round(n * old / new)) for n, old, new in zip(shape, spacing, wanted, strict=True))


def on_spacing(array, spacing: Sequence[float], wanted: Sequence[float]):
    """Grey values (channels, *spatial) on a grid of the wanted spacing; the array itself if that is its own grid."""
    shape = grid_shape(array.shape[1:], spacing, wanted)
    return array if shape == tuple(array.shape[1:]) else resampled(array, shape)


def resampled(array, shape: Sequence[int]) -> Lazy:
    """Grey values on a finer or coarser grid.

    Between pixels, linear interpolation; where the grid gets coarser along an axis, the triangle is widened to the new
    pixels, so that none of the old ones is left out.

    Parameters
    ----------
    array : array-like, shape (channels, *spatial)
    shape : sequence of int
        Of the new grid, without channels.

    Returns
    -------
    Lazy, float32, shape (channels, *shape)
    """
    source = as_lazy(array)

    def read(region: Region) -> np.ndarray:
        supports = [_weights(r, n, m) for r, n, m in zip(region[1:], source.shape[1:], shape, strict=True)]
        found = source[(region[0], *(seen for seen, _ in supports))].astype(np.float32)
        for axis, (_, weights) in enumerate(supports, start=1):
            found = np.moveaxis(np.tensordot(weights, found, (1, axis)), 0, axis)
        return found

    return Lazy((source.shape[0], *shape), np.dtype(np.float32), read)


def resampled_classes(classes: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Classes (*spatial) on another grid: of each new pixel, the one with the largest share (of equals, the first)."""
    if classes.shape == tuple(shape):
        return classes
    present = np.unique(classes)
    shares = np.stack([resampled((classes == value)[None], shape)[:][0] for value in present])
    return present[shares.argmax(axis=0)]


def nearest(array, shape: Sequence[int]) -> Lazy:
    """Labels (*spatial) on another grid: of the pixel that holds the new one's centre."""
    source = as_lazy(array)

    def read(region: Region) -> np.ndarray:
        where = [
            (2 * np.arange(r.start, r.stop) + 1) * n // (2 * m)
            for r, n, m in zip(region, source.shape, shape, strict=True)
        ]
        found = source[tuple(slice(int(index[0]), int(index[-1]) + 1) for index in where)]
        return found[np.ix_(*(index - index[0] for index in where))]

    return Lazy(tuple(shape), source.dtype, read)


def _weights(region: slice, old: int, new: int) -> tuple[slice, np.ndarray]:
    """The old pixels that a run of new ones is made of, and the shares, shape (new ones, old ones)."""
    scale = old / new
    reach = max(scale, 1.0)
    centres = (np.arange(region.start, region.stop) + 0.5) * scale - 0.5
    low = int(np.clip(np.floor(centres[0] - reach), 0, old - 1))
    high = int(np.clip(np.ceil(centres[-1] + reach) + 1, low + 1, old))
    shares = np.clip(1 - np.abs(np.arange(low, high) - centres[:, None]) / reach, 0, None)
    return slice(low, high), (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
