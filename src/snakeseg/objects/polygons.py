"""Objects of planes as polygons, and back.

Points are (x, y) from the image's top left corner, as ImageJ and QuPath have them: the first pixel's centre is at
(0.5, 0.5). A pixel belongs to a polygon if its centre lies inside, so that objects come back as they were.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage
from skimage.draw import polygon2mask
from skimage.measure import approximate_polygon, find_contours, points_in_poly

# Pixels that a point may be off to be left out.
STRAIGHT = 1e-6


def outlines_of(labels: np.ndarray) -> dict[int, list[list[np.ndarray]]]:
    """Polygons of each object.

    Parameters
    ----------
    labels : integer array, shape (y, x)

    Returns
    -------
    dict
        By id, its polygons (one for each piece; those that touch at a corner are two), each a list of rings: the outer
        one, then those of its holes; float arrays of (x, y), shape (points, 2), the last point being the first.
    """
    ids, dense = np.unique(labels, return_inverse=True)
    boxes = ndimage.find_objects(dense.reshape(labels.shape) + 1)
    found = zip(ids.tolist(), boxes, strict=True)
    return {number: _polygons(labels[box] == number, box) for number, box in found if number}


def _polygons(mask: np.ndarray, box: tuple[slice, slice]) -> list[list[np.ndarray]]:
    corner = np.array([box[0].start, box[1].start]) - 0.5  # one pixel is added around, and a half to the centres
    rings = [approximate_polygon(ring, STRAIGHT) + corner for ring in find_contours(np.pad(mask, 1).astype(float), 0.5)]
    rings = sorted((ring[:, ::-1] for ring in rings), key=_area, reverse=True)
    outer = [[ring] for ring in rings if _area(ring) > 0]
    for hole in (ring for ring in rings if _area(ring) < 0):
        # Of the pieces around it, the smallest.
        around = [polygon for polygon in outer if points_in_poly(hole[:1], polygon[0])[0]]
        around[-1].append(hole)
    return outer


def _area(ring: np.ndarray) -> float:
    """Positive of outer rings, negative of holes, as `find_contours` winds them."""
    x, y = ring.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2


def rasterised(polygons: Iterable[tuple[int, Sequence[np.ndarray]]], shape: tuple[int, int]) -> np.ndarray:
    """Labels of polygons.

    Parameters
    ----------
    polygons : iterable of (id, rings)
        Rings of any direction; what an even number of them encloses is a hole. Several may have one id.
    shape : (y, x)

    Returns
    -------
    array of uint32, shape (y, x)
        Where polygons overlap, the first one's id.
    """
    labels = np.zeros(shape, np.uint32)
    for number, rings in polygons:
        points = np.concatenate(rings)[:, ::-1] - 0.5
        low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0)) + 1
        low, high = (np.clip(end, 0, shape).astype(int) for end in (low, high))
        if (high <= low).any():
            continue
        inside = np.zeros(high - low, bool)
        for ring in rings:
            inside ^= polygon2mask(inside.shape, ring[:, ::-1] - 0.5 - low)
        box = labels[low[0] : high[0], low[1] : high[1]]
        box[inside & (box == 0)] = number
    return labels
