"""Resample images and labels lazily to another grid over the same extent."""

from collections.abc import Sequence

import numpy as np

from snakeseg.arrays import Lazy, Region, as_lazy

# Largest ratio of pixel sizes that count as equal: a trained network tolerates such a change of object sizes.
SAME_SPACING_RATIO = 1.2


def has_same_spacing(spacing: Sequence[float], other: Sequence[float]) -> bool:
    """Return True if two pixel sizes differ by at most a factor of `SAME_SPACING_RATIO` along each axis."""
    ratios = np.divide(spacing, other)
    return bool(ratios.max() <= SAME_SPACING_RATIO and ratios.min() >= 1 / SAME_SPACING_RATIO)


def grid_shape(shape: Sequence[int], spacing: Sequence[float], wanted: Sequence[float]) -> tuple[int, ...]:
    """Compute the shape of a grid with about the spacing `wanted` over the extent of an image.

    Parameters
    ----------
    shape : sequence of int
        Spatial shape of the image.
    spacing, wanted : sequence of float
        Pixel size of the image and of the new grid along each axis, in the same unit.

    Returns
    -------
    tuple of int
        Equal to `shape` if both spacings are equal.
    """
    return tuple(max(1, round(n * old / new)) for n, old, new in zip(shape, spacing, wanted, strict=True))


def on_spacing(array, spacing: Sequence[float], wanted: Sequence[float]):
    """Resample intensities to about the spacing `wanted`; return the array itself if its grid stays the same.

    Parameters
    ----------
    array : array-like, shape (channels, *spatial)
    spacing, wanted : sequence of float
        Pixel size of the array and of the new grid along each axis, in the same unit.

    Returns
    -------
    array-like, shape (channels, *new spatial)
    """
    shape = grid_shape(array.shape[1:], spacing, wanted)
    return array if shape == tuple(array.shape[1:]) else resampled(array, shape)


def resampled(array, shape: Sequence[int]) -> Lazy:
    """Resample intensities lazily to a finer or coarser grid by separable linear interpolation.

    Along an axis that gets coarser, the triangular kernel is widened to the new pixel size, so that every old pixel
    contributes (antialiasing).

    Parameters
    ----------
    array : array-like, shape (channels, *spatial)
    shape : sequence of int
        Spatial shape of the new grid.

    Returns
    -------
    Lazy, float32, shape (channels, *shape)
    """
    source = as_lazy(array)

    def read(region: Region) -> np.ndarray:
        supports = [_weights(r, n, m) for r, n, m in zip(region[1:], source.shape[1:], shape, strict=True)]
        pixels = source[(region[0], *(support for support, _ in supports))].astype(np.float32)
        for axis, (_, weights) in enumerate(supports, start=1):
            pixels = np.moveaxis(np.tensordot(weights, pixels, (1, axis)), 0, axis)
        return pixels

    return Lazy((source.shape[0], *shape), np.dtype(np.float32), read)


def resampled_classes(classes: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Resample classes: each new pixel gets the class with the largest interpolated share.

    Parameters
    ----------
    classes : integer array, shape (*spatial)
    shape : sequence of int
        Shape of the new grid.

    Returns
    -------
    array of the same dtype
        Of several classes with the same share, the smallest is taken.
    """
    if classes.shape == tuple(shape):
        return classes
    present = np.unique(classes)
    shares = np.stack([resampled((classes == value)[None], shape)[:][0] for value in present])
    return present[shares.argmax(axis=0)]


def nearest(array, shape: Sequence[int]) -> Lazy:
    """Resample labels lazily by nearest neighbour: take the old pixel that contains the centre of the new one.

    Parameters
    ----------
    array : array-like of integers, shape (*spatial)
    shape : sequence of int
        Shape of the new grid.

    Returns
    -------
    Lazy of the same dtype
    """
    source = as_lazy(array)

    def read(region: Region) -> np.ndarray:
        indices = [
            (2 * np.arange(r.start, r.stop) + 1) * n // (2 * m)
            for r, n, m in zip(region, source.shape, shape, strict=True)
        ]
        pixels = source[tuple(slice(int(index[0]), int(index[-1]) + 1) for index in indices)]
        return pixels[np.ix_(*(index - index[0] for index in indices))]

    return Lazy(tuple(shape), source.dtype, read)


def _weights(region: slice, old: int, new: int) -> tuple[slice, np.ndarray]:
    """Return the slice of old pixels that contribute to new ones, and their weights, shape (new pixels, old pixels)."""
    scale = old / new
    reach = max(scale, 1.0)
    centres = (np.arange(region.start, region.stop) + 0.5) * scale - 0.5
    low = int(np.clip(np.floor(centres[0] - reach), 0, old - 1))
    high = int(np.clip(np.ceil(centres[-1] + reach) + 1, low + 1, old))
    shares = np.clip(1 - np.abs(np.arange(low, high) - centres[:, None]) / reach, 0, None)
    return slice(low, high), (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
