"""Lazy arrays, iteration over blocks, and prefetching."""

import threading
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakeseg.arrays import (
    as_lazy,
    concatenate,
    decode_on_first_read,
    grid_regions,
    iterate_blocks,
    prefetch_results,
    regions_overlap,
)

quick = settings(deadline=None, max_examples=60)
ARRAY = np.arange(2 * 7 * 9).reshape(2, 7, 9)


@quick
@given(shape=st.lists(st.integers(1, 40), min_size=1, max_size=3), limit=st.integers(1, 500), data=st.data())
def test_blocks_cover_every_pixel_once_along_chunks(shape, limit, data):
    chunks = data.draw(st.none() | st.tuples(*[st.integers(1, 9)] * len(shape)))
    covered = np.zeros(shape, int)
    for region in iterate_blocks(shape, chunks, limit):
        covered[region] += 1
        assert covered[region].size <= max(limit, np.prod(chunks or 1))
        assert all(s.start % c == 0 for s, c in zip(region, chunks or (1,) * len(shape), strict=True))
    assert (covered == 1).all()


def test_blocks_come_in_c_order():
    starts = [tuple(s.start for s in region) for region in grid_regions((5, 4), (3, 2))]
    assert starts == [(0, 0), (0, 2), (3, 0), (3, 2)]


def test_only_the_requested_regions_are_read():
    read_shapes = []
    lazy = as_lazy(ARRAY).map(lambda a: read_shapes.append(a.shape) or 2 * a, ARRAY.dtype)
    np.testing.assert_array_equal(lazy[:, 1:3], 2 * ARRAY[:, 1:3])
    np.testing.assert_array_equal(lazy[0:1, -2:, 4:100], 2 * ARRAY[0:1, -2:, 4:100])
    assert read_shapes == [(2, 2, 9), (1, 2, 5)]
    np.testing.assert_array_equal(np.asarray(lazy), 2 * ARRAY)


@quick
@given(cuts=st.lists(st.integers(1, 6), max_size=3, unique=True), region=st.tuples(*[st.integers(0, 6)] * 2))
def test_concatenated_arrays_read_like_one(cuts, region):
    whole = concatenate(np.split(ARRAY, sorted(cuts), axis=1), axis=1)
    start, stop = min(region), max(region) + 1
    assert whole.shape == ARRAY.shape
    np.testing.assert_array_equal(whole[:, start:stop, 2:5], ARRAY[:, start:stop, 2:5])


def test_results_are_prefetched_in_order_up_to_the_depth():
    started, most_ahead = [], 0
    lock = threading.Lock()

    def work(item):
        with lock:
            started.append(item)
        return item * item

    for used, result in enumerate(prefetch_results(work, range(20), depth=3)):
        with lock:
            most_ahead = max(most_ahead, len(started) - used)
        assert result == used * used
    assert 1 < most_ahead <= 5


def test_errors_reach_the_caller_and_end_the_work():
    def work(item):
        if item == 3:
            raise ValueError("three")
        return item

    results = prefetch_results(work, iter(range(1000)))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_an_image_is_decoded_once_at_the_first_read_and_freed():
    decoded = []

    def decode():
        array = np.array(ARRAY)
        decoded.append(weakref.ref(array))
        return array

    lazy = decode_on_first_read(ARRAY.shape, ARRAY.dtype, decode)
    assert not decoded
    for region in grid_regions(ARRAY.shape, (1, 2, 4)):
        np.testing.assert_array_equal(lazy[region], ARRAY[region])
    assert len(decoded) == 1
    del lazy
    assert decoded[0]() is None


@pytest.mark.parametrize(("shape", "dtype"), [((2, 3), ARRAY.dtype), (ARRAY.shape, np.dtype(np.uint8))])
def test_pixels_that_contradict_the_header_are_an_error(shape, dtype):
    with pytest.raises(ValueError, match="under a header of"):
        decode_on_first_read(shape, dtype, lambda: ARRAY)[:]


def test_regions_overlap_where_they_share_a_pixel():
    tile = (slice(4, 8), slice(0, 4))
    assert regions_overlap(tile, (slice(0, 5), slice(3, 9)))
    assert not regions_overlap(tile, (slice(0, 4), slice(0, 4)))
    assert not regions_overlap(tile, (slice(4, 8), slice(4, 6)))
