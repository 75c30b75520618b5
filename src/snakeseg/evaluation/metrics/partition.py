"""Scores of the partition of pixels into objects: Rand and information theoretic scores."""

import numpy as np
from scipy import ndimage

from snakeseg.evaluation.metrics.contingency import Overlaps


def rand_error(table: Overlaps) -> float:
    """Compute the Rand error: the fraction of pixel pairs joined in one image and separate in the other.

    All pixels count; the background is one more object. Values are small if objects are many, since most pairs are
    then separate in both images.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    float
        One minus the Rand index: 0 to 1, lower is better; NaN for fewer than two pixels.

    References
    ----------
    Rand 1971, Objective criteria for the evaluation of clustering methods.
    """
    pixels = table.pixels
    if pixels < 2:
        return float("nan")
    within, uncovered = _restrict_to_truth(table)
    beyond = table.predicted_sizes - within
    background = pixels - table.true_sizes.sum() - beyond.sum()
    true = _sum_of_squares(table.true_sizes, pixels - table.true_sizes.sum())
    predicted = _sum_of_squares(table.predicted_sizes, pixels - table.predicted_sizes.sum())
    shared = _sum_of_squares(table.pair_pixels, uncovered, beyond, background)
    return float((true + predicted - 2 * shared) / (pixels * (pixels - 1)))


def adapted_rand_error(table: Overlaps) -> float:
    """Compute the adapted Rand error: one minus the F-score of pixel pairs in the same object.

    Only pixels of true objects count (foreground-restricted); the predicted background among them counts as one more
    object, as in scikit-image.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    float
        0 to 1, lower is better; 1 if no predicted object overlaps a true one; NaN without true objects, or if no two
        pixels share an object.

    References
    ----------
    Arganda-Carreras et al. 2015, Crowdsourcing the creation of image segmentation algorithms for connectomics.
    """
    if not len(table.true_ids):
        return float("nan")
    if not len(table.pair_pixels):
        return 1.0
    within, uncovered = _restrict_to_truth(table)
    pixels = table.true_sizes.sum()
    shared = _sum_of_squares(table.pair_pixels, uncovered) - pixels
    total = _sum_of_squares(table.true_sizes) + _sum_of_squares(within, uncovered.sum()) - 2 * pixels
    return float(1 - 2 * shared / total) if total else float("nan")


def variation_of_information(table: Overlaps) -> tuple[float, float]:
    """Compute the two terms of the variation of information: splits and merges.

    Only pixels of true objects count; the predicted background among them counts as one more object, as in
    scikit-image. Without a prediction, splits are therefore 0 and merges the entropy of the truth.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    splits, merges : float
        Conditional entropies H(predicted | truth) and H(truth | predicted) in bits: 0 or more, 0 is best; NaN without
        true objects.

    References
    ----------
    Meilă 2007, Comparing clusterings: an information based distance.
    """
    pixels = table.true_sizes.sum()
    if not pixels:
        return float("nan"), float("nan")
    within, uncovered = _restrict_to_truth(table)
    shared = np.concatenate([table.pair_pixels, uncovered])
    true = np.concatenate([table.true_sizes[table.pair_true], table.true_sizes])
    predicted = np.concatenate([within[table.pair_predicted], np.full(len(uncovered), uncovered.sum())])
    is_positive = shared > 0
    shared, true, predicted = shared[is_positive], true[is_positive], predicted[is_positive]
    return float(shared @ np.log2(true / shared) / pixels), float(shared @ np.log2(predicted / shared) / pixels)


def v_rand(table: Overlaps) -> float:
    """Compute the foreground-restricted Rand score V_rand, after `thin_borders`.

    ``2 sum_ij p_ij^2 / (sum_i t_i^2 + sum_j s_j^2)``, with p_ij the fraction of the true objects' pixels that lie in
    true object i and predicted object j, and t_i and s_j its sums. Each pixel without a predicted object counts as an
    object of its own, as in the script of the ISBI 2012 challenge; V_rand is therefore not one minus the adapted Rand
    error.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    float
        0 to 1, higher is better; 0 if no predicted object overlaps a true one; NaN without true objects.

    References
    ----------
    Arganda-Carreras et al. 2015, Crowdsourcing the creation of image segmentation algorithms for connectomics.
    """
    if not len(table.true_ids):
        return float("nan")
    if not len(table.pair_pixels):
        return 0.0
    within, uncovered = _restrict_to_truth(table)
    single = uncovered.sum()
    squares = _sum_of_squares(table.true_sizes) + _sum_of_squares(within) + single
    return float(2 * (_sum_of_squares(table.pair_pixels) + single) / squares)


def v_info(table: Overlaps) -> float:
    """Compute the foreground-restricted information theoretic score V_info, after `thin_borders`.

    ``2 I(T; S) / (H(T) + H(S))``: the mutual information of truth T and prediction S over their mean entropy, with the
    fractions of `v_rand`.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    float
        0 to 1, higher is better; 0 if no predicted object overlaps a true one; 1 if truth and prediction are one
        object each; NaN without true objects. With a single true object, any error gives 0.

    References
    ----------
    Arganda-Carreras et al. 2015, Crowdsourcing the creation of image segmentation algorithms for connectomics.
    """
    if not len(table.true_ids):
        return float("nan")
    if not len(table.pair_pixels):
        return 0.0
    within, uncovered = _restrict_to_truth(table)
    pixels = table.true_sizes.sum()
    single = uncovered.sum() / pixels * np.log2(pixels)
    true = _entropy(table.true_sizes, pixels)
    predicted = _entropy(within, pixels) + single
    joint = _entropy(table.pair_pixels, pixels) + single
    return float(2 * (true + predicted - joint) / (true + predicted)) if true + predicted else 1.0


def thin_borders(labels: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Grow objects until the background between them is one pixel wide, so that its width does not affect scores.

    Every background pixel is assigned to the nearest object. Then, of two face neighbours of different objects, the one
    with the larger id becomes background again, or the other one if the first belonged to its object from the start.
    Objects that touched stay in touch. (The ISBI 2012 challenge thins the borders of binary images to one pixel, which
    would join objects that touch.)

    Parameters
    ----------
    labels : integer array, shape (*spatial)
        Object ids, 0 is background.
    spacing : tuple of float
        Pixel size along each axis; distances are measured in its unit.

    Returns
    -------
    integer array of the same shape and dtype
    """
    if not labels.any():
        return labels
    background, axes = labels == 0, range(labels.ndim)
    nearest = ndimage.distance_transform_edt(background, spacing, return_distances=False, return_indices=True)
    grown = labels[tuple(nearest)]
    lowest = np.minimum.reduce([ndimage.minimum_filter1d(grown, 3, axis) for axis in axes])
    neighbour = np.maximum.reduce([ndimage.maximum_filter1d(labels, 3, axis) for axis in axes])
    return np.where(background & ((lowest < grown) | (neighbour > grown)), 0, grown)


def _restrict_to_truth(table: Overlaps) -> tuple[np.ndarray, np.ndarray]:
    """Count each predicted object's pixels in true objects, and each true object's pixels in no predicted object."""
    within = np.bincount(table.pair_predicted, table.pair_pixels, len(table.predicted_ids))
    covered = np.bincount(table.pair_true, table.pair_pixels, len(table.true_ids))
    return within, table.true_sizes - covered


def _sum_of_squares(*counts: np.ndarray | float) -> float:
    """Sum of squares, in floating point: integers would overflow for large volumes."""
    return float(sum(np.sum(np.square(array, dtype=float)) for array in counts))


def _entropy(counts: np.ndarray, total: float) -> float:
    """Entropy in bits of the fractions `counts` / `total`, which may sum to less than 1."""
    fractions = counts[counts > 0] / total
    return float(-(fractions @ np.log2(fractions)))
