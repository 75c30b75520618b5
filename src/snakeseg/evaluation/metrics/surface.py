"""Distances between the surfaces of two masks, and the scores computed from them."""

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree


def surface_scores(
    truth: np.ndarray,
    predicted: np.ndarray,
    spacing: tuple[float, ...],
    tolerance: float,
    is_scored: np.ndarray | None = None,
) -> dict[str, float]:
    """Compute Hausdorff distance at 95 %, average symmetric surface distance and normalised surface Dice.

    With d the distances of `surface_distances`: HD95 is the larger of the two directed 95th percentiles, linearly
    interpolated; ASSD is the mean of d over the pixels of both surfaces; NSD is the fraction of the pixels of both
    surfaces with d <= `tolerance` (Nikolov et al. weight pixels by surface area, here all count the same).

    Parameters
    ----------
    truth, predicted : bool arrays, shape (*spatial)
        Masks of scored pixels.
    spacing : tuple of float
        Pixel size along each axis.
    tolerance : float
        In units of the spacing.
    is_scored : bool array, shape (*spatial), optional
        Pixels that are scored; by default all.

    Returns
    -------
    dict of float
        hd95, assd: 0 or more, lower is better, in units of the spacing. nsd: 0 to 1, higher is better. If one mask has
        no surface, because it is empty or ends only at pixels that are not scored, the distances are the diagonal of
        the image, their upper limit, and NSD is 0. If neither mask has a surface, the same holds for different masks;
        for equal ones the distances are NaN and NSD is 1, as Dice is.

    References
    ----------
    HD95: Taha and Hanbury 2015, Metrics for evaluating 3D medical image segmentation; as in MONAI. ASSD: Heimann et al.
    2009, Comparison and evaluation of methods for liver segmentation from CT datasets. NSD: Nikolov et al. 2021,
    Clinically applicable segmentation of head and neck anatomy for radiotherapy.
    """
    directed = surface_distances(truth, predicted, spacing, is_scored)
    if directed is None:
        has_surface = any(len(_surface_pixels(mask, is_scored)) for mask in (truth, predicted))
        are_equal = not has_surface and np.array_equal(truth, predicted)
        distance = float("nan") if are_equal else float(np.linalg.norm(np.multiply(truth.shape, spacing)))
        return {"hd95": distance, "assd": distance, "nsd": float(are_equal)}
    distances = np.concatenate(directed)
    return {
        "hd95": float(max(np.percentile(direction, 95) for direction in directed)),
        "assd": float(distances.mean()),
        "nsd": float(np.mean(distances <= tolerance)),
    }


def surface_distances(
    truth: np.ndarray, predicted: np.ndarray, spacing: tuple[float, ...], is_scored: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Compute the distance of every surface pixel of one mask to the nearest surface pixel of the other.

    The surface of a mask consists of its pixels with a face neighbour that is scored and outside the mask, or that is
    outside the image. A cut along pixels that are not scored is no surface.

    Parameters
    ----------
    truth, predicted : bool arrays, shape (*spatial)
        Masks of scored pixels.
    spacing : tuple of float
        Pixel size along each axis.
    is_scored : bool array, shape (*spatial), optional
        Pixels that are scored; by default all.

    Returns
    -------
    from_truth, from_predicted : float arrays, shape (surface pixels,)
        In units of the spacing. None in place of both if a mask has no surface.
    """
    first, second = (_surface_pixels(mask, is_scored) for mask in (truth, predicted))
    if not (len(first) and len(second)):
        return None
    return _nearest_distances(first, second, spacing), _nearest_distances(second, first, spacing)


def _surface_pixels(mask: np.ndarray, is_scored: np.ndarray | None) -> np.ndarray:
    """Indices of the surface pixels of a mask, shape (pixels, axes)."""
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    if not boxes:
        return np.zeros((0, mask.ndim), np.intp)
    # The box and the layer around it: beyond the box, pixels may be scored or not.
    box = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in boxes[0])
    inner = mask[box] if is_scored is None else mask[box] | ~is_scored[box]
    # Outside of the array is outside of the image or, beyond the layer, next to no pixel of the mask.
    pixels = np.argwhere(mask[box] & ~ndimage.binary_erosion(inner))
    return pixels + [side.start for side in box]


def _nearest_distances(points: np.ndarray, others: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Distance of each point to the nearest of the others."""
    # A tree holds only the surfaces in memory, a distance transform the whole volume.
    nearest = KDTree(others * spacing).query(points * spacing)[1]
    # Differences of indices are exact, so a distance of one pixel equals the spacing exactly.
    return np.linalg.norm((points - others[nearest]) * spacing, axis=1)
