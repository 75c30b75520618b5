"""Calibration of predicted probabilities."""

from collections.abc import Iterable

import numpy as np

BINS = 20


def reliability(maps: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict:
    """Compute the reliability diagram of binary probabilities, pooled over images.

    Parameters
    ----------
    maps : iterable of (probability, truth)
        Float arrays with values from 0 to 1, and bool arrays of the same shape.

    Returns
    -------
    dict
        "bins": a list with one entry per non-empty bin, of `BINS` bins of equal width: "pixels", their number;
        "probability", their mean probability; "share", the fraction of them that is true. "error": the expected
        calibration error, the mean over pixels of the distance between the latter two; 0 is best, None without pixels.

    References
    ----------
    Guo et al. 2017, On calibration of modern neural networks, eq. 3.
    """
    pixels, probability_sums, true_pixels = np.zeros((3, BINS))
    for probability, truth in maps:
        index = np.clip((probability.ravel() * BINS).astype(np.intp), 0, BINS - 1)
        pixels += np.bincount(index, minlength=BINS)
        probability_sums += np.bincount(index, probability.ravel().astype(float), BINS)
        true_pixels += np.bincount(index, truth.ravel().astype(float), BINS)
    bins = [
        {"pixels": int(n), "probability": p / n, "share": t / n}
        for n, p, t in zip(pixels.tolist(), probability_sums.tolist(), true_pixels.tolist(), strict=True)
        if n
    ]
    total = pixels.sum()
    return {"bins": bins, "error": float(np.abs(probability_sums - true_pixels).sum() / total) if total else None}
