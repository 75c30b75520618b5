"""Tiles cover every pixel once, at strides that are multiples of each axis' period; plans; mirrored reads."""

import math
from operator import add, le, mod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakeseg.arrays import grid_regions, mirror_indices, read_mirrored
from snakeseg.networks.geometry import Geometry, combine, uniform
from snakeseg.networks.registry import geometry_of
from snakeseg.prediction.tile_plan import TileCosts, TileMeasurement, plan_tiles, price_tiles
from snakeseg.prediction.tiles import fixed_stride, part_of, tiles_of_part
from snakeseg.settings import NETWORK_SETTINGS

quick = settings(deadline=None, max_examples=60)
shapes = st.one_of(st.tuples(st.integers(1, 70), st.integers(1, 70)), st.tuples(*[st.integers(1, 20)] * 3))
depths = st.integers(0, 5)


def unet_like(depths):
    """Return the geometry of an unpadded U-Net with `depths` poolings, one number per axis."""
    halo = tuple(6 * 2**depth - 4 for depth in depths)
    steps = tuple(2**depth for depth in depths)
    return Geometry(halo, steps, tuple(-4 % step for step in steps), steps)


@st.composite
def shapes_and_geometries(draw, shapes=shapes):
    shape = draw(shapes)
    return shape, unet_like([draw(depths) for _ in shape])


@quick
@given(shapes_and_geometries(), st.integers(1, 100))
def test_tiles_cover_every_pixel_exactly_once(drawn, largest):
    shape, geometry = drawn
    covered = np.zeros(shape, int)
    for tile in grid_regions(shape, fixed_stride(shape, geometry, largest)):
        covered[tile] += 1
        assert all(side.start < side.stop for side in tile)
    assert (covered == 1).all()


@quick
@given(shapes_and_geometries(), st.integers(1, 100))
def test_tiles_start_at_multiples_of_the_period(drawn, largest):
    shape, geometry = drawn
    stride = fixed_stride(shape, geometry, largest)
    assert not any(map(mod, stride, geometry.multiple))
    for tile in grid_regions(shape, stride):
        assert not any(map(mod, (side.start for side in tile), geometry.multiple))


@quick
@given(shapes_and_geometries(st.tuples(*[st.integers(1, 3000)] * 2)), st.integers(1, 700))
def test_the_stride_is_as_large_as_allowed(drawn, largest):
    """No stride exceeds `largest` (or the smallest possible), and fewer tiles would not cover the image."""
    shape, geometry = drawn
    for size, step, multiple in zip(shape, fixed_stride(shape, geometry, largest), geometry.multiple, strict=True):
        allowed = max(largest // multiple, 1) * multiple
        assert step <= allowed
        assert -(-size // step) == -(-size // allowed)


@quick
@given(shapes_and_geometries(st.tuples(*[st.integers(1, 600)] * 3)))
def test_the_output_is_the_smallest_valid_one(drawn):
    """Along each axis, outputs are inputs minus two halos, and inputs have the remainder that pooling requires."""
    shape, geometry = drawn
    outputs, inputs = geometry.output_size(shape), geometry.input_size(shape)
    for axis, size in enumerate(shape):
        halo, multiple = geometry.halo[axis], geometry.multiple[axis]
        possible = range(2 * halo + size, 2 * halo + size + multiple)
        (expected,) = [n for n in possible if n % multiple == geometry.remainder[axis]]
        assert (inputs[axis], outputs[axis]) == (expected, expected - 2 * halo)


def test_sizes_equal_those_of_the_tile_in_the_paper():
    geometry = uniform(2, halo=92, multiple=16, remainder=12)
    assert geometry.output_size(388) == (388, 388)
    assert geometry.input_size((388, 1)) == (572, 188)
    assert geometry.output_size((389, 388)) == (404, 388)


every_network = st.builds(
    lambda cls, depth: cls(**({"depth": depth} if hasattr(cls, "depth") else {})),
    st.sampled_from(list(NETWORK_SETTINGS.values())), st.integers(2, 4),
)  # fmt: skip


@quick
@given(data=st.data(), dims=st.sampled_from([2, 3]), network=every_network, count=st.integers(1, 7))
def test_parts_cover_any_image_for_any_network(data, dims, network, count):
    """Every pixel is written once, by tiles that start at multiples of their stride and read the mirrored image."""
    geometry = geometry_of(dims, network)
    shape = data.draw(st.tuples(*[st.integers(1, 3000)] * dims))
    stride = fixed_stride(shape, geometry, data.draw(st.integers(max(shape) // 8 + 1, 3000)))
    tiles = [tile for index in range(count) for tile in tiles_of_part(shape, stride, index, count)]
    assert not any(map(mod, stride, geometry.multiple))
    # Distinct points of a grid as wide as the tiles, and as many pixels as the image: each pixel is covered once.
    assert len({tuple(side.start for side in tile) for tile in tiles}) == len(tiles)
    assert sum(map(pixels_of, tiles)) == math.prod(shape)
    for tile in tiles:
        for side, n, step in zip(tile, shape, stride, strict=True):
            assert 0 <= side.start < side.stop <= min(n, side.start + step)
            assert side.start % step == 0
    for side, n, size, halo in zip(tiles[-1], shape, geometry.input_size(stride), geometry.halo, strict=True):
        first, last = side.start - halo, side.start - halo + size
        mirrored = np.pad(np.arange(n), (halo, max(0, last - n)), mode="reflect" if n > 1 else "edge")
        np.testing.assert_array_equal(mirror_indices(first, last, n), mirrored[side.start : side.start + size])


def pixels_of(region):
    return math.prod(side.stop - side.start for side in region)


@quick
@given(size=st.integers(1, 30), before=st.integers(0, 200), after=st.integers(0, 200))
def test_mirror_indices_equal_those_of_numpy(size, before, after):
    expected = np.pad(np.arange(size), (before, after), mode="reflect")
    np.testing.assert_array_equal(mirror_indices(-before, size + after, size), expected)


@quick
@given(st.data())
def test_mirrored_reads_equal_crops_of_an_array_padded_by_numpy(data):
    """Regions may lie outside the image or be many times as large, with or without channels."""
    shape = data.draw(shapes.filter(lambda s: np.prod(s) < 2000))
    channels = data.draw(st.sampled_from([(), (2,)]))
    start = [data.draw(st.integers(-30, 30)) for _ in shape]
    size = [data.draw(st.integers(1, 30)) for _ in shape]
    array = np.arange(np.prod(channels + shape)).reshape(channels + shape)
    expected = array
    for axis, (first, extent) in enumerate(zip(start, size, strict=True), start=len(channels)):
        pad = [(30, 60) if i == axis else (0, 0) for i in range(array.ndim)]
        expected = np.pad(expected, pad, mode="reflect").take(range(30 + first, 30 + first + extent), axis)
    np.testing.assert_array_equal(read_mirrored(array, start, size), expected)


def test_reads_inside_the_image_copy_nothing():
    array = np.zeros((1, 50, 50))
    assert np.shares_memory(read_mirrored(array, (3, 4), (10, 10)), array)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_mirror_indices_of_tiny_axes_stay_inside(size):
    assert set(mirror_indices(-9, 9, size)) == set(range(size))


COSTS = TileCosts(
    [TileMeasurement(100**2, 0.1, 1e6), TileMeasurement(1000**2, 10.0, 1e8), TileMeasurement(2000**2, 60.0, 4e8)],
    passes=2,
    fixed=5e6,
)
sizes = st.lists(st.integers(1, 3000), min_size=2, max_size=2)


@quick
@given(shapes_and_geometries(sizes), st.floats(1e6, 1e9))
def test_plans_cover_every_pixel_once_within_the_budget(drawn, budget):
    shape, geometry = drawn
    plan = plan_tiles(shape, geometry, COSTS, budget)
    tiles = list(grid_regions(shape, plan.stride))
    assert len(tiles) == plan.tiles
    assert sum(map(pixels_of, tiles)) == math.prod(shape)
    assert not any(map(mod, plan.stride, geometry.multiple))
    smallest = price_tiles(shape, geometry.multiple, geometry, COSTS)
    assert plan.memory <= max(budget, COSTS.fixed + 1.5 * (smallest.memory - COSTS.fixed))
    if smallest.memory <= budget:
        assert plan.seconds <= smallest.seconds


def test_costs_of_a_plan_follow_from_the_measured_tiles():
    """Four tiles of 500 with a halo of 250 have inputs of 1000 x 1000 and take 10 seconds each, in two passes."""
    plan = price_tiles((1000, 1000), (500, 500), uniform(2, 250, 1), COSTS)
    assert plan == ((500, 500), 4, 4.0, pytest.approx(80.0), pytest.approx(1.05e8))


def test_the_fastest_tiles_are_not_the_largest():
    """Above a side of 1000 pixels, a pixel takes up to 50 % longer: more tiles are faster, unless the halo is large."""
    small, large = (plan_tiles((1500, 1500), uniform(2, halo, 1), COSTS, 1e12) for halo in (5, 250))
    assert small.tiles > large.tiles


def test_images_may_be_divided_along_one_axis_only():
    plan = plan_tiles((30, 3000), uniform(2, 4, 4), COSTS, COSTS.fixed + 7e6)
    assert plan.stride[0] == 32
    assert plan.stride[1] < 3000


@quick
@given(st.lists(st.tuples(*[st.tuples(st.integers(0, 90), depths)] * 2, st.booleans()), min_size=1, max_size=3))
def test_shared_tiles_contain_the_input_of_every_network(networks):
    geometries = []
    for *axes, padded in networks:
        halo, multiple = zip(*((h, 2**depth) for h, depth in axes), strict=True)
        remainder = tuple(0 if padded else -2 * h % m for h, m in zip(halo, multiple, strict=True))
        geometries.append(Geometry(halo, multiple, remainder, multiple, padded))
    common = combine(geometries)
    stride = [3 * step for step in common.multiple]
    for geometry in geometries:
        assert not any(map(mod, stride, geometry.multiple))
        excess = [larger - halo for larger, halo in zip(common.halo, geometry.halo, strict=True)]
        assert min(excess) >= 0
        assert all(map(le, map(add, excess, geometry.input_size(stride)), common.input_size(stride)))


@quick
@given(size=st.integers(1, 500), stride=st.integers(1, 90), count=st.integers(1, 12))
def test_parts_consist_of_whole_tiles_and_cover_the_image(size, stride, count):
    parts = [part_of(size, stride, index, count) for index in range(count)]
    assert [p for start, stop in parts for p in range(start, stop)] == list(range(size))
    assert all(start % stride == 0 for start, stop in parts if start < stop)
