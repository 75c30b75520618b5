"""Distances between the surfaces of two masks, and the scores computed from them."""

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree


def surface_scores(
    truth: np.ndarray, predicted: np.ndarray, spacing: tuple[float, ...], tolerance: float
) -> dict[str, float]:
    """Compute Hausdorff distance at 95 %, average symmetric surface distance and normalised surface Dice.

    With d the distances of `surface_distances`: HD95 is the larger of the two directed 95th percentiles, linearly
    interpolated; ASSD is the mean of d over the pixels of both surfaces; NSD is the fraction of the pixels of both
    surfaces with d <= `tolerance` (Nikolov et al. weight pixels by surface area, here all count the same).

    Parameters
    ----------
    truth, predicted : bool arrays, shape (*spatial)
    spacing : tuple of float
        Pixel size along each axis.
    tolerance : float
        In units of the spacing.

    Returns
    -------
    dict of float
        hd95, assd: 0 or more, lower is better, in units of the spacing. nsd: 0 to 1, higher is better. If one mask is
        empty, the distances are the diagonal of the image, their upper limit, and NSD is 0. If both masks are empty,
        the distances are NaN and NSD is 1, as Dice is.

    References
    ----------
    HD95: Taha and Hanbury 2015, Metrics for evaluating 3D medical image segmentation; as in MONAI. ASSD: Heimann et al.
    2009, Comparison and evaluation of methods for liver segmentation from CT datasets. NSD: Nikolov et al. 2021,
    Clinically applicable segmentation of head and neck anatomy for radiotherapy.
    """
    if not (truth.any() and predicted.any()):
        are_both_empty = not (truth.any() or predicted.any())
        distance = float("nan") if are_both_empty else float(np.linalg.norm(np.multiply(truth.shape, spacing)))
        return {"hd95": distance, "assd": distance, "nsd": float(are_both_empty)}
    directed = surface_distances(truth, predicted, spacing)
    distances = np.concatenate(directed)
    return {
        "hd95": float(max(np.percentile(direction, 95) for direction in directed)),
        "assd": float(distances.mean()),
        "nsd": float(np.mean(distances <= tolerance)),
    }


def surface_distances(
    truth: np.ndarray, predicted: np.ndarray, spacing: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the distance of every surface pixel of one mask to the nearest surface pixel of the other.

    The surface of a mask consists of its pixels with a face neighbour outside the mask or outside the image.

    Parameters
    ----------
    truth, predicted : bool arrays, shape (*spatial)
        Not empty.
    spacing : tuple of float
        Pixel size along each axis.

    Returns
    -------
    from_truth, from_predicted : float arrays, shape (surface pixels,)
        In units of the spacing.
    """
    box = ndimage.find_objects((truth | predicted).astype(np.uint8))[0]
    first, second = (_surface_pixels(mask[box]) for mask in (truth, predicted))
    return _nearest_distances(first, second, spacing), _nearest_distances(second, first, spacing)


def _surface_pixels(mask: np.ndarray) -> np.ndarray:
    """Indices of the surface pixels of a mask, shape (pixels, axes)."""
    return np.argwhere(mask & ~ndimage.binary_erosion(mask))


def _nearest_distances(points: np.ndarray, others: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Distance of each point to the nearest of the others."""
    # A tree holds only the surfaces in memory, a distance transform the whole volume.
    nearest = KDTree(others * spacing).query(points * spacing)[1]
    # Differences of indices are exact, so a distance of one pixel equals the spacing exactly.
    return np.linalg.norm((points - others[nearest]) * spacing, axis=1)
