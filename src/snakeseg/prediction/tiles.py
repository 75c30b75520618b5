"""Tiles of an image: their stride, and the tiles of each part."""

from collections.abc import Sequence

from snakeseg.arrays import Region, regions_of
from snakeseg.networks.geometry import Geometry

# Largest stride, by number of axes, where nothing is known of the device.
PLAIN_TILE = {2: 384, 3: 64}


def tile_shape(shape: Sequence[int], geometry: Geometry, largest: int) -> tuple[int, ...]:
    """Stride of the tiles along each axis: the image in as few equal tiles as `largest` allows.

    Strides are multiples of `geometry.multiple`, so that pooling falls on the same pixels in every tile.
    """
    strides = []
    for size, step in zip(shape, geometry.multiple, strict=True):
        tiles = -(-size // (max(largest // step, 1) * step))
        strides.append(-(-size // (tiles * step)) * step)
    return tuple(strides)


def is_blended(shape: Sequence[int], stride: Sequence[int], geometry: Geometry) -> bool:
    """Whether tiles must be blended: there are several, of a network whose output depends on the tile."""
    return not geometry.tile_exact and any(size > step for size, step in zip(shape, stride, strict=True))


def part_of(size: int, stride: int, index: int, count: int) -> tuple[int, int]:
    """Start and stop along an axis of one of `count` parts of whole tiles; it may be empty."""
    tiles = -(-size // stride)
    return min(size, tiles * index // count * stride), min(size, tiles * (index + 1) // count * stride)


def tiles_of_part(shape: Sequence[int], stride: Sequence[int], index: int, count: int) -> list[Region]:
    """The tiles, in C order, of one of `count` parts of an image, which is cut along its first axis."""
    first, last = part_of(shape[0], stride[0], index, count)
    return [tile for tile in regions_of(shape, stride) if first <= tile[0].start < last]
