"""Grow objects into the narrow gaps between them."""

from itertools import product

import numpy as np
from scipy import ndimage

# Most pixels by which objects may grow; wider gaps are background.
MAX_GROWTH = 5


def grow_objects(objects: np.ndarray, pixels: int) -> np.ndarray:
    """Fill gaps of up to `2 * pixels` pixels between objects, half from each side.

    Training separates touching objects by a gap of two pixels, which growing by one pixel gives back. The filled pixels
    are those that a morphological closing adds to the foreground, with a square or cube of side ``2 * pixels + 1``.
    Each is assigned to its nearest object. Objects elsewhere keep their outline, except for inlets as narrow as a gap.

    Parameters
    ----------
    objects : integer array, shape (*spatial)
        Object ids, 0 is background.
    pixels : int
        0 to `MAX_GROWTH`. No object grows further than this along any axis.

    Returns
    -------
    array of the same shape and dtype
        Beyond the edge of the image, its outermost pixels are assumed to continue: a gap that ends at the edge is
        filled, and an object near the edge does not grow towards it. A pixel depends on those within ``2 * pixels``.
    """
    if not pixels:
        return objects
    grown = objects.copy()
    indices = np.nonzero(_closed(objects > 0, pixels) & (objects == 0))
    padded = np.pad(objects, pixels)
    # Nearest offsets first; of equally near ones, the first in C order, so that ids decide nothing.
    offsets = sorted(product(range(-pixels, pixels + 1), repeat=objects.ndim), key=lambda o: (sum(i * i for i in o), o))
    for offset in offsets:
        neighbours = padded[tuple(index + pixels + step for index, step in zip(indices, offset, strict=True))]
        is_found = neighbours > 0
        grown[tuple(index[is_found] for index in indices)] = neighbours[is_found]
        indices = tuple(index[~is_found] for index in indices)
    return grown


def _closed(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Close a mask with a square or cube of side ``2 * pixels + 1``."""
    margin = 2 * pixels  # the erosion reads the dilation up to `pixels` beyond the image, which reads as far again
    closed = np.pad(mask, margin, mode="edge").astype(np.uint8)
    for rank_filter in (ndimage.maximum_filter1d, ndimage.minimum_filter1d):
        for axis in range(mask.ndim):
            closed = rank_filter(closed, 2 * pixels + 1, axis)
    return closed[(slice(margin, -margin),) * mask.ndim].astype(bool)
