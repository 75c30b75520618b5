"""Normalisation of grey values."""

import numpy as np

from snakeseg.settings import Prepare


def grey_statistics(image: np.ndarray, settings: Prepare) -> tuple[np.ndarray, np.ndarray]:
    """Offset and scale per channel: low percentile and range, or mean and standard deviation, or 0 and 1.

    Parameters
    ----------
    image : array, shape (channels, *spatial)
    settings : Prepare

    Returns
    -------
    offset, scale : float64 arrays, shape (channels,)
        Scale is 1 where a channel is constant.
    """
    flat = image.reshape(len(image), -1).astype(np.float64)
    if settings.normalise == "percentile":
        low, high = np.percentile(flat, [settings.low, settings.high], axis=1)
        offset, scale = low, high - low
        flat_range = scale <= 0  # more than 98 % of one value: fall back on the whole range
        scale = np.where(flat_range, flat.max(axis=1) - offset, scale)
    elif settings.normalise == "zscore":
        offset, scale = flat.mean(axis=1), flat.std(axis=1)
    elif settings.normalise == "none":
        offset, scale = np.zeros(len(flat)), np.ones(len(flat))
    else:
        raise ValueError(f"prepare.normalise {settings.normalise!r}; expected percentile, zscore or none")
    return offset, np.where(scale > 0, scale, 1.0)


def normalise(image: np.ndarray, settings: Prepare, statistics: dict | None) -> np.ndarray:
    """Normalised float32 image, by its own statistics or by the data set's (see `data_statistics`)."""
    if settings.scope == "dataset":
        offset, scale = np.asarray(statistics["offset"]), np.asarray(statistics["scale"])
    else:
        offset, scale = grey_statistics(image, settings)
    column = (len(image), *(1,) * (image.ndim - 1))
    return ((image - offset.reshape(column)) / scale.reshape(column)).astype(np.float32)
