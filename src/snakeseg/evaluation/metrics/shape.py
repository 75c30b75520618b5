"""Size, place, shape and brightness of every object of an image."""

import cv2
import numpy as np

from snakeseg.evaluation.metrics.contingency import runs


def measure(
    labels: np.ndarray, ids: np.ndarray, spacing: tuple[float, ...], image: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Measurements of all objects at once; as scikit-image's `regionprops_table`, but for `solidity`.

    Parameters
    ----------
    labels : integer array, shape (*spatial)
        0 is background.
    ids : integer array, shape (objects,)
        All other values of `labels`, increasing.
    spacing : tuple of float
        Pixel size along each axis.
    image : array, shape (*spatial), or None
        Grey values.

    Returns
    -------
    dict of arrays, shape (objects,)
        area: in units of the spacing (a volume in 3D). intensity_mean, if there is an image. centroid_0, ...: in
        pixels, along each axis. axis_major_length, axis_minor_length: full lengths of the longest and shortest axis of
        the ellipse or ellipsoid with the same second moments, in units of the spacing; pixels are points, so a single
        one has length 0. In 2D, eccentricity: of that ellipse, 0 (circle) to 1; solidity: see `_solidity`.
    """
    starts, lengths = runs(labels)
    values = labels.reshape(-1)[starts]
    inside = values != 0
    index = np.searchsorted(ids, values[inside])
    pixels = np.bincount(index, lengths[inside], len(ids))
    found = {"area": pixels * np.prod(spacing)}
    if image is not None:
        sums = np.add.reduceat(image.reshape(-1), starts, dtype=float)[inside]
        found["intensity_mean"] = np.bincount(index, sums, len(ids)) / pixels
    corner = np.stack(np.unravel_index(starts[inside], labels.shape))
    return found | _shapes(index, corner, lengths[inside], pixels, spacing)


def _shapes(index, corner, lengths, pixels, spacing) -> dict[str, np.ndarray]:
    """From runs: each one's object, first pixel, shape (axes, runs), and length."""
    centroid, variances = _moments(index, corner, lengths, pixels, spacing)
    found = {f"centroid_{axis}": along for axis, along in enumerate(centroid)}
    axes = 2 * np.sqrt((len(corner) + 2) * variances)
    found |= {"axis_major_length": axes[:, -1], "axis_minor_length": axes[:, 0]}
    if len(corner) == 2:
        share = np.divide(axes[:, 0], axes[:, 1], out=np.ones(len(pixels)), where=axes[:, 1] > 0)
        found |= {"eccentricity": np.sqrt(1 - share**2), "solidity": _solidity(index, corner, lengths, pixels)}
    return found


def _moments(index, corner, lengths, pixels, spacing) -> tuple[np.ndarray, np.ndarray]:
    """Centroids in pixels, shape (axes, objects), and variances along the principal axes, increasing, (objects, axes).

    A run adds what its middle would with all its pixels there, and along itself its own variance.
    """
    middle = corner.astype(float)
    middle[-1] += (lengths - 1) / 2
    centroid = np.stack([np.bincount(index, lengths * along, len(pixels)) for along in middle]) / pixels
    offset = (middle - centroid[:, index]) * np.reshape(spacing, (-1, 1))
    covariance = np.empty((len(pixels), len(middle), len(middle)))
    for i, j in np.ndindex(covariance.shape[1:]):
        covariance[:, i, j] = np.bincount(index, lengths * offset[i] * offset[j], len(pixels)) / pixels
    own = lengths * (lengths**2 - 1.0) / 12 * spacing[-1] ** 2
    covariance[:, -1, -1] += np.bincount(index, own, len(pixels)) / pixels
    return centroid, np.linalg.eigvalsh(covariance).clip(min=0)


def _solidity(index, corner, lengths, pixels) -> np.ndarray:
    """Pixels over the area of their convex hull, above 0 to 1, shape (objects,).

    The hull is that of the pixels' corners, so that a rectangle has 1; scikit-image counts the pixels in a hull of the
    middles of their edges, at a thousand times the cost.
    """
    order = np.argsort(index, kind="stable")
    (top, left), right = corner[:, order], corner[1, order] + lengths[order]
    corners = np.stack([[top, left], [top, right], [top + 1, left], [top + 1, right]]).transpose(2, 0, 1)
    pieces = np.split(corners.astype(np.int32), np.cumsum(np.bincount(index, minlength=len(pixels)))[:-1])
    areas = [cv2.contourArea(cv2.convexHull(piece.reshape(-1, 2))) for piece in pieces] if len(pixels) else []
    return pixels / np.array(areas, float)
