"""Convert the objects of a 2D label image to polygons, and polygons to a label image.

Points are (x, y) in pixels from the top left corner of the image, as in ImageJ and QuPath: the centre of the first
pixel is at (0.5, 0.5). A pixel belongs to a polygon if its centre lies inside, so the conversion there and back
reproduces the label image.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage
from skimage.draw import polygon2mask
from skimage.measure import approximate_polygon, find_contours, points_in_poly

# Maximum distance of a point from the simplified outline, in pixels: removes points on straight lines only.
STRAIGHT_TOLERANCE = 1e-6


def trace_outlines(labels: np.ndarray) -> dict[int, list[list[np.ndarray]]]:
    """Trace the outlines of all objects of a label image.

    Parameters
    ----------
    labels : integer array, shape (y, x)
        Object ids, 0 is background.

    Returns
    -------
    dict
        Polygons by object id, one per connected piece (pieces that touch only at a corner are separate). A polygon is
        a list of rings, the outer ring first and then its holes. A ring is a float array of (x, y) in pixels, shape
        (points, 2); its last point repeats the first.
    """
    ids, dense = np.unique(labels, return_inverse=True)
    boxes = ndimage.find_objects(dense.reshape(labels.shape) + 1)
    return {
        number: _polygons(labels[box] == number, box) for number, box in zip(ids.tolist(), boxes, strict=True) if number
    }


def _polygons(mask: np.ndarray, box: tuple[slice, slice]) -> list[list[np.ndarray]]:
    """Trace the polygons of a mask that is cut out of the image at `box`."""
    corner = np.array([box[0].start, box[1].start]) - 0.5  # -1 for the padding, +0.5 to the pixel centre
    contours = find_contours(np.pad(mask, 1).astype(float), 0.5)
    rings = [approximate_polygon(ring, STRAIGHT_TOLERANCE) + corner for ring in contours]
    rings = sorted((ring[:, ::-1] for ring in rings), key=_signed_area, reverse=True)
    polygons = [[ring] for ring in rings if _signed_area(ring) > 0]
    for hole in (ring for ring in rings if _signed_area(ring) < 0):
        enclosing = [polygon for polygon in polygons if points_in_poly(hole[:1], polygon[0])[0]]
        enclosing[-1].append(hole)  # the smallest: polygons are in decreasing order of area
    return polygons


def _signed_area(ring: np.ndarray) -> float:
    """Area of a ring in pixels, positive for outer rings and negative for holes (`find_contours` orients them)."""
    x, y = ring.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2


def rasterise_polygons(polygons: Iterable[tuple[int, Sequence[np.ndarray]]], shape: tuple[int, int]) -> np.ndarray:
    """Rasterise polygons into a label image.

    Parameters
    ----------
    polygons : iterable of (id, rings)
        Several polygons may share an id. Rings are float arrays of (x, y) in pixels, shape (points, 2), of any
        orientation; what an even number of rings encloses is a hole.
    shape : (y, x)
        Shape of the label image, in pixels.

    Returns
    -------
    uint32 array, shape (y, x)
        Ids; where polygons overlap, the id of the first.
    """
    labels = np.zeros(shape, np.uint32)
    for number, rings in polygons:
        points = np.concatenate(rings)[:, ::-1] - 0.5
        low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0)) + 1
        low, high = (np.clip(corner, 0, shape).astype(int) for corner in (low, high))
        if (high <= low).any():
            continue
        inside = np.zeros(high - low, bool)
        for ring in rings:
            inside ^= polygon2mask(inside.shape, ring[:, ::-1] - 0.5 - low)
        box = labels[low[0] : high[0], low[1] : high[1]]
        box[inside & (box == 0)] = number
    return labels
