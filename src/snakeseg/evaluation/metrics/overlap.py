"""Scores of pixels: pixel error, confusion matrix, Dice, IoU."""

import numpy as np

# Prefix of the columns that count the pixels of true class i predicted as class j: "confusion_i_j".
CONFUSION = "confusion_"
FCN_SCORES = ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu")


def pixel_error(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Compute the fraction of pixels with a wrong class: 0 to 1, lower is better (1 - pixel accuracy).

    Parameters
    ----------
    truth, predicted : integer arrays of equal shape
        Class indices.
    """
    return float(np.mean(truth != predicted))


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count the pixels of each true class (rows) by predicted class (columns).

    Parameters
    ----------
    truth, predicted : integer arrays of equal shape
        Class indices, 0 to `classes` - 1.
    classes : int
        Number of classes.

    Returns
    -------
    int array, shape (classes, classes)
    """
    code = truth.ravel().astype(np.int64) * classes + predicted.ravel()
    return np.bincount(code, minlength=classes**2).reshape(classes, classes)


def fcn_scores(confusion: np.ndarray) -> dict[str, float]:
    """Compute the four metrics of Long et al. from a confusion matrix.

    With n_ij the pixels of class i predicted as class j and t_i = sum_j n_ij: pixel accuracy
    ``sum_i n_ii / sum_i t_i``; mean accuracy, the mean of ``n_ii / t_i``; mean IU, the mean of
    ``n_ii / (t_i + sum_j n_ji - n_ii)``; frequency weighted IU, the mean of the same weighted by t_i. Mean accuracy is
    over the classes in the truth, mean IU over the classes in the truth or the prediction.

    Parameters
    ----------
    confusion : int array, shape (true classes, predicted classes)

    Returns
    -------
    dict of float
        pixel_accuracy, mean_accuracy, mean_iu, frequency_weighted_iu: 0 to 1, higher is better; NaN without pixels.

    References
    ----------
    Long et al. 2015, Fully convolutional networks for semantic segmentation, section 5.
    """
    hits, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy, iu = hits / true, hits / (true + predicted - hits)
    if true.sum() == 0:
        return dict.fromkeys(FCN_SCORES, float("nan"))
    values = (hits.sum() / true.sum(), np.nanmean(accuracy), np.nanmean(iu), np.nansum(true * iu) / true.sum())
    return dict(zip(FCN_SCORES, map(float, values), strict=True))


def dice_and_iou(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Compute Dice ``2 |A & B| / (|A| + |B|)`` and IoU ``|A & B| / |A | B|`` of two masks.

    Parameters
    ----------
    truth, predicted : bool arrays of equal shape

    Returns
    -------
    dice, iou : float
        0 to 1, higher is better; 1 if both masks are empty.
    """
    shared = np.count_nonzero(truth & predicted)
    total = np.count_nonzero(truth) + np.count_nonzero(predicted)
    if total == 0:
        return 1.0, 1.0
    return 2 * shared / total, shared / (total - shared)
