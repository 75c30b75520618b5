"""Scores of pixels and of partitions."""

import numpy as np
from skimage.metrics import adapted_rand_error as _adapted_rand_error
from skimage.metrics import variation_of_information as _variation_of_information


def pixel_error(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of pixels with the wrong class: 0 to 1, lower is better (1 - pixel accuracy)."""
    return float(np.mean(truth != predicted))


def dice_and_iou(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Dice ``2 |A & B| / (|A| + |B|)`` and IoU ``|A & B| / |A | B|`` of two masks; 1 if both are empty."""
    both = np.count_nonzero(truth & predicted)
    total = np.count_nonzero(truth) + np.count_nonzero(predicted)
    if total == 0:
        return 1.0, 1.0
    return 2 * both / total, both / (total - both)


def adapted_rand_error(truth: np.ndarray, predicted: np.ndarray) -> float:
    """One minus the F-score of pairs of pixels in the same object (Arganda-Carreras et al. 2015), 0 to 1.

    Pixels outside the true objects do not count (foreground-restricted); the predicted background within them counts
    as one more object, as in scikit-image. NaN if there is no true object, 1 if nothing at all was found in them.
    """
    if not truth.any():
        return float("nan")
    if not predicted[truth != 0].any():
        return 1.0
    with np.errstate(invalid="ignore"):  # no two pixels share an object
        return float(_adapted_rand_error(truth, predicted, ignore_labels=(0,))[0])


def variation_of_information(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Conditional entropies in bits, within the true objects: splits H(predicted | truth) and merges
    H(truth | predicted); 0 is best. NaN if there is no true object."""
    if not truth.any():
        return float("nan"), float("nan")
    splits, merges = _variation_of_information(truth, predicted, ignore_labels=(0,))
    return float(splits), float(merges)
