"""Scores of pixels."""

import numpy as np

# Columns that count pixels of class i called class j.
CONFUSION = "confusion_"
FCN_SCORES = ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu")


def pixel_error(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of pixels with the wrong class: 0 to 1, lower is better (1 - pixel accuracy)."""
    return float(np.mean(truth != predicted))


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Pixels of class i (rows) that were called class j (columns), shape (classes, classes)."""
    code = truth.ravel().astype(np.int64) * classes + predicted.ravel()
    return np.bincount(code, minlength=classes**2).reshape(classes, classes)


def fcn_scores(confusion: np.ndarray) -> dict[str, float]:
    """The four metrics of Long et al. 2015, section 5, from one confusion matrix; all 0 to 1, higher is better.

    With n_ij pixels of class i called class j and t_i = sum_j n_ij: pixel accuracy ``sum_i n_ii / sum_i t_i``; mean
    accuracy, the mean of ``n_ii / t_i``; mean IU, the mean of ``n_ii / (t_i + sum_j n_ji - n_ii)``; frequency weighted
    IU, the mean of the same weighted by t_i. Means are over the classes that occur: in the truth for mean accuracy, in
    truth or prediction for mean IU. NaN where no pixel counts.
    """
    hits, true, called = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy, iu = hits / true, hits / (true + called - hits)
    if true.sum() == 0:
        return dict.fromkeys(FCN_SCORES, float("nan"))
    values = (hits.sum() / true.sum(), np.nanmean(accuracy), np.nanmean(iu), np.nansum(true * iu) / true.sum())
    return dict(zip(FCN_SCORES, map(float, values), strict=True))


def dice_and_iou(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Dice ``2 |A & B| / (|A| + |B|)`` and IoU ``|A & B| / |A | B|`` of two masks; 1 if both are empty."""
    both = np.count_nonzero(truth & predicted)
    total = np.count_nonzero(truth) + np.count_nonzero(predicted)
    if total == 0:
        return 1.0, 1.0
    return 2 * both / total, both / (total - both)
