"""What an image holds, in numbers that a rule can judge, and two names by which its doubles are found."""

import base64
from collections.abc import Callable

import numpy as np

from snakeseg.arrays import Region, blocks
from snakeseg.checks.near_duplicates import CELLS, cell_shares, cell_sums, signature
from snakeseg.transforms.normalise import BITS, sort_keys, value_of

PERCENTILES = (1, 50, 99)


def image_facts(image) -> dict:
    """Grey values, and names of what is seen, in one pass block by block.

    Parameters
    ----------
    image : array-like, shape (channels, *spatial)
        Of two or three axes. It is only sliced, so that it may lie on disk.

    Returns
    -------
    dict
        smallest, largest; darkest, brightest (shares of pixels that have these values); p1, p50, p99 (percentiles:
        exact for integers of 16 bits, else the beginning of a bin a 128th wide); levels (values there are, or bins);
        constant_channels; pixels (a hash of shape and values: equal for equal images, in whatever file they are);
        signature (text; see `decoded`).
    """
    greys, likeness = _Greys(image.shape[0], image.dtype), _Likeness(image.shape)
    for region in blocks(image.shape, getattr(image, "chunks", None)):
        part = np.asarray(image[region])
        greys.add(part, region)
        likeness.add(part, region)
    return {**greys.facts(), **likeness.facts()}


def decoded(text: str) -> np.ndarray:
    """A signature from its text; float32, shape (cells ** axes,)."""
    return np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)


class _Greys:
    """Counts of grey values."""

    def __init__(self, channels: int, dtype: np.dtype):
        small = dtype.kind in "biu" and dtype.itemsize <= 2
        self.dtype = dtype if small else np.dtype(np.float32)
        self.counts = np.zeros(2**BITS, np.int64)
        self.bits = sort_keys(np.zeros(0, self.dtype)).dtype.itemsize * 8
        self.lowest, self.highest = (np.inf, 0), (-np.inf, 0)
        self.low, self.high = np.full(channels, np.inf), np.full(channels, -np.inf)

    def add(self, part: np.ndarray, region: Region) -> None:
        """Count the values of a region."""
        flat = part.reshape(len(part), -1)
        self.low[region[0]] = np.minimum(self.low[region[0]], flat.min(axis=1))
        self.high[region[0]] = np.maximum(self.high[region[0]], flat.max(axis=1))
        self.lowest = _end(self.lowest, part, part.min().item(), min)
        self.highest = _end(self.highest, part, part.max().item(), max)
        keys = sort_keys(part.ravel().astype(self.dtype, copy=False))
        self.counts += np.bincount(keys >> (self.bits - BITS), minlength=2**BITS)

    def facts(self) -> dict:
        """What was counted."""
        total = int(self.counts.sum())
        bins = np.searchsorted(self.counts.cumsum(), np.multiply(PERCENTILES, (total - 1) / 100), side="right")
        values = [value_of(int(each) << (self.bits - BITS), self.dtype) for each in bins]
        return {
            "smallest": self.lowest[0],
            "largest": self.highest[0],
            "darkest": self.lowest[1] / total,
            "brightest": self.highest[1] / total,
            **{f"p{percent}": value for percent, value in zip(PERCENTILES, values, strict=True)},
            "levels": int(np.count_nonzero(self.counts)),
            "constant_channels": int((self.low == self.high).sum()),
        }


class _Likeness:
    """Hash and signature: sums over pixels, so that the order of blocks makes no difference."""

    def __init__(self, shape: tuple[int, ...]):
        rng = np.random.default_rng(0)
        self.shape, self.total, self.sums = shape, np.zeros(1, np.uint64), 0.0
        # Odd, so that every bit of a value counts.
        self.factors = [rng.integers(2**64, size=n, dtype=np.uint64) | np.uint64(1) for n in shape]
        self.shares = [cell_shares(size, CELLS[len(shape) - 1]) for size in shape[1:]]

    def add(self, part: np.ndarray, region: Region) -> None:
        """Add a region, modulo 2**64 to the hash: the pixels' values times the random factors of their places."""
        mixed = part.astype(np.int64 if part.dtype.kind in "biu" else np.float32)
        mixed = mixed.view(f"u{mixed.dtype.itemsize}").astype(np.uint64, copy=False)
        for factors, own in zip(reversed(self.factors), reversed(region), strict=True):
            mixed = mixed @ factors[own]
        self.total += mixed
        shares = [each[:, own] for each, own in zip(self.shares, region[1:], strict=True)]
        self.sums = self.sums + cell_sums(part, shares)

    def facts(self) -> dict:
        """The names; half precision changes a correlation of signatures by less than 1e-4."""
        text = base64.b64encode(signature(self.sums).astype("<f2").tobytes()).decode()
        return {"pixels": f"{'x'.join(map(str, self.shape))}-{int(self.total[0]):016x}", "signature": text}


def _end(best: tuple[float, int], part: np.ndarray, value: float, pick: Callable) -> tuple[float, int]:
    """The smallest or largest value so far, and how many pixels have it, given that of a part."""
    if pick(value, best[0]) != value:
        return best
    count = int(np.count_nonzero(part == value))
    return value, count + (best[1] if value == best[0] else 0)
