"""Tiles of an image: their stride, their regions, and the tiles of each part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from snakeseg.networks.geometry import Geometry


@dataclass(frozen=True)
class Tile:
    """One tile: `start` to `stop` is what it writes; it reads `size` pixels from `start - halo`, mirrored."""

    start: tuple[int, ...]
    stop: tuple[int, ...]

    @property
    def region(self) -> tuple[slice, ...]:
        """The image region that this tile writes."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    def meets(self, box: Sequence[slice]) -> bool:
        """Whether it writes to any pixel of a box."""
        return all(a < part.stop and part.start < b for a, b, part in zip(self.start, self.stop, box, strict=True))


def tile_shape(shape: Sequence[int], geometry: Geometry, largest: int) -> tuple[int, ...]:
    """Stride of the tiles per axis: the image in as few equal tiles as `largest` allows.

    Strides are multiples of `geometry.multiple`, so that pooling falls on the same pixels in every tile.
    """
    step = geometry.multiple
    largest = max(largest // step, 1) * step
    strides = []
    for size in shape:
        tiles = -(-size // largest)
        strides.append(-(-size // (tiles * step)) * step)
    return tuple(strides)


# Largest stride, by number of axes, where nothing is known of the device.
PLAIN_TILE = {2: 384, 3: 64}


def is_blended(shape: Sequence[int], stride: Sequence[int], geometry: Geometry) -> bool:
    """Whether tiles must be blended: there are several, of a network whose answers depend on the tile."""
    return not geometry.tile_exact and any(size > step for size, step in zip(shape, stride, strict=True))


def lay_tiles(shape: Sequence[int], stride: Sequence[int]) -> Iterator[Tile]:
    """Tiles that cover an image of this shape exactly once, in C order."""
    for start in product(*(range(0, size, step) for size, step in zip(shape, stride, strict=True))):
        stop = tuple(min(a + step, size) for a, step, size in zip(start, stride, shape, strict=True))
        yield Tile(start, stop)


def part_of(size: int, stride: int, index: int, count: int) -> tuple[int, int]:
    """Where along an axis one of `count` parts of whole tiles starts and stops; it may be empty."""
    tiles = -(-size // stride)
    return min(size, tiles * index // count * stride), min(size, tiles * (index + 1) // count * stride)


def tiles_of_part(shape: Sequence[int], stride: Sequence[int], index: int, count: int) -> list[Tile]:
    """The tiles of one of `count` parts of an image, which is cut along its first axis."""
    first, last = part_of(shape[0], stride[0], index, count)
    return [tile for tile in lay_tiles(shape, stride) if first <= tile.start[0] < last]
