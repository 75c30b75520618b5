"""Tiles for networks that see the whole tile (instance or group normalisation): windows that fade into each other."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import numpy as np
import torch

from snakeseg.networks.geometry import Geometry
from snakeseg.prediction.overlap_tile import OnTile, Piece, run_tiles
from snakeseg.prediction.tiles import Tile, lay_tiles


def run_blended(
    work: OnTile,
    image,
    geometry: Geometry,
    stride: Sequence[int],
    device: torch.device | str = "cpu",
    tiles: Iterable[Tile] | None = None,
) -> Iterator[Piece]:
    """As `run_tiles`, but a pixel's answer is a weighted mean of those of all windows that hold it.

    Windows, twice as long as tiles along each axis, are centred on the corners of the tiles, so that 2**dims of them
    hold a pixel. Their weights fall linearly from the centre to the edge and add up to one everywhere, so nothing has
    to be divided, and a tile is complete as soon as its last window is: about one row of tiles is held at a time.

    Parameters and yields are those of `run_tiles`; the order of the tiles is that in which they are completed.
    """
    open_tiles = {tile.start: tile for tile in tiles or lay_tiles(image.shape[1:], stride)}
    corners = {
        tuple(a + far * step for a, far, step in zip(start, fars, stride, strict=True))
        for start in open_tiles
        for fars in product((0, 1), repeat=len(stride))
    }
    windows = [
        Tile(*(tuple(c + sign * s for c, s in zip(corner, stride, strict=True)) for sign in (-1, 1)))
        for corner in sorted(corners)
    ]
    weights = {halves: _weight(halves, stride) for halves in product((0, 1), repeat=len(stride))}
    totals: dict[tuple[int, ...], np.ndarray] = {}
    missing = dict.fromkeys(open_tiles, len(weights))
    for region, answer in run_tiles(work, image, geometry, [2 * step for step in stride], device, windows):
        for halves, weight in weights.items():
            inner = tuple(slice(half * s, (half + 1) * s) for half, s in zip(halves, stride, strict=True))
            start = tuple(r.start + part.start for r, part in zip(region, inner, strict=True))
            if start not in open_tiles:
                continue
            part = answer[(slice(None), *inner)] * weight
            totals[start] = totals[start] + part if start in totals else part
            missing[start] -= 1
            if not missing[start]:
                tile = open_tiles[start]
                extent = (slice(b - a) for a, b in zip(tile.start, tile.stop, strict=True))
                yield tile.region, totals.pop(start)[(slice(None), *extent)].astype(answer.dtype)


def _weight(halves: Sequence[int], stride: Sequence[int]) -> np.ndarray:
    """Weights over one of the 2**dims parts of a window: rising along the axes of its first half, else falling."""
    weight = np.ones((), np.float32)
    for half, step in zip(halves, stride, strict=True):
        rise = (np.arange(step, dtype=np.float32) + 0.5) / step
        weight = np.multiply.outer(weight, rise[::-1] if half else rise)
    return weight
