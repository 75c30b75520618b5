"""Tile plans: every pixel once, strides aligned with pooling, mirroring as NumPy does it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakeseg.arrays import mirror_indices, read_mirrored
from snakeseg.networks.geometry import Geometry, combine
from snakeseg.networks.registry import geometry_of
from snakeseg.prediction.tile_plan import Costs, Sample, plan_tiles, price_tiles
from snakeseg.prediction.tiles import Tile, lay_tiles, part_of, tile_shape, tiles_of_part
from snakeseg.settings import NETWORK_SETTINGS

quick = settings(deadline=None, max_examples=60)
shapes = st.one_of(st.tuples(st.integers(1, 70), st.integers(1, 70)), st.tuples(*[st.integers(1, 20)] * 3))
geometries = st.builds(
    lambda depth: Geometry(6 * 2**depth - 4, 2**depth, -4 % 2**depth), depth=st.integers(1, 5)
)  # fmt: skip


@quick
@given(shape=shapes, geometry=geometries, largest=st.integers(1, 100))
def test_tiles_cover_every_pixel_exactly_once(shape, geometry, largest):
    covered = np.zeros(shape, int)
    for tile in lay_tiles(shape, tile_shape(shape, geometry, largest)):
        covered[tile.region] += 1
        assert all(a < b for a, b in zip(tile.start, tile.stop, strict=True))
    assert (covered == 1).all()


@quick
@given(shape=shapes, geometry=geometries, largest=st.integers(1, 100))
def test_tiles_are_in_phase_with_pooling(shape, geometry, largest):
    stride = tile_shape(shape, geometry, largest)
    assert all(step % geometry.multiple == 0 for step in stride)
    assert all(a % geometry.multiple == 0 for tile in lay_tiles(shape, stride) for a in tile.start)


@quick
@given(size=st.integers(1, 3000), geometry=geometries, largest=st.integers(1, 700))
def test_stride_is_as_large_as_allowed_and_no_larger(size, geometry, largest):
    """No stride exceeds `largest` (or the smallest there is), and no fewer tiles would do."""
    allowed = max(largest // geometry.multiple, 1) * geometry.multiple
    (stride,) = tile_shape((size,), geometry, largest)
    assert stride <= allowed
    assert -(-size // stride) == -(-size // allowed)


@quick
@given(size=st.integers(1, 600), geometry=geometries)
def test_output_is_the_smallest_valid_one(size, geometry):
    """Outputs are inputs less two halos; inputs have the remainder that pooling asks for."""
    valid = [
        n - 2 * geometry.halo
        for n in range(2 * geometry.halo + 1, 2 * geometry.halo + size + geometry.multiple + 1)
        if n % geometry.multiple == geometry.remainder
    ]
    expected = min(n for n in valid if n >= size)
    assert geometry.output_size(size) == expected
    assert geometry.input_size(size) == expected + 2 * geometry.halo


def test_the_papers_tile():
    geometry = Geometry(halo=92, multiple=16, remainder=12)
    assert geometry.output_size(388) == 388
    assert geometry.input_size(388) == 572
    assert geometry.output_size(389) == 404


every_network = st.builds(
    lambda cls, depth: geometry_of(cls(**({"depth": depth} if hasattr(cls, "depth") else {}))),
    st.sampled_from(list(NETWORK_SETTINGS.values())), st.integers(2, 4),
)  # fmt: skip


@quick
@given(data=st.data(), dims=st.sampled_from([2, 3]), geometry=every_network, count=st.integers(1, 7))
def test_parts_of_any_image_for_any_network(data, dims, geometry, count):
    """Every pixel is written once, in phase with pooling, from nothing but pixels of the mirrored image."""
    shape = data.draw(st.tuples(*[st.integers(1, 3000)] * dims))
    stride = tile_shape(shape, geometry, data.draw(st.integers(max(shape) // 8 + 1, 3000)))
    tiles = [tile for index in range(count) for tile in tiles_of_part(shape, stride, index, count)]
    assert all(step % geometry.multiple == 0 for step in stride)
    # Different points of a grid as wide as the tiles, and as many pixels as there are: each of them once.
    assert len({tile.start for tile in tiles}) == len(tiles)
    assert sum(np.prod([b - a for a, b in zip(t.start, t.stop, strict=True)], dtype=object) for t in tiles) == np.prod(
        shape, dtype=object
    )
    for tile in tiles:
        for a, b, n, step in zip(tile.start, tile.stop, shape, stride, strict=True):
            assert 0 <= a < b <= min(n, a + step)
            assert a % step == 0
    for a, n, step in zip(tiles[-1].start, shape, stride, strict=True):
        seen = mirror_indices(a - geometry.halo, a - geometry.halo + geometry.input_size(step), n)
        after = max(0, a - geometry.halo + geometry.input_size(step) - n)
        mirrored = np.pad(np.arange(n), (geometry.halo, after), mode="reflect" if n > 1 else "edge")
        np.testing.assert_array_equal(seen, mirrored[a : a + len(seen)])


def test_tile_order_and_edges():
    tiles = list(lay_tiles((5, 4), (4, 2)))
    assert tiles == [Tile((0, 0), (4, 2)), Tile((0, 2), (4, 4)), Tile((4, 0), (5, 2)), Tile((4, 2), (5, 4))]


@quick
@given(size=st.integers(1, 30), before=st.integers(0, 200), after=st.integers(0, 200))
def test_mirror_indices_are_numpys_reflect(size, before, after):
    expected = np.pad(np.arange(size), (before, after), mode="reflect")
    np.testing.assert_array_equal(mirror_indices(-before, size + after, size), expected)


@quick
@given(st.data())
def test_reading_is_a_crop_of_numpys_reflect(data):
    """Any region, also one wholly outside or many times the image, with or without channels."""
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


def test_reading_inside_copies_nothing():
    array = np.zeros((1, 50, 50))
    assert np.shares_memory(read_mirrored(array, (3, 4), (10, 10)), array)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tiny_axes(size):
    assert set(mirror_indices(-9, 9, size)) == set(range(size))


COSTS = Costs([Sample(100**2, 0.1, 1e6), Sample(1000**2, 10.0, 1e8), Sample(2000**2, 60.0, 4e8)], passes=2, fixed=5e6)
sizes = st.lists(st.integers(1, 3000), min_size=2, max_size=2)


@quick
@given(shape=sizes, depth=st.integers(1, 5), budget=st.floats(1e6, 1e9))
def test_plans_cover_once_in_phase_and_within_the_budget(shape, depth, budget):
    geometry = Geometry(6 * 2**depth - 4, 2**depth, -4 % 2**depth)
    found = plan_tiles(shape, geometry, COSTS, budget)
    tiles = list(lay_tiles(shape, found.stride))
    assert len(tiles) == found.tiles
    assert sum(np.prod([b - a for a, b in zip(t.start, t.stop, strict=True)]) for t in tiles) == np.prod(shape)
    assert all(step % geometry.multiple == 0 for step in found.stride)
    smallest = price_tiles(shape, [geometry.multiple] * 2, geometry, COSTS)
    assert found.memory <= max(budget, COSTS.fixed + 1.5 * (smallest.memory - COSTS.fixed))
    if smallest.memory <= budget:
        assert found.seconds <= smallest.seconds


def test_a_plan_prices_tiles_by_what_was_measured():
    """Four tiles of 500 with a halo of 250: inputs of 1000 x 1000, at 10 seconds each, in two passes."""
    found = price_tiles((1000, 1000), (500, 500), Geometry(250, 1), COSTS)
    assert found == ((500, 500), 4, 4.0, pytest.approx(80.0), pytest.approx(1.05e8))


def test_the_fastest_tiles_are_not_the_largest():
    """Above 1000 pixels a side, a pixel takes up to half as long again: more tiles pay, unless the halo is large."""
    small, large = (plan_tiles((1500, 1500), Geometry(halo, 1), COSTS, 1e12) for halo in (5, 250))
    assert small.tiles > large.tiles


def test_images_may_be_cut_along_one_axis_only():
    found = plan_tiles((30, 3000), Geometry(4, 4), COSTS, COSTS.fixed + 7e6)
    assert found.stride[0] == 32
    assert found.stride[1] < 3000


@quick
@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 5), st.booleans()), min_size=1, max_size=3))
def test_combined_tiles_hold_what_every_network_must_see(networks):
    geometries = [Geometry(h, 2**d, 0 if padded else -2 * h % 2**d, padded) for h, d, padded in networks]
    common = combine(geometries)
    stride = 3 * common.multiple
    for geometry in geometries:
        assert stride % geometry.multiple == 0
        assert common.halo - geometry.halo >= 0
        assert common.halo - geometry.halo + geometry.input_size(stride) <= common.input_size(stride)


@quick
@given(size=st.integers(1, 500), stride=st.integers(1, 90), count=st.integers(1, 12))
def test_parts_hold_whole_tiles_and_make_the_whole(size, stride, count):
    parts = [part_of(size, stride, index, count) for index in range(count)]
    assert [p for start, stop in parts for p in range(start, stop)] == list(range(size))
    assert all(start % stride == 0 for start, stop in parts if start < stop)
