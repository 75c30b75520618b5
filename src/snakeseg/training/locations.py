"""Where a patch is cut: anywhere in any image, or around a pixel of the foreground."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

# Pixels of a class that are remembered per image, evenly spread over those there are.
REMEMBERED = 10_000

Places = list[list[tuple[int, np.ndarray]]]


def find_places(
    targets: Sequence[np.ndarray], weights: Sequence[np.ndarray], classes: int, balanced: bool = False
) -> Places:
    """Foreground pixels to place patches around.

    Parameters
    ----------
    targets, weights : sequence of array, shape (*spatial)
        Class of every pixel; 0 is background, and where the weight is 0 a pixel does not count.
    classes : int
        Number of classes, with the background.
    balanced : bool
        Whether every class is a group of its own; otherwise all foreground is one.

    Returns
    -------
    list of list of (int, int array)
        For each group that has pixels: images that have it, by index, with flat indices of some of its pixels.
    """
    groups = [[c] for c in range(1, classes)] if balanced else [list(range(1, classes))]
    places = []
    for group in groups:
        found = []
        for index, (target, weight) in enumerate(zip(targets, weights, strict=True)):
            pixels = np.flatnonzero(np.isin(target, group) & (weight > 0))
            if pixels.size:
                found.append((index, pixels[:: -(-pixels.size // REMEMBERED)]))
        if found:
            places.append(found)
    return places


def draw_place(
    rng: Generator, shapes: Sequence[tuple[int, ...]], sides: Sequence[int], places: Places, share: float
) -> tuple[int, list[int]]:
    """An image and the first pixel of a patch in it.

    Parameters
    ----------
    rng : Generator
    shapes : sequence of tuple
        Of the images.
    sides : sequence of int
        Of the patch.
    places : list
        From `find_places`.
    share : float
        Of patches cut around a pixel of the foreground (at a random position in them), if there is any: its group is
        drawn first, then an image that has it, then the pixel, each uniformly.

    Returns
    -------
    index : int
    start : list of int
        Within the image; centred along axes where the image is smaller than the patch.
    """
    if share and places and rng.random() < share:
        group = places[rng.integers(len(places))]
        index, pixels = group[rng.integers(len(group))]
        pixel = np.unravel_index(pixels[rng.integers(len(pixels))], shapes[index])
        around = [int(at - rng.integers(size)) for at, size in zip(pixel, sides, strict=True)]
        return index, [
            min(max(first, 0), extent - size) if extent >= size else _centred(extent, size)
            for first, extent, size in zip(around, shapes[index], sides, strict=True)
        ]
    index = int(rng.integers(len(shapes)))
    return index, [
        int(rng.integers(extent - size + 1)) if extent >= size else _centred(extent, size)
        for extent, size in zip(shapes[index], sides, strict=True)
    ]


def _centred(extent: int, size: int) -> int:
    return -((size - extent) // 2)
