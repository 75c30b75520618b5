"""Measure the size, position, shape and intensity of every object of an image."""

import cv2
import numpy as np

from snakeseg.evaluation.metrics.contingency import constant_stretches


def measure_objects(
    labels: np.ndarray, ids: np.ndarray, spacing: tuple[float, ...], image: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Measure all objects of a label image, as scikit-image's `regionprops_table` does except for `solidity`.

    Parameters
    ----------
    labels : integer array, shape (*spatial)
        Object ids, 0 is background.
    ids : integer array, shape (objects,)
        All ids in `labels`, in increasing order, without the background.
    spacing : tuple of float
        Pixel size along each axis.
    image : array, shape (*spatial), or None
        Intensities.

    Returns
    -------
    dict of arrays, shape (objects,)
        area: in squared units of the spacing (in 3D, a volume in cubic units). intensity_mean: only with an image.
        centroid_0, ...: in pixels, along each axis. axis_major_length, axis_minor_length: full lengths of the longest
        and shortest axis of the ellipse or ellipsoid with the same second moments, in units of the spacing; pixels are
        treated as points, so a single pixel has length 0. In 2D also eccentricity of that ellipse, 0 (circle) to 1,
        and solidity, the number of pixels over the area of the convex hull, 0 to 1 (see `_solidity`).
    """
    starts, lengths = constant_stretches(labels)
    values = labels.reshape(-1)[starts]
    is_object = values != 0
    index = np.searchsorted(ids, values[is_object])
    pixels = np.bincount(index, lengths[is_object], len(ids))
    columns = {"area": pixels * np.prod(spacing)}
    if image is not None:
        sums = np.add.reduceat(image.reshape(-1), starts, dtype=float)[is_object]
        columns["intensity_mean"] = np.bincount(index, sums, len(ids)) / pixels
    first_pixels = np.stack(np.unravel_index(starts[is_object], labels.shape))
    return columns | _measure_shapes(index, first_pixels, lengths[is_object], pixels, spacing)


def _measure_shapes(index, first_pixels, lengths, pixels, spacing) -> dict[str, np.ndarray]:
    """Measure objects from their runs: object index of each run, first pixel, shape (axes, runs), and length."""
    centroid, variances = _moments(index, first_pixels, lengths, pixels, spacing)
    columns = {f"centroid_{axis}": coordinates for axis, coordinates in enumerate(centroid)}
    axes = 2 * np.sqrt((len(first_pixels) + 2) * variances)
    columns |= {"axis_major_length": axes[:, -1], "axis_minor_length": axes[:, 0]}
    if len(first_pixels) == 2:
        ratio = np.divide(axes[:, 0], axes[:, 1], out=np.ones(len(pixels)), where=axes[:, 1] > 0)
        columns |= {"eccentricity": np.sqrt(1 - ratio**2), "solidity": _solidity(index, first_pixels, lengths, pixels)}
    return columns


def _moments(index, first_pixels, lengths, pixels, spacing) -> tuple[np.ndarray, np.ndarray]:
    """Centroids in pixels, shape (axes, objects), and variances along the principal axes, increasing, (objects, axes).

    A run contributes as if all of its pixels lay at its middle, plus its own variance along the last axis.
    """
    middle = first_pixels.astype(float)
    middle[-1] += (lengths - 1) / 2
    centroid = np.stack([np.bincount(index, lengths * position, len(pixels)) for position in middle]) / pixels
    offset = (middle - centroid[:, index]) * np.reshape(spacing, (-1, 1))
    covariance = np.empty((len(pixels), len(middle), len(middle)))
    for i, j in np.ndindex(covariance.shape[1:]):
        covariance[:, i, j] = np.bincount(index, lengths * offset[i] * offset[j], len(pixels)) / pixels
    within_run = lengths * (lengths**2 - 1.0) / 12 * spacing[-1] ** 2
    covariance[:, -1, -1] += np.bincount(index, within_run, len(pixels)) / pixels
    return centroid, np.linalg.eigvalsh(covariance).clip(min=0)


def _solidity(index, first_pixels, lengths, pixels) -> np.ndarray:
    """Number of pixels over the area of their convex hull, above 0 to 1, shape (objects,).

    The hull is that of the pixels' corners, so a rectangle has solidity 1. scikit-image counts the pixels in the hull
    of the midpoints of the pixels' edges, at a thousand times the cost.
    """
    order = np.argsort(index, kind="stable")
    (top, left), right = first_pixels[:, order], first_pixels[1, order] + lengths[order]
    corners = np.stack([[top, left], [top, right], [top + 1, left], [top + 1, right]]).transpose(2, 0, 1)
    pieces = np.split(corners.astype(np.int32), np.cumsum(np.bincount(index, minlength=len(pixels)))[:-1])
    areas = [cv2.contourArea(cv2.convexHull(piece.reshape(-1, 2))) for piece in pieces] if len(pixels) else []
    return pixels / np.array(areas, float)
