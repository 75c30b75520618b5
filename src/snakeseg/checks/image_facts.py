"""Intensity statistics of an image, a hash to detect identical images, and a signature to detect near-duplicates."""

import base64
from collections.abc import Callable

import numpy as np

from snakeseg.arrays import Region, iterate_blocks
from snakeseg.checks.near_duplicates import GRID_BOXES, box_coverage, box_sums, normalised_signature
from snakeseg.transforms.normalise import BITS, sort_keys, value_of

PERCENTILES = (1, 50, 99)
# Number of channels of a colour image.
COLOURS = 3


def image_facts(image) -> dict:
    """Compute intensity statistics, hash and signature of an image in one pass, block by block.

    Parameters
    ----------
    image : array-like, shape (channels, *spatial)
        Numeric image with two or three spatial axes. It is only sliced, so it may be stored on disk.

    Returns
    -------
    dict
        smallest, largest (intensities); darkest, brightest (shares of the pixels with these intensities); p1, p50, p99
        (percentiles: exact for integers of up to 16 bits, else the lower edge of a bin with a relative width of 1/128);
        levels (number of different intensities, or of bins that are not empty); constant_channels (number of channels
        with a single intensity); equal_channels (True for three equal channels: a grey image stored as colours);
        pixels (hash of shape and intensities, independent of file format and integer type);
        signature (text, see `decoded`).
    """
    statistics, fingerprint = _IntensityStatistics(image.shape[0], image.dtype), _Fingerprint(image.shape)
    for region in iterate_blocks(image.shape, getattr(image, "chunks", None)):
        block = np.asarray(image[region])
        statistics.add(block, region)
        fingerprint.add(block, region)
    return {**statistics.facts(), **fingerprint.facts()}


def decoded(text: str) -> np.ndarray:
    """Decode a signature from base64 text; returns float32, shape (cells ** axes,)."""
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)


class _IntensityStatistics:
    """Accumulates a histogram and the extremes of intensities."""

    def __init__(self, channels: int, dtype: np.dtype):
        exact = dtype.kind in "biu" and dtype.itemsize <= 2
        self.dtype = dtype if exact else np.dtype(np.float32)
        self.counts = np.zeros(2**BITS, np.int64)
        self.key_bits = sort_keys(np.zeros(0, self.dtype)).dtype.itemsize * 8
        # Extreme intensity and its number of pixels.
        self.lowest, self.highest = (np.inf, 0), (-np.inf, 0)
        self.equal_channels = channels == COLOURS
        self.channel_minima, self.channel_maxima = np.full(channels, np.inf), np.full(channels, -np.inf)

    def add(self, block: np.ndarray, region: Region) -> None:
        """Add the intensities of a region of the image."""
        flat = block.reshape(len(block), -1)
        self.channel_minima[region[0]] = np.minimum(self.channel_minima[region[0]], flat.min(axis=1))
        self.channel_maxima[region[0]] = np.maximum(self.channel_maxima[region[0]], flat.max(axis=1))
        if self.equal_channels:  # a block that lacks a channel shows nothing
            self.equal_channels = len(block) == COLOURS and bool((block[1:] == block[:1]).all())
        self.lowest = _update_extreme(self.lowest, block, block.min().item(), min)
        self.highest = _update_extreme(self.highest, block, block.max().item(), max)
        keys = sort_keys(block.ravel().astype(self.dtype, copy=False))
        self.counts += np.bincount(keys >> (self.key_bits - BITS), minlength=2**BITS)

    def facts(self) -> dict:
        """Return the statistics of all regions added."""
        total = int(self.counts.sum())
        bins = np.searchsorted(self.counts.cumsum(), np.multiply(PERCENTILES, (total - 1) / 100), side="right")
        values = [value_of(int(index) << (self.key_bits - BITS), self.dtype) for index in bins]
        return {
            "smallest": self.lowest[0],
            "largest": self.highest[0],
            "darkest": self.lowest[1] / total,
            "brightest": self.highest[1] / total,
            **{f"p{percent}": value for percent, value in zip(PERCENTILES, values, strict=True)},
            "levels": int(np.count_nonzero(self.counts)),
            "equal_channels": self.equal_channels,
            "constant_channels": int((self.channel_minima == self.channel_maxima).sum()),
        }


class _Fingerprint:
    """Accumulates hash and signature as sums over pixels, which do not depend on the order of the blocks."""

    def __init__(self, shape: tuple[int, ...]):
        rng = np.random.default_rng(0)
        self.shape, self.hash, self.sums = shape, np.zeros(1, np.uint64), 0.0
        # Odd factors, so that every bit of an intensity changes the hash.
        self.factors = [rng.integers(2**64, size=n, dtype=np.uint64) | np.uint64(1) for n in shape]
        self.shares = [box_coverage(size, GRID_BOXES[len(shape) - 1]) for size in shape[1:]]

    def add(self, block: np.ndarray, region: Region) -> None:
        """Add a region of the image; the hash is the sum, modulo 2**64, of intensities times factors of their index."""
        products = block.astype(np.int64 if block.dtype.kind in "biu" else np.float32)
        products = products.view(f"u{products.dtype.itemsize}").astype(np.uint64, copy=False)
        for factors, indices in zip(reversed(self.factors), reversed(region), strict=True):
            products = products @ factors[indices]
        self.hash += products
        shares = [share[:, indices] for share, indices in zip(self.shares, region[1:], strict=True)]
        self.sums = self.sums + box_sums(block, shares)

    def facts(self) -> dict:
        """Return hash and signature; the half precision of the signature changes correlations by less than 1e-4."""
        text = base64.b64encode(normalised_signature(self.sums).astype("<f2").tobytes()).decode()
        return {"pixels": f"{'x'.join(map(str, self.shape))}-{int(self.hash[0]):016x}", "signature": text}


def _update_extreme(extreme: tuple[float, int], block: np.ndarray, value: float, pick: Callable) -> tuple[float, int]:
    """Update an extreme intensity and its number of pixels by the extreme `value` of a block; `pick` is min or max."""
    if pick(value, extreme[0]) != value:
        return extreme
    count = int(np.count_nonzero(block == value))
    return value, count + (extreme[1] if value == extreme[0] else 0)
