"""Normalisation of intensities."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from snakeseg.arrays import Lazy, Region, as_lazy, crop_box, iterate_blocks, prefetch_results
from snakeseg.settings import Prepare

# Number of bits of the sort keys that are counted in one pass over an image.
BITS = 16
# Largest relative difference between pixels of one intensity after resampling.
INTENSITY_RTOL = 1e-5


def intensity_statistics(image, settings: Prepare) -> tuple[np.ndarray, np.ndarray]:
    """Compute the offset and scale of the normalisation ``(image - offset) / scale``, exactly and block by block.

    The memory does not depend on the size of the image.

    Parameters
    ----------
    image : array-like, shape (channels, *spatial)
    settings : Prepare

    Returns
    -------
    offset, scale : float64 arrays, shape (channels,)
        Low percentile and percentile range, or mean and standard deviation, or 0 and 1, by `settings.normalise`. The
        scale of a constant channel is 1.

    Raises
    ------
    ValueError
        If `settings.normalise` is unknown.
    """
    pixels = math.prod(image.shape[1:])
    channels = [_channel_blocks(image, index) for index in range(image.shape[0])]
    if settings.normalise == "percentile":
        percents = [settings.low, settings.high, 100.0]
        low, high, highest = np.array([quantiles(values, pixels, image.dtype, percents) for values in channels]).T
        # Equal percentiles if nearly all pixels have one value: fall back to the whole range.
        offset, scale = low, np.where(high > low, high - low, highest - low)
    elif settings.normalise == "zscore":
        offset, scale = np.array([_moments(channel) for channel in channels]).T
    elif settings.normalise == "none":
        offset, scale = np.zeros(image.shape[0]), np.ones(image.shape[0])
    else:
        raise ValueError(f"prepare.normalise {settings.normalise!r}; expected percentile, zscore or none")
    return offset, np.where(scale > 0, scale, 1.0)


def content_box(image, settings: Prepare) -> Region:
    """Compute the bounding box of the pixels that differ from the constant margin of an image.

    The first corner pixel determines the intensity of the margin.

    Parameters
    ----------
    image : array-like, shape (channels, *spatial)
    settings : Prepare

    Returns
    -------
    tuple of slice
        One slice per spatial axis. The whole image if `settings.crop` is False or the image is constant.
    """
    shape = image.shape[1:]
    has_content = [np.zeros(size, bool) for size in shape]
    if settings.crop:
        margin = image[(slice(None), *(slice(0, 1),) * len(shape))].astype(np.float64)
        for region in iterate_blocks(shape, _spatial_chunks(image)):
            differs = (np.abs(image[(slice(None), *region)] - margin) > INTENSITY_RTOL * np.abs(margin)).any(axis=0)
            for axis, part in enumerate(region):
                has_content[axis][part] |= differs.any(axis=tuple(i for i in range(len(shape)) if i != axis))
    if not has_content[0].any():
        return tuple(slice(0, size) for size in shape)
    return tuple(slice(int(line.argmax()), len(line) - int(line[::-1].argmax())) for line in has_content)


def normalise(image, settings: Prepare, statistics: dict | None, box: Region | None = None) -> Lazy:
    """Normalise the intensities of an image lazily.

    Parameters
    ----------
    image : array-like, shape (channels, *spatial)
    settings : Prepare
    statistics : dict or None
        "offset" and "scale" of the data set (see `data_statistics`), if `settings.scope` is "dataset".
    box : tuple of slice, optional
        Spatial region from which the image's own statistics are computed; by default the whole image.

    Returns
    -------
    Lazy, float32, shape (channels, *spatial)
    """
    whole = as_lazy(image)
    if settings.scope == "dataset":
        offset, scale = np.asarray(statistics["offset"]), np.asarray(statistics["scale"])
    else:
        offset, scale = intensity_statistics(
            crop_box(whole, (slice(0, whole.shape[0]), *box)) if box else whole, settings
        )
    column = (-1, *(1,) * (whole.ndim - 1))

    def read(region: tuple[slice, ...]) -> np.ndarray:
        channels = region[0]
        return ((whole[region] - offset[channels].reshape(column)) / scale[channels].reshape(column)).astype(np.float32)

    return Lazy(whole.shape, np.dtype(np.float32), read, whole.chunks)


def quantiles(
    values: Callable[[], Iterator[np.ndarray]], total: int, dtype: np.dtype, percents: list[float]
) -> list[float]:
    """Compute percentiles of streamed values, equal to those of `numpy.percentile`.

    A radix selection: values are mapped to unsigned integers of the same order, and each pass determines the next 16
    bits of the sought ones by counting those that share the bits determined before.

    Parameters
    ----------
    values : function
        Returns an iterator over all values, array by array; called once for each pass.
    total : int
        Number of values.
    dtype : dtype
        Dtype of the values.
    percents : list of float
        Percentages from 0 to 100.

    Returns
    -------
    list of float
        One percentile for each entry of `percents`.
    """
    positions = [(total - 1) * (percent / 100) for percent in percents]
    ranks = sorted({rank for position in positions for rank in (int(position), min(int(position) + 1, total - 1))})
    bits = sort_keys(np.zeros(0, dtype)).dtype.itemsize * 8
    prefixes = {rank: (0, rank) for rank in ranks}  # the leading bits, and the rank among the values that share them
    for shift in range(bits - BITS, -1, -BITS):
        counts = {prefix: np.zeros(2**BITS, np.int64) for prefix, _ in prefixes.values()}
        for array in values():
            keys = sort_keys(array.ravel())
            for prefix, count in counts.items():
                sharing = keys if shift + BITS == bits else keys[keys >> (shift + BITS) == prefix]
                count += np.bincount((sharing >> shift & (2**BITS - 1)).astype(np.intp), minlength=2**BITS)
        for rank, (prefix, rank_within) in prefixes.items():
            cumulative = counts[prefix].cumsum()
            digit = int(np.searchsorted(cumulative, rank_within, side="right"))
            prefixes[rank] = (prefix << BITS | digit, rank_within - int(cumulative[digit] - counts[prefix][digit]))
    ordered = {rank: value_of(key, dtype) for rank, (key, _) in prefixes.items()}
    return [_interpolate(ordered[int(p)], ordered[min(int(p) + 1, total - 1)], p - int(p)) for p in positions]


def sort_keys(array: np.ndarray) -> np.ndarray:
    """Map values to unsigned integers of the same order: uint16 for small integers, else the bits of floats."""
    if array.dtype.kind in "bu" and array.dtype.itemsize <= 2:
        return array.astype(np.uint16)
    if array.dtype.kind == "i" and array.dtype.itemsize <= 2:
        return (array.astype(np.int32) + 2**15).astype(np.uint16)
    kind = np.float32 if array.dtype in (np.float16, np.float32) else np.float64
    raw = np.ascontiguousarray(array, kind).view(f"u{np.dtype(kind).itemsize}")
    top = raw.dtype.type(1 << (raw.dtype.itemsize * 8 - 1))
    return np.where(raw & top, ~raw, raw | top)


def value_of(key: int, dtype: np.dtype) -> float:
    """Return the value of a sort key; the inverse of `sort_keys`."""
    if dtype.kind in "bui" and dtype.itemsize <= 2:
        return float(key - (2**15 if dtype.kind == "i" else 0))
    size = 4 if dtype in (np.float16, np.float32) else 8
    top = 1 << (size * 8 - 1)
    raw = key ^ top if key & top else key ^ (2 * top - 1)
    return float(np.array(raw, f"u{size}").view(f"f{size}"))


def _interpolate(low: float, high: float, share: float) -> float:
    """Interpolate linearly, with the same rounding as NumPy."""
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


def _moments(values: Callable[[], Iterator[np.ndarray]]) -> tuple[float, float]:
    """Compute the mean and the standard deviation in two passes."""
    total = sum(array.size for array in values())
    mean = sum(array.sum(dtype=np.float64) for array in values()) / total
    return mean, float(np.sqrt(sum(np.square(array - mean).sum() for array in values()) / total))


def _channel_blocks(image, index: int) -> Callable[[], Iterator[np.ndarray]]:
    """Return a function that iterates over the pixels of a channel, block by block."""
    regions = list(iterate_blocks(image.shape[1:], _spatial_chunks(image)))
    return lambda: prefetch_results(lambda region: image[(slice(index, index + 1), *region)], regions)


def _spatial_chunks(image) -> tuple[int, ...] | None:
    """Return the spatial shape of an image's chunks, or None without chunks."""
    chunks = getattr(image, "chunks", None)
    return chunks and tuple(chunks[1:])
