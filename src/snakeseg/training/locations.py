"""Locations of patches: anywhere in any image, or around a foreground pixel."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

# Largest number of foreground pixels of a class that are kept per image, evenly spread over all of them.
MAX_FOREGROUND_PIXELS = 10_000

# For each group of classes: index of an image, and flat indices of the group's pixels in it.
ForegroundPixels = list[list[tuple[int, np.ndarray]]]


def find_foreground(
    targets: Sequence[np.ndarray], weights: Sequence[np.ndarray], classes: int, balanced: bool = False
) -> ForegroundPixels:
    """Find foreground pixels around which patches can be cut.

    Parameters
    ----------
    targets, weights : sequence of array, shape (*spatial)
        Class and loss weight of every pixel of each image. Class 0 is background; pixels of weight 0 are ignored.
    classes : int
        Number of classes, including the background.
    balanced : bool
        Whether every class is a group of its own; otherwise all foreground is one group.

    Returns
    -------
    list of list of (int, int array)
        For each group that has pixels, and each image that contains it: index of the image, and flat indices of at most
        `MAX_FOREGROUND_PIXELS` of its pixels.
    """
    groups = [[c] for c in range(1, classes)] if balanced else [list(range(1, classes))]
    foreground = []
    for group in groups:
        images = []
        for index, (target, weight) in enumerate(zip(targets, weights, strict=True)):
            pixels = np.flatnonzero(np.isin(target, group) & (weight > 0))
            if pixels.size:
                images.append((index, pixels[:: -(-pixels.size // MAX_FOREGROUND_PIXELS)]))
        if images:
            foreground.append(images)
    return foreground


def sample_location(
    rng: Generator,
    shapes: Sequence[tuple[int, ...]],
    sides: Sequence[int],
    foreground: ForegroundPixels,
    share: float,
    draw: str = "images",
) -> tuple[int, list[int]]:
    """Choose at random an image and the first pixel of a patch in it.

    Patches extend beyond the image (see `_first_and_last_start`), where pixels are mirrored.

    Parameters
    ----------
    rng : Generator
    shapes : sequence of tuple
        Shapes of the images, without channels.
    sides : sequence of int
        Side lengths of the patch, in pixels, one per axis.
    foreground : list
        From `find_foreground`.
    share : float
        Share of patches that contain a foreground pixel, at a random position in the patch. Its group is drawn first,
        then an image that contains the group, then the pixel, each uniformly. Without foreground, all patches are drawn
        uniformly.
    draw : {"images", "pixels"}
        Draw all images equally often, or in proportion to their number of pixels.

    Returns
    -------
    index : int
        Index of the image.
    start : list of int
        First pixel, one per axis; negative if the patch starts outside the image.
    """
    if share and foreground and rng.random() < share:
        group = foreground[rng.integers(len(foreground))]
        index, pixels = group[rng.integers(len(group))]
        pixel = np.unravel_index(pixels[rng.integers(len(pixels))], shapes[index])
        around = [int(at - rng.integers(size)) for at, size in zip(pixel, sides, strict=True)]
        limits = [_first_and_last_start(extent, size) for extent, size in zip(shapes[index], sides, strict=True)]
        return index, [min(max(start, first), last) for start, (first, last) in zip(around, limits, strict=True)]
    index = _sample_image(rng, shapes, draw)
    limits = [_first_and_last_start(extent, size) for extent, size in zip(shapes[index], sides, strict=True)]
    return index, [int(rng.integers(first, last + 1)) for first, last in limits]


def _sample_image(rng: Generator, shapes: Sequence[tuple[int, ...]], draw: str) -> int:
    if draw == "images":
        return int(rng.integers(len(shapes)))
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    return int(np.searchsorted(ends, rng.integers(ends[-1]), side="right"))


def _first_and_last_start(extent: int, size: int) -> tuple[int, int]:
    """Return the lowest and the highest first pixel of a patch along an axis.

    The patch overhangs the image by up to half of its length, so that pixels near the edge are seen as often as others:
    as often as a patch leaves out a pixel, another one contains its mirror image. In an image of less than one and a
    half patches, it overhangs by the difference of both lengths at most, since large mirrored parts would teach little.
    In an image that is shorter than the patch, the patch is centred.
    """
    overhang = min(size // 2, extent - size)
    return (-overhang, extent - size + overhang) if overhang >= 0 else (-((size - extent) // 2),) * 2
