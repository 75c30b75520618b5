"""Grow objects block by block, in images of any size."""

from collections.abc import Sequence

import numpy as np

from snakeseg.arrays import grid_regions
from snakeseg.transforms.grow import grow_objects


def grow_blocks(
    objects, measured: tuple[np.ndarray, np.ndarray], pixels: int, block: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Grow objects block by block, in place, with the result of `grow_objects` on the whole image.

    Parameters
    ----------
    objects : writable array-like of unsigned int, shape (*spatial)
        Ids 1..n. A pixel that the object i gains gets the id n + i, so that a neighbouring block that
        reads it can distinguish it from the pixels of i before growing.
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
