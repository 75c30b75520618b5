"""Grow objects into the narrow gaps between them."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy import ndimage

from snakeseg.arrays import grid_regions

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


def grow_blocks(
    objects, measured: tuple[np.ndarray, np.ndarray], pixels: int, block: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Grow objects block by block, in place, with the result of `grow_objects` on the whole image.

    Parameters
    ----------
    objects : writable array-like of unsigned int, shape (*spatial)
        Ids 1..n. A pixel that the object i gains gets the id n + i, which tells it from the pixels that were there
        before, when a neighbouring block reads them.
    measured : tuple of int arrays, shape (n,)
        Sizes in pixels of the ids, and flat C indices of their first pixels. Ids of size 0 are background.
    pixels : int
        1 to `MAX_GROWTH`.
    block : sequence of int
        Side lengths of a block, in pixels, one per axis.

    Returns
    -------
    sizes, firsts : int arrays, shape (2 n,)
        The same for the ids 1..2n. The first pixel of an id without pixels is the number of pixels of the image.

    Raises
    ------
    ValueError
        If the dtype of `objects` is too small for the ids.
    """
    (sizes, firsts), shape = measured, tuple(objects.shape)
    count, dtype = len(sizes), np.dtype(objects.dtype)
    if 2 * count > np.iinfo(dtype).max:
        raise ValueError(f"{2 * count} provisional ids do not fit {dtype}; expected objects of a wider dtype")
    is_object = np.concatenate([[False], sizes > 0, np.zeros(count, bool)])
    gained_sizes, gained_firsts = np.zeros_like(sizes), np.full_like(firsts, np.prod(shape))
    for region in grid_regions(shape, block):
        wider = tuple(
            slice(max(side.start - 2 * pixels, 0), min(side.stop + 2 * pixels, size))
            for side, size in zip(region, shape, strict=True)
        )
        core = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(region, wider, strict=True))
        ids = np.asarray(objects[wider])
        kept = np.where(is_object[ids], ids, 0)
        gained = np.where(kept[core] > 0, 0, grow_objects(kept, pixels)[core])
        objects[region] = np.where(gained > 0, gained + dtype.type(count), ids[core])
        indices = np.nonzero(gained)
        rows = gained[indices].astype(np.intp) - 1
        in_image = tuple(index + side.start for index, side in zip(indices, region, strict=True))
        np.add.at(gained_sizes, rows, 1)
        np.minimum.at(gained_firsts, rows, np.ravel_multi_index(in_image, shape))
    return np.append(sizes, gained_sizes), np.append(firsts, gained_firsts)


def _closed(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Close a mask with a square or cube of side ``2 * pixels + 1``."""
    margin = 2 * pixels  # the erosion reads the dilation up to `pixels` beyond the image, which reads as far again
    closed = np.pad(mask, margin, mode="edge").astype(np.uint8)
    for rank_filter in (ndimage.maximum_filter1d, ndimage.minimum_filter1d):
        for axis in range(mask.ndim):
            closed = rank_filter(closed, 2 * pixels + 1, axis)
    return closed[(slice(margin, -margin),) * mask.ndim].astype(bool)
