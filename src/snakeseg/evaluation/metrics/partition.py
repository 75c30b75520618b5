"""Scores of the partition of pixels into objects, all from one table of overlaps."""

import numpy as np
from scipy import ndimage

from snakeseg.evaluation.metrics.contingency import Overlaps


def rand_error(found: Overlaps) -> float:
    """Share of pairs of pixels that are together in one image and apart in the other (Rand 1971).

    One minus the Rand index: 0 to 1, lower is better. All pixels count; the background is one more object. Since most
    pairs are apart in both, values are small wherever objects are many. NaN for fewer than two pixels.
    """
    pixels = found.pixels
    if pixels < 2:
        return float("nan")
    within, outside = _within(found)
    beside = found.predicted_sizes - within
    both = pixels - found.true_sizes.sum() - beside.sum()
    true = _squares(found.true_sizes, pixels - found.true_sizes.sum())
    predicted = _squares(found.predicted_sizes, pixels - found.predicted_sizes.sum())
    shared = _squares(found.pair_pixels, outside, beside, both)
    return float((true + predicted - 2 * shared) / (pixels * (pixels - 1)))


def adapted_rand_error(found: Overlaps) -> float:
    """One minus the F-score of pairs of pixels in the same object (Arganda-Carreras et al. 2015), 0 to 1.

    Lower is better. Pixels outside the true objects do not count (foreground-restricted); the predicted background
    within them counts as one more object, as in scikit-image. NaN if there is no true object or no two pixels share
    one, 1 if nothing at all was found in them.
    """
    if not len(found.true_ids):
        return float("nan")
    if not len(found.pair_pixels):
        return 1.0
    within, outside = _within(found)
    pixels = found.true_sizes.sum()
    shared = _squares(found.pair_pixels, outside) - pixels
    either = _squares(found.true_sizes) + _squares(within, outside.sum()) - 2 * pixels
    return float(1 - 2 * shared / either) if either else float("nan")


def variation_of_information(found: Overlaps) -> tuple[float, float]:
    """Conditional entropies in bits (Meilă 2007), within the true objects: splits H(predicted | truth) and merges
    H(truth | predicted).

    0 or more, 0 is best. The predicted background within true objects counts as one more object, as in scikit-image: if
    nothing was found, splits are 0 and merges the entropy of the truth. NaN if there is no true object.
    """
    pixels = found.true_sizes.sum()
    if not pixels:
        return float("nan"), float("nan")
    within, outside = _within(found)
    shared = np.concatenate([found.pair_pixels, outside])
    true = np.concatenate([found.true_sizes[found.pair_true], found.true_sizes])
    predicted = np.concatenate([within[found.pair_predicted], np.full(len(outside), outside.sum())])
    some = shared > 0
    shared, true, predicted = shared[some], true[some], predicted[some]
    return float(shared @ np.log2(true / shared) / pixels), float(shared @ np.log2(predicted / shared) / pixels)


def v_rand(found: Overlaps) -> float:
    """Foreground-restricted Rand score (Arganda-Carreras et al. 2015): 0 to 1, higher is better.

    ``2 sum_ij p_ij^2 / (sum_i t_i^2 + sum_j s_j^2)`` with p_ij the share of the true objects' pixels that lie in true
    object i and predicted object j, and t_i, s_j its sums. A pixel of no predicted object counts as an object of its
    own, as in the challenge's script; so adapted Rand error differs from one minus this. To be taken after
    `thin_borders`. NaN if there is no true object, 0 if nothing was found in them.
    """
    if not len(found.true_ids):
        return float("nan")
    if not len(found.pair_pixels):
        return 0.0
    within, outside = _within(found)
    alone = outside.sum()
    return float(2 * (_squares(found.pair_pixels) + alone) / (_squares(found.true_sizes) + _squares(within) + alone))


def v_info(found: Overlaps) -> float:
    """Foreground-restricted information theoretic score (Arganda-Carreras et al. 2015): 0 to 1, higher is better.

    ``2 I(T; S) / (H(T) + H(S))``, the mutual information of truth and prediction over their mean entropy, with the
    shares of `v_rand`. To be taken after `thin_borders`. NaN if there is no true object, 0 if nothing was found in
    them, and 1 if truth and prediction both are one object. With a single true object it is 0 as soon as anything is
    wrong.
    """
    if not len(found.true_ids):
        return float("nan")
    if not len(found.pair_pixels):
        return 0.0
    within, outside = _within(found)
    pixels = found.true_sizes.sum()
    alone = outside.sum() / pixels * np.log2(pixels)
    true = _entropy(found.true_sizes, pixels)
    predicted = _entropy(within, pixels) + alone
    together = _entropy(found.pair_pixels, pixels) + alone
    return float(2 * (true + predicted - together) / (true + predicted)) if true + predicted else 1.0


def thin_borders(labels: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Objects grown until the background between them is one pixel wide, so that a border's width scores nothing.

    Every pixel of the background goes to the nearest object. Then, of two neighbours (face to face) of different
    objects, the one with the larger id becomes background again, or the other where that one was its object's from the
    start; objects that touched stay in touch. The ISBI 2012 challenge thins the borders of binary images to one pixel,
    where objects that touch would be one.

    Parameters
    ----------
    labels : integer array, shape (*spatial)
        0 is background.
    spacing : tuple of float
        Pixel size along each axis, for what is near.

    Returns
    -------
    integer array of this shape and type
    """
    if not labels.any():
        return labels
    background, axes = labels == 0, range(labels.ndim)
    nearest = ndimage.distance_transform_edt(background, spacing, return_distances=False, return_indices=True)
    grown = labels[tuple(nearest)]
    lowest = np.minimum.reduce([ndimage.minimum_filter1d(grown, 3, axis) for axis in axes])
    object_beside = np.maximum.reduce([ndimage.maximum_filter1d(labels, 3, axis) for axis in axes])
    return np.where(background & ((lowest < grown) | (object_beside > grown)), 0, grown)


def _within(found: Overlaps) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of each predicted object that lie in true objects; of each true object that lie in no predicted one."""
    within = np.bincount(found.pair_predicted, found.pair_pixels, len(found.predicted_ids))
    covered = np.bincount(found.pair_true, found.pair_pixels, len(found.true_ids))
    return within, found.true_sizes - covered


def _squares(*counts: np.ndarray | float) -> float:
    """Sum of squares, in floating point: integers would overflow for large volumes."""
    return float(sum(np.sum(np.square(each, dtype=float)) for each in counts))


def _entropy(counts: np.ndarray, total: float) -> float:
    """In bits, of these shares of a total (which may be more than their sum)."""
    shares = counts[counts > 0] / total
    return float(-(shares @ np.log2(shares)))
