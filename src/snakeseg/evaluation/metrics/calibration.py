"""Calibration of predicted probabilities."""

from collections.abc import Iterable

import numpy as np

BINS = 20


def reliability(maps: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict:
    """Compute the reliability diagram and calibration errors of foreground probabilities, pooled over images.

    Each error is a mean over pixels, by bin, of the distance between a mean probability and the share of pixels for
    which it comes true; 0 is best, and None means that there are no such pixels.

    Parameters
    ----------
    maps : iterable of (probability, truth)
        Probability of foreground, float arrays with values from 0 to 1, and bool arrays of the same shape.

    Returns
    -------
    dict
        bins : list of dict
            Of each non-empty bin, of `BINS` bins of equal width: "pixels", their number; "probability", their mean
            probability; "share", the fraction of them that is foreground.
        error : float or None
            Foreground calibration error: of the probability of foreground, over all pixels. It treats both classes
            differently, and certain background dilutes it.
        confidence_error : float or None
            Expected calibration error as defined by Guo et al.: of the confidence, which is the probability p or
            1 - p of the predicted class, whether that class is the true one. Errors of the same size cancel where the
            foreground is too rare at p and at 1 - p.
        uncertain_error : float or None
            Foreground calibration error over uncertain pixels alone: those outside the first and the last bin, so that
            the probability of foreground is at least 0.05 and below 0.95.

    References
    ----------
    Guo et al. 2017, On calibration of modern neural networks, eq. 3.
    """
    sums, confidences = np.zeros((2, 3, BINS))
    for probability, truth in maps:
        sums += _sums(probability, truth)
        confidences += _sums(np.maximum(probability, 1 - probability), (probability > 0.5) == truth)
    bins = [{"pixels": int(n), "probability": p / n, "share": t / n} for n, p, t in sums.T.tolist() if n]
    return {
        "bins": bins,
        "error": _error(sums),
        "confidence_error": _error(confidences),
        "uncertain_error": _error(sums[:, 1:-1]),
    }


def _sums(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Number of pixels, sum of probabilities and number of true pixels per bin, shape (3, BINS)."""
    index = np.clip((probability.ravel() * BINS).astype(np.intp), 0, BINS - 1)
    values = None, probability.ravel().astype(float), truth.ravel().astype(float)
    return np.stack([np.bincount(index, weights, BINS) for weights in values])


def _error(sums: np.ndarray) -> float | None:
    """Calibration error from the number of pixels, the sum of probabilities and the number of true pixels per bin."""
    pixels, probabilities, true_pixels = sums
    return float(np.abs(probabilities - true_pixels).sum() / pixels.sum()) if pixels.any() else None
