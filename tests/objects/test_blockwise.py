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
        assert all(0 <= side.start < side.stop <= size for side, size in zip(region, self.shape, strict=True))
        self.largest = max(self.largest, int(np.prod([side.stop - side.start for side in region])))

    def __getitem__(self, region):
        self._check(region)
        return self.array[region].copy()

    def __setitem__(self, region, values):
        self._check(region)
        assert values.dtype == self.dtype
        assert values.shape == self.array[region].shape
        self.array[region] = values


def segment_by_blocks(foreground, parameters, block, interior=None, dtype=np.uint32):
    """Segment blockwise, from and into arrays that support only slicing; the output array is not empty at first."""
    inner = foreground if interior is None else interior
    objects = OnDisk(np.full(foreground.shape, 7, dtype))
    return segment_blocks(OnDisk(foreground), OnDisk(inner), parameters, block, objects)[objects.array]


def blobs(seed, shape, width):
    """Smooth noise, and round it in coarse steps: blobs of many sizes, with plateaus, across all block faces."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), width)
    return (np.round(np.clip(0.5 + 0.25 * noise / (noise.std() + 1e-9), 0, 1) * 32) / 32).astype(np.float16)


def label_each_block(mask, block):
    """Label the components of each block, without joining them across blocks."""
    objects, last = np.zeros(mask.shape, int), 0
    for region in grid_regions(mask.shape, block):
        labels, count = ndimage.label(mask[region])
        objects[region], last = np.where(labels, labels + last, 0), last + count
    return objects


def spiral(turns, pitch=4):
    """A spiral two pixels wide that does not touch itself."""
    side = 2 * turns * pitch
    mask, corner = np.zeros((side, side)), np.array([side // 2, side // 2])
    for turn in range(2 * turns - 1):
        for direction in ((0, 1), (1, 0)):
            next_corner = corner + (-1) ** turn * np.array(direction) * pitch * (turn + 1)
            low, high = np.maximum(np.minimum(corner, next_corner), 0), np.maximum(corner, next_corner) + 2
            mask[low[0] : high[0], low[1] : high[1]] = 1
            corner = next_corner
    return mask


def discs(count, shape, seed=0):
    """Discs of radius 4 that do not touch each other."""
    coordinates, mask = np.indices(shape), np.zeros(shape)
    columns = shape[1] // 12
    for i in np.random.default_rng(seed).permutation(columns * (shape[0] // 12))[:count]:
        centre = np.reshape(np.divmod(i, columns), (2, 1, 1)) * 12 + 6
        mask[((coordinates - centre) ** 2).sum(axis=0) < 16] = 1
    return mask


@st.composite
def problems(draw):
    """Draw blobs in one to three dimensions, an interior, parameters, and block shapes up to more than the image."""
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
def test_objects_equal_those_of_the_whole_image(problem):
    foreground, interior, parameters, block = problem
    np.testing.assert_array_equal(
        segment_by_blocks(foreground, parameters, block, interior), segment(foreground, interior, parameters)
    )


@pytest.mark.parametrize("block", [(1, 1), (3, 9), (9, 9)])
def test_a_component_without_an_object_keeps_holes_from_being_filled(block):
    """The component in the hole of a ring is above the threshold but has no core, hence no object."""
    foreground = np.zeros((9, 9), np.float32)
    foreground[1:8, 1:8], foreground[2:7, 2:7], foreground[4, 4] = 0.9, 0.1, 0.4
    parameters = InstanceParameters("core", 0.3, 0.55, 0, True)
    ring = (foreground == np.float32(0.9)).astype(int)
    np.testing.assert_array_equal(segment(foreground, foreground, parameters), ring)
    np.testing.assert_array_equal(segment_by_blocks(foreground, parameters, block), ring)


@quick
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_components_equal_those_of_scipy(seed, rows, columns):
    """The ids are equal too: SciPy also numbers by first pixels."""
    foreground = blobs(seed, (30, 34), 1.0)
    expected = ndimage.label(foreground > 0.5)[0]
    np.testing.assert_array_equal(segment_by_blocks(foreground, InstanceParameters(), (rows, columns)), expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("block", [(5, 7), (1, 48), (48, 1), (100, 100)])
def test_a_spiral_is_one_object(method, block):
    mask = spiral(6)
    assert ndimage.label(1 - mask)[1] == 1, "the spiral touches itself"
    np.testing.assert_array_equal(segment_by_blocks(mask, InstanceParameters(method, depth=0.5), block), mask)


@pytest.mark.parametrize("method", METHODS)
def test_arms_that_meet_in_the_last_block_are_one_object(method):
    mask = np.zeros((9, 9))
    mask[:, 0] = mask[:, 8] = mask[8] = 1
    np.testing.assert_array_equal(segment_by_blocks(mask, InstanceParameters(method, depth=0.5), (3, 3)), mask)


def test_pixels_that_touch_at_a_corner_stay_separate():
    """Pixels that touch at a corner stay separate: within a block, where four blocks meet, and across a face."""
    assert segment_by_blocks(np.eye(3), InstanceParameters(), (2, 2)).tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 3]]
    for block in [(1, 1), (2, 1), (1, 3)]:
        assert segment_by_blocks(np.eye(4), InstanceParameters(), block).max() == 4


@pytest.mark.parametrize("block", [(7, 9), (20, 20), (64, 64)])
def test_touching_discs_are_divided_at_their_neck(block):
    """Two discs across block faces are divided at the neck between them, not at a face nearby."""
    coordinates = np.indices((40, 60))
    centres = np.array([(20, 20), (20, 34)])
    squared_distances = [((coordinates - np.reshape(centre, (2, 1, 1))) ** 2).sum(axis=0) for centre in centres]
    objects = segment_by_blocks(
        (np.min(squared_distances, axis=0) < 64).astype(float), InstanceParameters("distance"), block
    )
    assert objects.max() == 2
    assert (objects[:, :27] != 2).all()
    assert (objects[:, 28:] != 1).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("block", [(2, 3, 4), (3, 8, 1), (9, 9, 9)])
def test_an_empty_map_has_no_object_and_a_full_map_has_one(method, block):
    parameters = InstanceParameters(method, depth=0.5)
    shape = (5, 6, 7)
    assert not segment_by_blocks(np.zeros(shape), parameters, block).any()
    np.testing.assert_array_equal(segment_by_blocks(np.ones(shape), parameters, block), np.ones(shape))


def test_the_smallest_size_applies_to_whole_objects():
    """An object of three pixels in three blocks has a size of three pixels."""
    foreground = np.array([[1, 1, 1, 0, 1, 1]])
    assert segment_by_blocks(foreground, InstanceParameters(smallest=3), (1, 1)).tolist() == [[1, 1, 1, 0, 0, 0]]


def test_the_border_class_divides_objects_across_blocks():
    foreground = np.array([[0.9, 0.9, 0.9, 0.9, 0.9, 0.1]])
    interior = np.array([[0.8, 0.8, 0.1, 0.8, 0.8, 0.0]])
    objects = segment_by_blocks(foreground, InstanceParameters("core", 0.5, 0.6), (1, 2), interior)
    assert objects[0, [0, 1]].tolist() == [1, 1]
    assert objects[0, [3, 4, 5]].tolist() == [2, 2, 0]


@pytest.mark.parametrize("method", METHODS)
def test_reads_and_writes_span_at_most_a_block_and_its_neighbours(method):
    """This holds for objects smaller than a block; a larger object needs its bounding box, expanded by one pixel."""
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
    assert segment_by_blocks(dots, InstanceParameters(grow=1), (1, 4), dtype=np.uint16).max() == 134
    with pytest.raises(ValueError, match="268 provisional ids do not fit uint8; expected objects of a wider dtype"):
        segment_by_blocks(dots, InstanceParameters(grow=1), (1, 400), dtype=np.uint8)


def test_joined_blocks_have_no_straight_cuts():
    mask, block = discs(60, (96, 144)), (10, 14)
    assert block_face_excess(segment_by_blocks(mask, InstanceParameters(), block), block) == 0
    assert block_face_excess(label_each_block(mask, block), block) == 1
    assert block_face_excess(np.zeros((9, 9), int), (3, 3)) == 0
    assert block_face_excess(label_each_block(np.ones((6, 6)), (1, 3)), (1, 3)) == 1


def test_touching_objects_have_no_excess_of_cuts_at_block_faces():
    """Ids differ at block faces as often as halfway between them; without joining, they differ at all faces."""
    foreground, block = blobs(0, (400, 400), 3.0), (16, 20)
    objects = segment_by_blocks(foreground, InstanceParameters("distance", 0.45), block)
    assert objects.max() > ndimage.label(foreground > 0.45)[1]
    assert abs(block_face_excess(objects, block)) < 0.02
    assert block_face_excess(label_each_block(foreground > 0.45, block), block) == 1


def test_ids_are_uint32_until_they_no_longer_fit():
    """Provisional ids must fit the dtype of the output array."""
    assert id_type(0) == id_type(2**32 - 1) == np.uint32
    assert id_type(2**32) == np.uint64
    dots = np.zeros((1, 600))
    dots[0, ::2] = 1
    for dtype in (np.uint16, np.uint32, np.uint64):
        assert segment_by_blocks(dots, InstanceParameters(), (1, 7), dtype=dtype).max() == 300
    with pytest.raises(ValueError, match="256 provisional ids do not fit uint8; expected objects of a wider dtype"):
        segment_by_blocks(dots, InstanceParameters(), (1, 2), dtype=np.uint8)


def test_shapes_that_do_not_match_are_errors():
    image = np.zeros((4, 5))
    with pytest.raises(ValueError, match="expected three equal shapes"):
        segment_blocks(image, image, InstanceParameters(), (2, 2), np.zeros((5, 4), np.uint32))
    for block in [(2,), (2, 0)]:
        with pytest.raises(ValueError, match=r"block of shape .*; expected 2 positive side lengths"):
            segment_by_blocks(image, InstanceParameters(), block)
