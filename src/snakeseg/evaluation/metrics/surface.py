"""Distances between the surfaces of two masks."""

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree


def surface_scores(
    truth: np.ndarray, predicted: np.ndarray, spacing: tuple[float, ...], tolerance: float
) -> dict[str, float]:
    """Hausdorff distance at 95 %, average symmetric surface distance and normalised surface Dice of two masks.

    With d the distances of `surface_distances`: HD95 is the larger of the two directed 95th percentiles (linearly
    interpolated; Taha and Hanbury 2015, and MONAI); ASSD the mean over the pixels of both surfaces (Heimann et al.
    2009); NSD the share of the pixels of both surfaces with d <= tolerance (Nikolov et al. 2021, with pixels counted
    where they weigh them by area).

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
        hd95, assd: 0 and more, lower is better, in units of the spacing. nsd: 0 to 1, higher is better. If one mask is
        empty the distances are the image's diagonal, the largest there could be, and NSD is 0, so that a miss costs. If
        both are, there is no distance (NaN) and NSD is 1, as Dice is.
    """
    if not (truth.any() and predicted.any()):
        empty = not (truth.any() or predicted.any())
        distance = float("nan") if empty else float(np.linalg.norm(np.multiply(truth.shape, spacing)))
        return {"hd95": distance, "assd": distance, "nsd": float(empty)}
    directed = surface_distances(truth, predicted, spacing)
    both = np.concatenate(directed)
    return {
        "hd95": float(max(np.percentile(each, 95) for each in directed)),
        "assd": float(both.mean()),
        "nsd": float(np.mean(both <= tolerance)),
    }


def surface_distances(
    truth: np.ndarray, predicted: np.ndarray, spacing: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """How far every pixel of one surface is from the nearest one of the other.

    A mask's surface are its pixels with a neighbour (face to face) that is outside the mask or outside the image.

    Parameters
    ----------
    truth, predicted : bool arrays, shape (*spatial)
        Neither is empty.
    spacing : tuple of float
        Pixel size along each axis.

    Returns
    -------
    true, predicted : float arrays, shape (pixels of the surface,)
        In units of the spacing.
    """
    box = ndimage.find_objects((truth | predicted).astype(np.uint8))[0]
    first, second = (_surface(mask[box]) for mask in (truth, predicted))
    return _nearest(first, second, spacing), _nearest(second, first, spacing)


def _surface(mask: np.ndarray) -> np.ndarray:
    """Indices of its pixels, shape (pixels, dimensions)."""
    return np.argwhere(mask & ~ndimage.binary_erosion(mask))


def _nearest(points: np.ndarray, others: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Distance of every point to the nearest of others: a tree needs memory for surfaces, a transform for volumes."""
    nearest = KDTree(others * spacing).query(points * spacing)[1]
    # From differences of indices, so that a distance of one pixel is that number exactly.
    return np.linalg.norm((points - others[nearest]) * spacing, axis=1)
