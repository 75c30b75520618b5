"""Blended tiles, for networks whose output depends on the whole tile (instance or group normalisation)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import numpy as np
import torch

from snakeseg.arrays import Region, grid_regions
from snakeseg.networks.geometry import Geometry
from snakeseg.prediction.overlap_tile import Piece, TileFunction, run_tiles


def run_blended(
    compute_tile: TileFunction,
    image,
    geometry: Geometry,
    stride: Sequence[int],
    device: torch.device | str = "cpu",
    tiles: Iterable[Region] | None = None,
) -> Iterator[Piece]:
    """Compute each pixel's output as the weighted mean over all windows that contain the pixel.

    Windows are twice as long as tiles along each axis and centred on the corners of the tiles, so that 2**dims windows
    contain each pixel. Weights fall linearly from the centre to the edge of a window and add up to one in every pixel,
    so no division is needed. A tile is complete as soon as its last window is, so about one row of tiles is in memory
    at a time.

    Parameters and yields are those of `run_tiles`. Tiles are yielded in the order in which they are completed.
    """
    open_tiles = {_start_of(tile): tile for tile in tiles or grid_regions(image.shape[1:], stride)}
    halves = list(product((0, 1), repeat=len(stride)))
    parts = [(_part_of_window(half, stride), _weights_of_part(half, stride)) for half in halves]
    totals: dict[tuple[int, ...], np.ndarray] = {}
    missing = dict.fromkeys(open_tiles, len(parts))
    windows = _windows(open_tiles, stride, halves)
    for window, output in run_tiles(compute_tile, image, geometry, [2 * step for step in stride], device, windows):
        for part, weights in parts:
            start = tuple(w.start + p.start for w, p in zip(window, part, strict=True))
            if start not in open_tiles:
                continue
            weighted = output[(slice(None), *part)] * weights
            totals[start] = totals[start] + weighted if start in totals else weighted
            missing[start] -= 1
            if not missing[start]:
                tile = open_tiles[start]
                extent = (slice(side.stop - side.start) for side in tile)
                yield tile, totals.pop(start)[(slice(None), *extent)].astype(output.dtype)


def _start_of(tile: Region) -> tuple[int, ...]:
    return tuple(side.start for side in tile)


def _windows(
    starts: Iterable[tuple[int, ...]], stride: Sequence[int], halves: Sequence[tuple[int, ...]]
) -> list[Region]:
    """Return the windows around all corners of tiles, in C order; those at the border start outside the image."""
    corners = {
        tuple(a + number * step for a, number, step in zip(start, half, stride, strict=True))
        for start in starts
        for half in halves
    }
    return [tuple(slice(c - s, c + s) for c, s in zip(corner, stride, strict=True)) for corner in sorted(corners)]


def _part_of_window(halves: Sequence[int], stride: Sequence[int]) -> Region:
    """Return one of the 2**dims parts of a window, as large as a tile; halves are 0 (first) or 1, one per axis."""
    return tuple(slice(half * step, (half + 1) * step) for half, step in zip(halves, stride, strict=True))


def _weights_of_part(halves: Sequence[int], stride: Sequence[int]) -> np.ndarray:
    """Return the weights over a part of a window: along each axis, rising in the first half, falling in the second."""
    weights = np.ones((), np.float32)
    for half, step in zip(halves, stride, strict=True):
        rise = (np.arange(step, dtype=np.float32) + 0.5) / step
        weights = np.multiply.outer(weights, rise[::-1] if half else rise)
    return weights
