"""Which tiles an image is predicted in: the fastest that fit into the memory."""

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from snakeseg.networks.geometry import Geometry
from snakeseg.prediction.tiles import is_blended

# Times closer than this are alike: they scatter as much from one run to the next.
ALIKE = 1.03


class Sample(NamedTuple):
    """What one tile took that was tried: pixels of its input, seconds, bytes at most."""

    pixels: int
    seconds: float
    memory: float


class Costs(NamedTuple):
    """What tiles cost: samples of rising size, how often each tile is computed, and bytes that are taken anyhow."""

    samples: Sequence[Sample]
    passes: float = 1
    fixed: float = 0.0


class Plan(NamedTuple):
    """Tiles for an image: stride, number, pixels of input per pixel of the image, expected seconds and bytes."""

    stride: tuple[int, ...]
    tiles: int
    redundancy: float
    seconds: float
    memory: float


def plan_tiles(shape: Sequence[int], geometry: Geometry, costs: Costs, budget: float) -> Plan:
    """The tiles that are expected to be fastest (or all but that, in less memory) in a budget, rectangles allowed.

    The largest tiles waste the least on halos but overflow the processor's caches, so what tiles take is measured, not
    assumed; none larger than those measured are planned.

    Parameters
    ----------
    shape : sequence of int
        Of the image, without channels.
    geometry : Geometry
    costs : Costs
    budget : float
        In bytes; exceeded only where the smallest tiles do.
    """
    largest = costs.samples[-1].pixels
    strides = product(*map(_strides, shape, geometry.multiple))
    known = [s for s in strides if _passes(shape, s, geometry)[1] <= largest]
    plans = [price_tiles(shape, s, geometry, costs) for s in known or [geometry.multiple]]
    fitting = [plan for plan in plans if plan.memory <= budget]
    if not fitting:  # nearly the least, but not at any price
        least = min(plan.memory for plan in plans) - costs.fixed
        fitting = [plan for plan in plans if plan.memory - costs.fixed <= 1.5 * least]
    fastest = min(plan.seconds for plan in fitting)
    return min(
        (plan for plan in fitting if plan.seconds <= ALIKE * fastest), key=lambda plan: (plan.memory, plan.seconds)
    )


def price_tiles(shape: Sequence[int], stride: Sequence[int], geometry: Geometry, costs: Costs) -> Plan:
    """What tiles of this stride cost over an image."""
    tiles, pixels = _passes(shape, stride, geometry)
    sizes, times, memory = np.array(costs.samples).T
    # Per pixel, which changes little from one size to the next, or beyond them.
    rate = float(np.interp(np.log(pixels), np.log(sizes), times / sizes))
    taken = np.interp(pixels, sizes, memory) if pixels > sizes[0] else memory[0] * pixels / sizes[0]
    redundancy = tiles * pixels / math.prod(shape)
    return Plan(tuple(stride), tiles, redundancy, tiles * pixels * rate * costs.passes, costs.fixed + float(taken))


def _passes(shape: Sequence[int], stride: Sequence[int], geometry: Geometry) -> tuple[int, int]:
    """How often the network is run, on how many pixels; what is blended takes windows around the tiles' corners."""
    blended = is_blended(shape, stride, geometry)
    count = math.prod(-(-size // step) + blended for size, step in zip(shape, stride, strict=True))
    return count, math.prod(geometry.input_size([step * (1 + blended) for step in stride]))


def _strides(size: int, step: int) -> list[int]:
    """Strides worth trying along an axis: for 1, 2, 3, ... equal tiles, but none within a tenth of the one before."""
    found = [-(-size // step) * step]
    while found[-1] > step:
        tiles = -(-size // max(step, int(0.9 * found[-1]) // step * step))
        found.append(-(-size // (tiles * step)) * step)
    return found
