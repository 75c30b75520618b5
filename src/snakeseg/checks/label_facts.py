"""Measurements of a label image: its values, its appearance, and the sizes and defects of its objects."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected_components

from snakeseg.transforms.labels import find_ids_at_edge, number_objects

EXTENT_PERCENTILES = (5, 50, 95)
# Number of bins per doubling in the histogram of the extents of objects.
BINS_PER_DOUBLING = 4
# Maximum size of a speck, as a share of the number of pixels of the median object.
MAX_SPECK_SIZE = 0.02
# Maximum number of values in a label image of classes.
MAX_CLASS_VALUES = 8


def value_facts(label: np.ndarray) -> dict:
    """Describe the values of a label image, and classify its appearance as classes, ids or mask.

    Parameters
    ----------
    label : integer array, shape (*spatial)
        Label image with the values of the file.

    Returns
    -------
    dict
        values (as text); ids (number of positive values, since negative ones mark pixels without annotation); gaps
        (number of positive values missing below the largest); split (number of fragmented ids: in several pieces that
        do not touch, not even at a corner, at least one of them away from the edge of the image); split_ids (the first
        three, as text); split_at (index of a pixel of the smallest such piece away from the edge, as text);
        looks_like (from `appearance_of`; there, ids whose pieces all reach the edge count as fragmented, too).
    """
    values = np.unique(label)
    ids = values[values > 0]
    numbers = number_objects(np.maximum(label, 0))
    pieces = connected_components(numbers, background=0, connectivity=numbers.ndim)
    owners = np.zeros(pieces.max(initial=0) + 1, np.int64)
    owners[pieces] = numbers
    in_pieces = np.bincount(owners, minlength=len(ids) + 1) > 1
    # Pieces that all reach the edge of the image may be connected outside of it.
    inside = _away_from_edge(pieces, len(owners) - 1)
    fragmented = in_pieces & (np.bincount(owners, inside, minlength=len(ids) + 1) > 0)
    split = ids[fragmented[1:]]
    sizes = np.where(fragmented[owners] & inside, np.bincount(pieces.ravel()), pieces.size)
    few = len(values) <= MAX_CLASS_VALUES
    text = " ".join(map(str, values)) if few else f"{values[0]} to {values[-1]}, {len(values)}"
    return {
        "values": text,
        "ids": len(ids),
        "gaps": int(ids.max(initial=0)) - int((ids > 0).sum()),
        "split": len(split),
        "split_ids": " ".join(map(str, split[:3])),
        "split_at": _first_pixel(pieces == sizes.argmin()) if len(split) else "",
        "looks_like": appearance_of(len(ids), int(in_pieces[1:].sum())),
    }


def appearance_of(ids: int, split: int) -> str:
    """Classify a label image by its number of ids and of fragmented ids.

    Parameters
    ----------
    ids : int
        Number of values other than 0.
    split : int
        Number of ids in several pieces.

    Returns
    -------
    str
        "nothing" (no ids); "object" (one id in one piece); "mask" (one id in several pieces); "classes" (few ids, most
        of them in several pieces); "ids" (all others).
    """
    if ids < 2:
        return ("nothing", "mask" if split else "object")[ids]
    return "classes" if ids < MAX_CLASS_VALUES and 2 * split > ids else "ids"


def object_facts(objects: np.ndarray) -> dict:
    """Measure the sizes and defects of the objects of a label image.

    Parameters
    ----------
    objects : int array, shape (*spatial)
        Objects 1..n, 0 for background; objects may touch.

    Returns
    -------
    dict
        objects (number); extent_5, extent_50, extent_95 (percentiles of the longest side of the bounding boxes, in
        pixels; missing without objects); extents (list: number of objects with
        ``BINS_PER_DOUBLING * log2(extent)`` from 0 to 1, 1 to 2, ...); specks (number of objects of at most
        `MAX_SPECK_SIZE` of the median size, except at the edge of the image); holes (number of objects that enclose
        background); speck_at, hole_at (index of a pixel of the smallest speck, of the first hole, as text); touching
        (number of objects that share a pixel face with another).
    """
    sizes = np.bincount(objects.ravel())[1:]
    if not len(sizes):
        return {"objects": 0, "extents": [], "specks": 0, "holes": 0, "touching": 0}
    # Objects cut off by the edge of the image may be small.
    small = (sizes <= MAX_SPECK_SIZE * np.median(sizes)) & _away_from_edge(objects, len(sizes))[1:]
    surrounding, hole_at = _holes(objects)
    extents = np.array([max(side.stop - side.start for side in box) for box in ndimage.find_objects(objects)])
    percentiles = np.percentile(extents, EXTENT_PERCENTILES).tolist()
    return {
        "objects": len(sizes),
        **{f"extent_{percent}": value for percent, value in zip(EXTENT_PERCENTILES, percentiles, strict=True)},
        "extents": np.bincount((BINS_PER_DOUBLING * np.log2(extents)).astype(int)).tolist(),
        "specks": int(small.sum()),
        "speck_at": _first_pixel(objects == 1 + np.where(small, sizes, sizes.max() + 1).argmin())
        if small.any()
        else "",
        "holes": len(surrounding),
        "hole_at": hole_at,
        "touching": len(_touching(objects)),
    }


def _away_from_edge(objects: np.ndarray, count: int) -> np.ndarray:
    """Return a mask of the numbers 0 to `count` that do not reach the edge; an axis of one pixel has no edge."""
    return ~np.isin(np.arange(count + 1), find_ids_at_edge(objects.squeeze()))


def _first_pixel(mask: np.ndarray) -> str:
    """Format the index of the first True pixel, one number per axis."""
    return " ".join(map(str, np.unravel_index(mask.argmax(), mask.shape)))


def _holes(objects: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the ids of objects with holes, and the index of a pixel of the first hole.

    A hole is a component of the background that neither reaches the edge of the image nor touches a second object.
    """
    background, count = ndimage.label(objects == 0)
    # Smallest and largest id of the objects around each component of the background.
    lowest, highest = np.full(count + 1, np.iinfo(np.int64).max), np.zeros(count + 1, np.int64)
    for axis in range(objects.ndim):
        for hole, neighbour in _neighbours(background, objects, axis):
            adjacent = (hole > 0) & (neighbour > 0)
            np.minimum.at(lowest, hole[adjacent], neighbour[adjacent])
            np.maximum.at(highest, hole[adjacent], neighbour[adjacent])
        lowest[background.take([0, -1], axis)] = 0
    holes = (lowest == highest) & (lowest > 0)
    return np.unique(highest[holes]), _first_pixel(holes[background]) if holes.any() else ""


def _touching(objects: np.ndarray) -> np.ndarray:
    """Return the ids of objects that share a pixel face with another object."""
    ids = [
        first[(first != second) & (first > 0) & (second > 0)]
        for axis in range(objects.ndim)
        for first, second in _neighbours(objects, objects, axis)
    ]
    return np.unique(np.concatenate(ids))


def _neighbours(first: np.ndarray, second: np.ndarray, axis: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pixels of `first` with their next, then with their previous neighbours along an axis in `second`."""
    first, second = np.swapaxes(first, 0, axis), np.swapaxes(second, 0, axis)
    yield first[:-1], second[1:]
    yield first[1:], second[:-1]
