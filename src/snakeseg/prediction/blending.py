"""Tiles for networks that see the whole tile (instance or group normalisation): windows that fade into each other."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import numpy as np
import torch

from snakeseg.arrays import Region, regions_of
from snakeseg.networks.geometry import Geometry
from snakeseg.prediction.overlap_tile import OnTile, Piece, run_tiles


def run_blended(
    work: OnTile,
    image,
    geometry: Geometry,
    stride: Sequence[int],
    device: torch.device | str = "cpu",
    tiles: Iterable[Region] | None = None,
) -> Iterator[Piece]:
    """As `run_tiles`, but the output of a pixel is a weighted mean of those of all windows that hold it.

    Windows, twice as long as tiles along each axis, are centred on the corners of the tiles, so that 2**dims of them
    hold a pixel. Their weights fall linearly from the centre to the edge and add up to one everywhere, so nothing has
    to be divided, and a tile is complete as soon as its last window is: about one row of tiles is held at a time.

    Parameters and yields are those of `run_tiles`; the order of the tiles is that in which they are completed.
    """
    open_tiles = {_start(tile): tile for tile in tiles or regions_of(image.shape[1:], stride)}
    halves = list(product((0, 1), repeat=len(stride)))
    parts = [(_part(half, stride), _weight(half, stride)) for half in halves]
    totals: dict[tuple[int, ...], np.ndarray] = {}
    missing = dict.fromkeys(open_tiles, len(parts))
    windows = _windows(open_tiles, stride, halves)
    for window, output in run_tiles(work, image, geometry, [2 * step for step in stride], device, windows):
        for part, weight in parts:
            start = tuple(w.start + p.start for w, p in zip(window, part, strict=True))
            if start not in open_tiles:
                continue
            weighted = output[(slice(None), *part)] * weight
            totals[start] = totals[start] + weighted if start in totals else weighted
            missing[start] -= 1
            if not missing[start]:
                tile = open_tiles[start]
                extent = (slice(side.stop - side.start) for side in tile)
                yield tile, totals.pop(start)[(slice(None), *extent)].astype(output.dtype)


def _start(tile: Region) -> tuple[int, ...]:
    return tuple(side.start for side in tile)


def _windows(
    starts: Iterable[tuple[int, ...]], stride: Sequence[int], halves: Sequence[tuple[int, ...]]
) -> list[Region]:
    """Windows around all corners of the tiles that start here, in C order; those at the border begin outside."""
    corners = {
        tuple(a + far * step for a, far, step in zip(start, half, stride, strict=True))
        for start in starts
        for half in halves
    }
    return [tuple(slice(c - s, c + s) for c, s in zip(corner, stride, strict=True)) for corner in sorted(corners)]


def _part(halves: Sequence[int], stride: Sequence[int]) -> Region:
    """One of the 2**dims parts of a window, each as large as a tile."""
    return tuple(slice(half * step, (half + 1) * step) for half, step in zip(halves, stride, strict=True))


def _weight(halves: Sequence[int], stride: Sequence[int]) -> np.ndarray:
    """Weights over a part of a window: rising along the axes of its first half, else falling."""
    weight = np.ones((), np.float32)
    for half, step in zip(halves, stride, strict=True):
        rise = (np.arange(step, dtype=np.float32) + 0.5) / step
        weight = np.multiply.outer(weight, rise[::-1] if half else rise)
    return weight
