"""Normalisation of grey values."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from snakeseg.arrays import Lazy, Region, ahead, as_lazy, blocks, box_of
from snakeseg.settings import Prepare

# Bits of a value that one pass over an image sorts by.
BITS = 16
# Plain pixels that were resampled differ by no more, relative to their value.
ALIKE = 1e-5


def intensity_statistics(image, settings: Prepare) -> tuple[np.ndarray, np.ndarray]:
    """Offset and scale per channel: low percentile and range, or mean and standard deviation, or 0 and 1.

    Exact, in memory that does not depend on the image: it is passed over block by block.

    Parameters
    ----------
    image : array-like, shape (channels, *spatial)
    settings : Prepare

    Returns
    -------
    offset, scale : float64 arrays, shape (channels,)
        Scale is 1 where a channel is constant.
    """
    pixels = math.prod(image.shape[1:])
    channels = [_channel(image, index) for index in range(image.shape[0])]
    if settings.normalise == "percentile":
        found = [quantiles(channel, pixels, image.dtype, [settings.low, settings.high, 100.0]) for channel in channels]
        low, high, highest = np.array(found).T
        # More than 98 % of one value: fall back on the whole range.
        offset, scale = low, np.where(high > low, high - low, highest - low)
    elif settings.normalise == "zscore":
        offset, scale = np.array([_moments(channel) for channel in channels]).T
    elif settings.normalise == "none":
        offset, scale = np.zeros(image.shape[0]), np.ones(image.shape[0])
    else:
        raise ValueError(f"prepare.normalise {settings.normalise!r}; expected percentile, zscore or none")
    return offset, np.where(scale > 0, scale, 1.0)


def foreground_box(image, settings: Prepare) -> Region:
    """The smallest box of an image (channels, *spatial) around all that differs from the plain edge about it.

    What the edge looks like, the first corner says. The box is the whole image if that is plain, or has no such edge,
    or is not to be cropped.
    """
    shape = image.shape[1:]
    found = [np.zeros(size, bool) for size in shape]
    if settings.crop:
        edge = image[(slice(None), *(slice(0, 1),) * len(shape))].astype(np.float64)
        for region in blocks(shape, _chunks(image)):
            differs = (np.abs(image[(slice(None), *region)] - edge) > ALIKE * np.abs(edge)).any(axis=0)
            for axis, part in enumerate(region):
                found[axis][part] |= differs.any(axis=tuple(i for i in range(len(shape)) if i != axis))
    if not found[0].any():
        return tuple(slice(0, size) for size in shape)
    return tuple(slice(int(line.argmax()), len(line) - int(line[::-1].argmax())) for line in found)


def normalise(image, settings: Prepare, statistics: dict | None, box: Region | None = None) -> Lazy:
    """Normalised image, float32, read on demand.

    Parameters
    ----------
    image : array-like, shape (channels, *spatial)
    settings : Prepare
    statistics : dict
        Those of the data set (see `data_statistics`), where they count.
    box : tuple of slice
        Where the image's own statistics are taken from, if not from all of it.
    """
    whole = as_lazy(image)
    if settings.scope == "dataset":
        offset, scale = np.asarray(statistics["offset"]), np.asarray(statistics["scale"])
    else:
        offset, scale = intensity_statistics(
            box_of(whole, (slice(0, whole.shape[0]), *box)) if box else whole, settings
        )
    column = (-1, *(1,) * (whole.ndim - 1))

    def read(region: tuple[slice, ...]) -> np.ndarray:
        own = region[0]
        return ((whole[region] - offset[own].reshape(column)) / scale[own].reshape(column)).astype(np.float32)

    return Lazy(whole.shape, np.dtype(np.float32), read, whole.chunks)


def quantiles(
    values: Callable[[], Iterator[np.ndarray]], total: int, dtype: np.dtype, percents: list[float]
) -> list[float]:
    """Percentiles as `numpy.percentile` gives them, of values that are passed over and never held at once.

    Their bits are made to sort like they do; each pass counts the next 16 of those that share the bits found before.

    Parameters
    ----------
    values : function
        Gives the values from the start, array by array.
    total : int
        How many they are.
    dtype : dtype
        Of the values.
    percents : list of float
        0 to 100.
    """
    places = [(total - 1) * (percent / 100) for percent in percents]
    ranks = sorted({rank for place in places for rank in (int(place), min(int(place) + 1, total - 1))})
    bits = sort_keys(np.zeros(0, dtype)).dtype.itemsize * 8
    found = {rank: (0, rank) for rank in ranks}  # the bits found so far, and the rank among those that share them
    for shift in range(bits - BITS, -1, -BITS):
        counts = {prefix: np.zeros(2**BITS, np.int64) for prefix, _ in found.values()}
        for array in values():
            keys = sort_keys(array.ravel())
            for prefix, count in counts.items():
                alike = keys if shift + BITS == bits else keys[keys >> (shift + BITS) == prefix]
                count += np.bincount((alike >> shift & (2**BITS - 1)).astype(np.intp), minlength=2**BITS)
        for rank, (prefix, within) in found.items():
            upto = counts[prefix].cumsum()
            digit = int(np.searchsorted(upto, within, side="right"))
            found[rank] = (prefix << BITS | digit, within - int(upto[digit] - counts[prefix][digit]))
    ordered = {rank: value_of(key, dtype) for rank, (key, _) in found.items()}
    return [_between(ordered[int(p)], ordered[min(int(p) + 1, total - 1)], p - int(p)) for p in places]


def sort_keys(array: np.ndarray) -> np.ndarray:
    """Unsigned integers that sort as the values do: uint16 for small integers, else the bits of floats."""
    if array.dtype.kind in "bu" and array.dtype.itemsize <= 2:
        return array.astype(np.uint16)
    if array.dtype.kind == "i" and array.dtype.itemsize <= 2:
        return (array.astype(np.int32) + 2**15).astype(np.uint16)
    kind = np.float32 if array.dtype in (np.float16, np.float32) else np.float64
    raw = np.ascontiguousarray(array, kind).view(f"u{np.dtype(kind).itemsize}")
    top = raw.dtype.type(1 << (raw.dtype.itemsize * 8 - 1))
    return np.where(raw & top, ~raw, raw | top)


def value_of(key: int, dtype: np.dtype) -> float:
    """The value of a key."""
    if dtype.kind in "bui" and dtype.itemsize <= 2:
        return float(key - (2**15 if dtype.kind == "i" else 0))
    size = 4 if dtype in (np.float16, np.float32) else 8
    top = 1 << (size * 8 - 1)
    raw = key ^ top if key & top else key ^ (2 * top - 1)
    return float(np.array(raw, f"u{size}").view(f"f{size}"))


def _between(low: float, high: float, share: float) -> float:
    """Linear interpolation, rounded as NumPy's."""
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


def _moments(values: Callable[[], Iterator[np.ndarray]]) -> tuple[float, float]:
    """Mean and standard deviation, in two passes."""
    total = sum(array.size for array in values())
    mean = sum(array.sum(dtype=np.float64) for array in values()) / total
    return mean, float(np.sqrt(sum(np.square(array - mean).sum() for array in values()) / total))


def _channel(image, index: int) -> Callable[[], Iterator[np.ndarray]]:
    """A function that passes over a channel, block by block."""
    regions = list(blocks(image.shape[1:], _chunks(image)))
    return lambda: ahead(lambda region: image[(slice(index, index + 1), *region)], regions)


def _chunks(image) -> tuple[int, ...] | None:
    """Without the channels, if the image has any."""
    chunks = getattr(image, "chunks", None)
    return chunks and tuple(chunks[1:])
