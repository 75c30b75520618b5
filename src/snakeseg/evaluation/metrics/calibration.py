"""How far predicted probabilities can be believed."""

from collections.abc import Iterable

import numpy as np

BINS = 20


def reliability(maps: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict:
    """Predicted probabilities against how often they come true, pooled over images.

    Parameters
    ----------
    maps : iterable of (probability, truth)
        Float arrays from 0 to 1, and bool arrays of the same shape.

    Returns
    -------
    dict
        bins: of `BINS` equal intervals, those with any pixels: pixels, their mean probability, and the share of them
        that is true. error: the expected calibration error (Guo et al. 2017), the mean over pixels of the distance
        between the two in their bin; 0 is best, None if there are no pixels.
    """
    pixels, believed, true = np.zeros((3, BINS))
    for probability, truth in maps:
        index = np.clip((probability.ravel() * BINS).astype(np.intp), 0, BINS - 1)
        pixels += np.bincount(index, minlength=BINS)
        believed += np.bincount(index, probability.ravel().astype(float), BINS)
        true += np.bincount(index, truth.ravel().astype(float), BINS)
    bins = [
        {"pixels": int(n), "probability": p / n, "share": t / n}
        for n, p, t in zip(pixels.tolist(), believed.tolist(), true.tolist(), strict=True)
        if n
    ]
    total = pixels.sum()
    return {"bins": bins, "error": float(np.abs(believed - true).sum() / total) if total else None}
