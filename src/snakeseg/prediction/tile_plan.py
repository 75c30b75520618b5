"""Tile plans: the fastest tiles of an image that fit into the memory."""

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from snakeseg.networks.geometry import Geometry
from snakeseg.prediction.tiles import is_blended

# Ratio of times below which they count as equal; repeated measurements scatter as much.
EQUAL_TIME_RATIO = 1.03
# If no tiles fit the budget: allowed ratio of the memory of a plan to the smallest possible.
LEAST_MEMORY_RATIO = 1.5


class TileMeasurement(NamedTuple):
    """Measured cost of one tile.

    Parameters
    ----------
    pixels : int
        Pixels of the tile's input, including the halo.
    seconds : float
        Time of one pass.
    memory : float
        Peak memory, in bytes.
    """

    pixels: int
    seconds: float
    memory: float


class TileCosts(NamedTuple):
    """Costs of tiles.

    Parameters
    ----------
    samples : sequence of TileMeasurement
        Measured tiles, in order of their size.
    passes : float
        Number of passes per tile, over models, orientations and magnifications.
    fixed : float
        Memory that the process holds in addition, in bytes.
    """

    samples: Sequence[TileMeasurement]
    passes: float = 1
    fixed: float = 0.0


class TilePlan(NamedTuple):
    """Tiles of an image, and the estimated costs of its prediction.

    Parameters
    ----------
    stride : tuple of int
        Stride of the tiles, in pixels, one per axis.
    tiles : int
        Number of tiles.
    redundancy : float
        Pixels of the tiles' inputs per pixel of the image.
    seconds : float
        Expected time.
    memory : float
        Expected peak memory, in bytes.
    """

    stride: tuple[int, ...]
    tiles: int
    redundancy: float
    seconds: float
    memory: float


def plan_tiles(shape: Sequence[int], geometry: Geometry, costs: TileCosts, budget: float) -> TilePlan:
    """Choose the tiles with the least expected time, within a memory budget; tiles may be rectangles.

    Of plans that are about as fast (`EQUAL_TIME_RATIO`), the one with the least memory is chosen. Large tiles spend
    less time on halos but overflow the processor's caches, so times are measured, not assumed, and no tile is larger
    than the measured ones.

    Parameters
    ----------
    shape : sequence of int
        Shape of the image, without channels.
    geometry : Geometry
    costs : TileCosts
    budget : float
        Memory in bytes. It is exceeded only if no tiles fit.

    Returns
    -------
    TilePlan
    """
    largest = costs.samples[-1].pixels
    strides = product(*map(_strides, shape, geometry.multiple))
    measured = [s for s in strides if _passes(shape, s, geometry)[1] <= largest]
    plans = [price_tiles(shape, s, geometry, costs) for s in measured or [geometry.multiple]]
    fitting = [plan for plan in plans if plan.memory <= budget]
    if not fitting:  # the very least memory might take out of proportion more time
        least = min(plan.memory for plan in plans) - costs.fixed
        fitting = [plan for plan in plans if plan.memory - costs.fixed <= LEAST_MEMORY_RATIO * least]
    fastest = min(plan.seconds for plan in fitting)
    return min(
        (plan for plan in fitting if plan.seconds <= EQUAL_TIME_RATIO * fastest),
        key=lambda plan: (plan.memory, plan.seconds),
    )


def price_tiles(shape: Sequence[int], stride: Sequence[int], geometry: Geometry, costs: TileCosts) -> TilePlan:
    """Estimate time and memory of predicting an image with tiles of a given stride.

    Parameters
    ----------
    shape : sequence of int
        Shape of the image, without channels.
    stride : sequence of int
        Stride of the tiles, in pixels, one per axis.
    geometry : Geometry
    costs : TileCosts

    Returns
    -------
    TilePlan
    """
    tiles, pixels = _passes(shape, stride, geometry)
    sizes, times, memory = np.array(costs.samples).T
    # Time per pixel changes little with the size of tiles, so it is interpolated, and kept constant beyond the samples.
    seconds_per_pixel = float(np.interp(np.log(pixels), np.log(sizes), times / sizes))
    tile_memory = np.interp(pixels, sizes, memory) if pixels > sizes[0] else memory[0] * pixels / sizes[0]
    redundancy = tiles * pixels / math.prod(shape)
    seconds = tiles * pixels * seconds_per_pixel * costs.passes
    return TilePlan(tuple(stride), tiles, redundancy, seconds, costs.fixed + float(tile_memory))


def _passes(shape: Sequence[int], stride: Sequence[int], geometry: Geometry) -> tuple[int, int]:
    """Return the number of runs of the network and the pixels of each input; blended tiles run on larger windows."""
    blended = is_blended(shape, stride, geometry)
    count = math.prod(-(-size // step) + blended for size, step in zip(shape, stride, strict=True))
    return count, math.prod(geometry.input_size([step * (1 + blended) for step in stride]))


def _strides(size: int, step: int) -> list[int]:
    """Return candidate strides along an axis: of 1, 2, 3, ... equal tiles, each at most 0.9 times the previous one."""
    strides = [-(-size // step) * step]
    while strides[-1] > step:
        tiles = -(-size // max(step, int(0.9 * strides[-1]) // step * step))
        strides.append(-(-size // (tiles * step)) * step)
    return strides
