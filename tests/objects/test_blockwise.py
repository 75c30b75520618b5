"""Blockwise segmentation equals that of the whole image for all block shapes, in bounded memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from snakeseg.arrays import grid_regions
from snakeseg.objects.blockwise import block_face_excess, segment_blocks
from snakeseg.objects.segment import METHODS, InstanceParameters, id_type, segment

quick = settings(deadline=None, max_examples=60)


class OnDisk:
    """An array that supports only slicing, as an array on disk, and records its largest region read or written."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.largest = array, array.shape, array.dtype, 0

    def _check(self, region):
        assert len(region) == len(self.shape)
        assert all(0 <= each.start < each.stop <= size for each, size in zip(region, self.shape, strict=True))
        self.largest = max(self.largest, int(np.prod([each.stop - each.start for each in region])))

    def __getitem__(self, region):
        self._check(region)
        return self.array[region].copy()

    def __setitem__(self, region, values):
        self._check(region)
        assert values.dtype == self.dtype
        assert values.shape == self.array[region].shape
        self.array[region] = values


def by_blocks(foreground, parameters, block, interior=None, dtype=np.uint32):
    """Segment blockwise, from and into arrays that support only slicing; the output array is not empty at first."""
    inner = foreground if interior is None else interior
    objects = OnDisk(np.full(foreground.shape, 7, dtype))
    return segment_blocks(OnDisk(foreground), OnDisk(inner), parameters, block, objects)[objects.array]


def blobs(seed, shape, width):
    """Smoothed noise in coarse steps, float16: blobs of many sizes, with plateaus, across all block faces."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), width)
    return (np.round(np.clip(0.5 + 0.25 * noise / (noise.std() + 1e-9), 0, 1) * 32) / 32).astype(np.float16)


def labelled_alone(mask, block):
    """Components of each block, without joining them across blocks."""
    objects, last = np.zeros(mask.shape, int), 0
    for region in grid_regions(mask.shape, block):
        labels, count = ndimage.label(mask[region])
        objects[region], last = np.where(labels, labels + last, 0), last + count
    return objects


def spiral(turns, pitch=4):
    """A spiral two pixels wide that does not touch itself."""
    side = 2 * turns * pitch
    mask, at = np.zeros((side, side)), np.array([side // 2, side // 2])
    for turn in range(2 * turns - 1):
        for direction in ((0, 1), (1, 0)):
            to = at + (-1) ** turn * np.array(direction) * pitch * (turn + 1)
            low, high = np.maximum(np.minimum(at, to), 0), np.maximum(at, to) + 2
            mask[low[0] : high[0], low[1] : high[1]] = 1
            at = to
    return mask


def discs(count, shape, seed=0):
    """Discs of radius 4 that do not touch each other."""
    where, mask = np.indices(shape), np.zeros(shape)
    columns = shape[1] // 12
    for i in np.random.default_rng(seed).permutation(columns * (shape[0] // 12))[:count]:
        centre = np.reshape(np.divmod(i, columns), (2, 1, 1)) * 12 + 6
        mask[((where - centre) ** 2).sum(axis=0) < 16] = 1
    return mask


@st.composite
def problems(draw):
    """Blobs in one to three dimensions, an interior, parameters, and blocks of one pixel to larger than the image."""
    sides = draw(st.sampled_from([[60], [32, 32], [12, 12, 12]]))
    shape = tuple(draw(st.integers(1, side)) for side in sides)
    seed, width = draw(st.integers(0, 10_000)), draw(st.sampled_from([0.5, 1.0, 2.0, 3.0]))
    method = draw(st.sampled_from(METHODS))
    depth = draw(st.sampled_from([0.55, 0.7, 0.8] if method == "core" else [0.0, 0.4, 1.0, 1.5]))
    threshold, smallest = draw(st.sampled_from([0.3, 0.4, 0.5, 0.6])), draw(st.sampled_from([0, 2, 9]))
    block = tuple(draw(st.integers(1, size + 3)) for size in shape)
    foreground = blobs(seed, shape, width)
    interior = draw(st.sampled_from([foreground, blobs(seed + 1, shape, width)]))
    fill, drop, grow = draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 3))
    return foreground, interior, InstanceParameters(method, threshold, depth, smallest, fill, drop, grow), block


@settings(quick, max_examples=300)
@given(problems())
def test_equals_the_whole(problem):
    foreground, interior, parameters, block = problem
    np.testing.assert_array_equal(
        by_blocks(foreground, parameters, block, interior), segment(foreground, interior, parameters)
    )


@pytest.mark.parametrize("block", [(1, 1), (3, 9), (9, 9)])
def test_a_component_without_an_object_keeps_holes_from_being_filled(block):
    """The component in the hole of a ring is above the threshold but has no core, hence no object."""
    foreground = np.zeros((9, 9), np.float32)
    foreground[1:8, 1:8], foreground[2:7, 2:7], foreground[4, 4] = 0.9, 0.1, 0.4
    parameters = InstanceParameters("core", 0.3, 0.55, 0, True)
    ring = (foreground == np.float32(0.9)).astype(int)
    np.testing.assert_array_equal(segment(foreground, foreground, parameters), ring)
    np.testing.assert_array_equal(by_blocks(foreground, parameters, block), ring)


@quick
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_components_are_those_of_scipy(seed, rows, columns):
    """The ids are equal too: SciPy also numbers by first pixels."""
    foreground = blobs(seed, (30, 34), 1.0)
    expected = ndimage.label(foreground > 0.5)[0]
    np.testing.assert_array_equal(by_blocks(foreground, InstanceParameters(), (rows, columns)), expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("block", [(5, 7), (1, 48), (48, 1), (100, 100)])
def test_a_spiral_is_one_object(method, block):
    mask = spiral(6)
    assert ndimage.label(1 - mask)[1] == 1, "it does not meet itself"
    np.testing.assert_array_equal(by_blocks(mask, InstanceParameters(method, depth=0.5), block), mask)


@pytest.mark.parametrize("method", METHODS)
def test_arms_that_meet_in_the_last_block(method):
    mask = np.zeros((9, 9))
    mask[:, 0] = mask[:, 8] = mask[8] = 1
    np.testing.assert_array_equal(by_blocks(mask, InstanceParameters(method, depth=0.5), (3, 3)), mask)


def test_corners_do_not_join():
    """Pixels that touch at a corner stay separate: within a block, where four blocks meet, and across a face."""
    assert by_blocks(np.eye(3), InstanceParameters(), (2, 2)).tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 3]]
    for block in [(1, 1), (2, 1), (1, 3)]:
        assert by_blocks(np.eye(4), InstanceParameters(), block).max() == 4


@pytest.mark.parametrize("block", [(7, 9), (20, 20), (64, 64)])
def test_touching_discs_are_parted_where_they_touch(block):
    """Two discs across block faces are divided at the neck between them, not at a face nearby."""
    where = np.indices((40, 60))
    centres = np.array([(20, 20), (20, 34)])
    away = [((where - np.reshape(centre, (2, 1, 1))) ** 2).sum(axis=0) for centre in centres]
    found = by_blocks((np.min(away, axis=0) < 64).astype(float), InstanceParameters("distance"), block)
    assert found.max() == 2
    assert (found[:, :27] != 2).all()
    assert (found[:, 28:] != 1).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("block", [(2, 3, 4), (3, 8, 1), (9, 9, 9)])
def test_nothing_and_everything(method, block):
    parameters = InstanceParameters(method, depth=0.5)
    shape = (5, 6, 7)
    assert not by_blocks(np.zeros(shape), parameters, block).any()
    np.testing.assert_array_equal(by_blocks(np.ones(shape), parameters, block), np.ones(shape))


def test_small_objects_are_dropped_by_their_size_in_the_whole():
    """An object of three pixels in three blocks has a size of three pixels."""
    foreground = np.array([[1, 1, 1, 0, 1, 1]])
    assert by_blocks(foreground, InstanceParameters(smallest=3), (1, 1)).tolist() == [[1, 1, 1, 0, 0, 0]]


def test_border_class_divides_across_blocks():
    foreground = np.array([[0.9, 0.9, 0.9, 0.9, 0.9, 0.1]])
    interior = np.array([[0.8, 0.8, 0.1, 0.8, 0.8, 0.0]])
    found = by_blocks(foreground, InstanceParameters("core", 0.5, 0.6), (1, 2), interior)
    assert found[0, [0, 1]].tolist() == [1, 1]
    assert found[0, [3, 4, 5]].tolist() == [2, 2, 0]


@pytest.mark.parametrize("method", METHODS)
def test_no_more_than_a_block_and_its_neighbours_is_held(method):
    """Objects smaller than a block; a larger object is held in its bounding box, expanded by one pixel."""
    block, mask = (16, 16), discs(60, (96, 144))
    maps, objects = OnDisk(mask), OnDisk(np.zeros(mask.shape, np.uint32))
    segment_blocks(maps, maps, InstanceParameters(method, depth=0.5), block, objects)
    assert max(maps.largest, objects.largest) <= (256 if method == "components" else (16 + 16 + 1) ** 2)
    mask[2, 3:90] = 1
    segment_blocks(maps, maps, InstanceParameters(method, depth=0.5), block, objects)
    assert objects.largest < mask.size // 4


@pytest.mark.parametrize("method", METHODS)
def test_growing_holds_a_block_and_a_margin(method):
    block, mask = (16, 16), discs(60, (96, 144))
    maps, objects = OnDisk(mask), OnDisk(np.zeros(mask.shape, np.uint32))
    segment_blocks(maps, maps, InstanceParameters(method, depth=0.5, grow=5), block, objects)
    assert objects.largest <= (16 + 2 * 10) ** 2


def test_grown_ids_must_fit_the_dtype():
    dots = np.zeros((1, 400))
    dots[0, ::3] = 1
    assert by_blocks(dots, InstanceParameters(grow=1), (1, 4), dtype=np.uint16).max() == 134
    with pytest.raises(ValueError, match="268 provisional ids do not fit uint8; expected objects of a wider dtype"):
        by_blocks(dots, InstanceParameters(grow=1), (1, 400), dtype=np.uint8)


def test_straight_cuts_are_none_where_blocks_were_joined():
    mask, block = discs(60, (96, 144)), (10, 14)
    assert block_face_excess(by_blocks(mask, InstanceParameters(), block), block) == 0
    assert block_face_excess(labelled_alone(mask, block), block) == 1
    assert block_face_excess(np.zeros((9, 9), int), (3, 3)) == 0
    assert block_face_excess(labelled_alone(np.ones((6, 6)), (1, 3)), (1, 3)) == 1


def test_straight_cuts_of_objects_that_touch():
    """Ids differ at block faces as often as halfway between them; without joining, they differ at all faces."""
    foreground, block = blobs(0, (400, 400), 3.0), (16, 20)
    found = by_blocks(foreground, InstanceParameters("distance", 0.45), block)
    assert found.max() > ndimage.label(foreground > 0.45)[1]
    assert abs(block_face_excess(found, block)) < 0.02
    assert block_face_excess(labelled_alone(foreground > 0.45, block), block) == 1


def test_type_of_ids():
    """Ids are uint32 until they no longer fit; provisional ids must fit the dtype of the array."""
    assert id_type(0) == id_type(2**32 - 1) == np.uint32
    assert id_type(2**32) == np.uint64
    dots = np.zeros((1, 600))
    dots[0, ::2] = 1
    for dtype in (np.uint16, np.uint32, np.uint64):
        assert by_blocks(dots, InstanceParameters(), (1, 7), dtype=dtype).max() == 300
    with pytest.raises(ValueError, match="256 provisional ids do not fit uint8; expected objects of a wider dtype"):
        by_blocks(dots, InstanceParameters(), (1, 2), dtype=np.uint8)


def test_shapes_must_fit():
    image = np.zeros((4, 5))
    with pytest.raises(ValueError, match="expected three equal shapes"):
        segment_blocks(image, image, InstanceParameters(), (2, 2), np.zeros((5, 4), np.uint32))
    for block in [(2,), (2, 0)]:
        with pytest.raises(ValueError, match=r"block of shape .*; expected 2 positive side lengths"):
            by_blocks(image, InstanceParameters(), block)
