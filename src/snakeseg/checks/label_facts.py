"""What a label holds, in numbers that a rule can judge."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected_components

from snakeseg.transforms.labels import ids_at_edge, number_objects

EXTENTS = (5, 50, 95)
# Steps of the histogram of objects' extents for each doubling.
STEPS = 4
# An object of this share of the median object's pixels, or less, is a speck.
SPECK = 0.02
# Labels of no more values than this may be classes.
FEW = 8


def value_facts(label: np.ndarray) -> dict:
    """Which values a label holds, and whether they look like classes, like ids, or like a mask.

    Parameters
    ----------
    label : integer array, shape (*spatial)
        As in the file.

    Returns
    -------
    dict
        values (in words); ids (how many values but 0); gaps (values that are missing below the largest); split (ids in
        several pieces that do not touch, corners included, not all of them at the image's edge); split_ids (in words,
        the first three); split_at (place of the smallest such piece away from the edge, in words); looks_like: see
        `looks_like`, of all ids in several pieces.
    """
    values = np.unique(label)
    ids = values[values != 0]
    numbers = number_objects(label)
    pieces = connected_components(numbers, background=0, connectivity=numbers.ndim)
    owners = np.zeros(pieces.max(initial=0) + 1, np.int64)
    owners[pieces] = numbers
    several = np.bincount(owners, minlength=len(ids) + 1) > 1
    # Pieces that all reach the image's edge may meet outside.
    inside = _away_from_edge(pieces, len(owners) - 1)
    apart = several & (np.bincount(owners, inside, minlength=len(ids) + 1) > 0)
    split = ids[apart[1:]]
    sizes = np.where(apart[owners] & inside, np.bincount(pieces.ravel()), pieces.size)
    return {
        "values": " ".join(map(str, values)) if len(values) <= FEW else f"{values[0]} to {values[-1]}, {len(values)}",
        "ids": len(ids),
        "gaps": int(ids.max(initial=0)) - int((ids > 0).sum()),
        "split": len(split),
        "split_ids": " ".join(map(str, split[:3])),
        "split_at": _place(pieces == sizes.argmin()) if len(split) else "",
        "looks_like": looks_like(len(ids), int(several[1:].sum())),
    }


def looks_like(ids: int, split: int) -> str:
    """What a label of so many ids means, so many of which lie in several pieces.

    Returns
    -------
    str
        "nothing"; "object", one alone; "mask", one value for many pieces; "classes", few values, most of them in
        several pieces; "ids".
    """
    if ids < 2:
        return ("nothing", "mask" if split else "object")[ids]
    return "classes" if ids < FEW and 2 * split > ids else "ids"


def object_facts(objects: np.ndarray) -> dict:
    """How many objects there are, how large, and how well they are drawn.

    Parameters
    ----------
    objects : int array, shape (*spatial)
        Objects 1..n; they may touch.

    Returns
    -------
    dict
        objects; extent_5, extent_50, extent_95 (percentiles of the longest side of their boxes, in pixels; left out if
        there are none); extents (list: how many have ``STEPS * log2(extent)`` from 0 to 1, 1 to 2, ...); specks
        (objects of hardly any pixels beside the others, but for those at the image's edge); holes (objects with
        background inside); speck_at, hole_at (place of the smallest, and of the first, in words); touching (objects
        that have a face in common with others).
    """
    sizes = np.bincount(objects.ravel())[1:]
    if not len(sizes):
        return {"objects": 0, "extents": [], "specks": 0, "holes": 0, "touching": 0}
    # Of what the image's edge cuts off, little may be left.
    small = (sizes <= SPECK * np.median(sizes)) & _away_from_edge(objects, len(sizes))[1:]
    surrounding, hole_at = _holes(objects)
    longest = np.array([max(side.stop - side.start for side in box) for box in ndimage.find_objects(objects)])
    return {
        "objects": len(sizes),
        **{f"extent_{q}": value for q, value in zip(EXTENTS, np.percentile(longest, EXTENTS).tolist(), strict=True)},
        "extents": np.bincount((STEPS * np.log2(longest)).astype(int)).tolist(),
        "specks": int(small.sum()),
        "speck_at": _place(objects == 1 + np.where(small, sizes, sizes.max() + 1).argmin()) if small.any() else "",
        "holes": len(surrounding),
        "hole_at": hole_at,
        "touching": len(_touching(objects)),
    }


def _away_from_edge(objects: np.ndarray, count: int) -> np.ndarray:
    """Which of the numbers 0 to `count` are not at an end of an axis; an axis of one pixel has none."""
    return ~np.isin(np.arange(count + 1), ids_at_edge(objects.squeeze()))


def _place(mask: np.ndarray) -> str:
    """The first pixel that is true."""
    return " ".join(map(str, np.unravel_index(mask.argmax(), mask.shape)))


def _holes(objects: np.ndarray) -> tuple[np.ndarray, str]:
    """Objects that alone surround some background, and a place in such a hole.

    Holes reach no border of the image and meet nothing else.
    """
    background, count = ndimage.label(objects == 0)
    lowest, highest = np.full(count + 1, np.iinfo(np.int64).max), np.zeros(count + 1, np.int64)
    for axis in range(objects.ndim):
        for hole, beside in _neighbours(background, objects, axis):
            meet = (hole > 0) & (beside > 0)
            np.minimum.at(lowest, hole[meet], beside[meet])
            np.maximum.at(highest, hole[meet], beside[meet])
        lowest[background.take([0, -1], axis)] = 0
    holes = (lowest == highest) & (lowest > 0)
    return np.unique(highest[holes]), _place(holes[background]) if holes.any() else ""


def _touching(objects: np.ndarray) -> np.ndarray:
    """Objects of which a pixel has a face in common with another object's."""
    found = [
        one[(one != other) & (one > 0) & (other > 0)]
        for axis in range(objects.ndim)
        for one, other in _neighbours(objects, objects, axis)
    ]
    return np.unique(np.concatenate(found))


def _neighbours(one: np.ndarray, other: np.ndarray, axis: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What the one array holds, and what the other does at the next and at the previous pixel along an axis."""
    one, other = np.swapaxes(one, 0, axis), np.swapaxes(other, 0, axis)
    yield one[:-1], other[1:]
    yield one[1:], other[:-1]
