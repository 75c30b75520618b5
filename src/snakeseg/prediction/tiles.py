"""Tiles of an image: their stride, and the tiles of each part of the image."""

from collections.abc import Sequence

from snakeseg.arrays import Region, grid_regions
from snakeseg.networks.geometry import Geometry

# Largest stride of tiles along an axis, in pixels, by the number of axes, if tiles have not been timed on the device.
DEFAULT_TILE_PIXELS = {2: 384, 3: 64}


def fixed_stride(shape: Sequence[int], geometry: Geometry, largest: int) -> tuple[int, ...]:
    """Return the stride of the smallest number of equal tiles that are no longer than `largest` along each axis.

    Strides are multiples of `geometry.multiple`, so that pooling windows are the same in every tile.

    Parameters
    ----------
    shape : sequence of int
        Shape of the image, without channels.
    geometry : Geometry
        Geometry of the network.
    largest : int
        Largest stride in pixels; raised to `geometry.multiple` if smaller.

    Returns
    -------
    tuple of int
        Stride in pixels, one per axis.
    """
    strides = []
    for size, step in zip(shape, geometry.multiple, strict=True):
        tiles = -(-size // (max(largest // step, 1) * step))
        strides.append(-(-size // (tiles * step)) * step)
    return tuple(strides)


def is_blended(shape: Sequence[int], stride: Sequence[int], geometry: Geometry) -> bool:
    """Return True if an image has several tiles and the network's output depends on the tile."""
    return not geometry.tile_exact and any(size > step for size, step in zip(shape, stride, strict=True))


def part_of(size: int, stride: int, index: int, count: int) -> tuple[int, int]:
    """Return the first pixel of a part of an axis and the pixel after its last; a part may be empty.

    Parameters
    ----------
    size : int
        Length of the axis, in pixels.
    stride : int
        Stride of the tiles along the axis, in pixels; parts consist of whole tiles.
    index, count : int
        Number of the part, counted from 0, and the number of parts.
    """
    tiles = -(-size // stride)
    return min(size, tiles * index // count * stride), min(size, tiles * (index + 1) // count * stride)


def tiles_of_part(shape: Sequence[int], stride: Sequence[int], index: int, count: int) -> list[Region]:
    """Return the tiles of a part of an image, in C order; images are divided along their first axis.

    Parameters
    ----------
    shape : sequence of int
        Shape of the image, without channels.
    stride : sequence of int
        Stride of the tiles in pixels, one per axis.
    index, count : int
        Number of the part, counted from 0, and the number of parts.
    """
    first, last = part_of(shape[0], stride[0], index, count)
    return [tile for tile in grid_regions(shape, stride) if first <= tile[0].start < last]
