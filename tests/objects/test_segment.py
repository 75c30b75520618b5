"""Segmentation of objects: known results of every method."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from snakeseg.objects.segment import METHODS, InstanceParameters, drop_small, segment

quick = settings(deadline=None, max_examples=40)


def segment_foreground(foreground, parameters):
    """Segment the probabilities of a network without a border class."""
    return segment(foreground, foreground, parameters)


def discs(*centres, radius=8.0, shape=(40, 60)):
    """Return an image with 1 inside any disc and 0 outside."""
    coordinates = np.indices(shape)
    return np.max(
        [((coordinates - np.reshape(c, (-1, 1, 1))) ** 2).sum(axis=0) < radius**2 for c in centres], axis=0
    ).astype(float)


TWO_DISCS = discs((20, 20), (20, 34))


def blobs(seed, shape=(32, 40)):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return np.clip(0.5 + 0.25 * noise / noise.std(), 0, 1)


def test_components_do_not_split_touching_discs():
    assert segment_foreground(TWO_DISCS, InstanceParameters()).max() == 1


def test_distance_splits_touching_discs():
    objects = segment_foreground(TWO_DISCS, InstanceParameters("distance", depth=1.0))
    assert objects.max() == 2
    assert objects[20, 16] == 1
    assert objects[20, 38] == 2
    np.testing.assert_array_equal(objects > 0, TWO_DISCS > 0)
    left, right = (objects == 1).sum(), (objects == 2).sum()
    assert abs(left - right) < 0.1 * left


def test_depth_is_measured_in_pixels_from_the_saddle():
    """The neck of the two discs lies about 4 pixels below their centres: a depth of 6 does not split it."""
    assert segment_foreground(TWO_DISCS, InstanceParameters("distance", depth=6.0)).max() <= 1


def test_core_splits_at_a_valley_of_probability():
    """Seeds are the components above the core threshold; the foreground is divided among them."""
    foreground = np.full((1, 9), 0.6)
    foreground[0, [1, 2, 6]] = 0.95
    assert segment_foreground(foreground, InstanceParameters("components", 0.5)).max() == 1
    objects = segment_foreground(foreground, InstanceParameters("core", 0.5, 0.9))
    assert objects[0, 1] == objects[0, 2] == 1
    assert objects[0, 6] == 2
    assert (objects > 0).all()


def test_border_class_seeds_touching_cells():
    """Two cells that share an edge have one piece of foreground and two of interior."""
    foreground = np.array([[0.9, 0.9, 0.9, 0.9, 0.9, 0.1]])
    interior = np.array([[0.8, 0.8, 0.1, 0.8, 0.8, 0.0]])
    assert segment_foreground(foreground, InstanceParameters("core", 0.5, 0.6)).tolist() == [[1, 1, 1, 1, 1, 0]]
    objects = segment(foreground, interior, InstanceParameters("core", 0.5, 0.6))
    assert objects[0, [0, 1]].tolist() == [1, 1]
    assert objects[0, [3, 4]].tolist() == [2, 2]
    assert objects[0, 2] in (1, 2)
    assert objects[0, 5] == 0


def test_soft_splits_at_a_neck_of_probability():
    """A bar of constant width with a lower probability in the middle is two cells."""
    foreground = np.pad(np.full((7, 20), 0.95), 3)
    foreground[:, 12:14] *= 0.6
    assert segment_foreground(foreground, InstanceParameters("distance", 0.5, 1.0)).max() == 1
    assert segment_foreground(foreground, InstanceParameters("soft", 0.5, 3.0)).max() == 1
    objects = segment_foreground(foreground, InstanceParameters("soft", 0.5, 1.0))
    assert objects.max() == 2
    assert (objects[3:10, 3:12] == 1).all()
    assert (objects[3:10, 14:23] == 2).all()


RINGS = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1, 0, 1],
        [1, 0, 1, 0, 0, 0, 1, 0, 1],
        [1, 1, 1, 0, 1, 0, 1, 0, 1],
        [1, 0, 1, 0, 0, 0, 1, 0, 1],
        [0, 0, 1, 1, 1, 1, 1, 0, 0],
    ]
)


@pytest.mark.parametrize("method", METHODS)
def test_enclosed_holes_are_filled(method):
    """A hole is filled if one component encloses only background; corners that touch do not enclose a hole."""
    objects = segment_foreground(RINGS.astype(float), InstanceParameters(method, 0.5, 0.5, fill_holes=True)) > 0
    expected = RINGS.copy()
    expected[1, 1] = 1
    assert objects.tolist() == expected.astype(bool).tolist()
    assert (segment_foreground(RINGS.astype(float), InstanceParameters(method, 0.5, 0.5)) > 0).tolist() == RINGS.astype(
        bool
    ).tolist()


def test_objects_at_the_edge_can_be_dropped():
    objects = segment_foreground(RINGS.astype(float), InstanceParameters(drop_at_edge=True))
    assert np.argwhere(objects).tolist() == [[2, 4]]
    assert objects[2, 4] == 1


def test_core_drops_components_without_a_core():
    foreground = np.array([[0.95, 0.6, 0.0, 0.6, 0.6]])
    assert segment_foreground(foreground, InstanceParameters("core", 0.5, 0.9)).tolist() == [[1, 1, 0, 0, 0]]


def test_components_are_connected_by_faces_not_corners():
    assert segment_foreground(np.eye(3), InstanceParameters()).tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 3]]


def test_foreground_exceeds_the_threshold():
    assert segment_foreground(np.array([[0.5, 0.5001]]), InstanceParameters(threshold=0.5)).tolist() == [[0, 1]]


def test_small_objects_are_dropped_and_the_rest_numbered():
    """Objects of exactly `smallest` pixels stay; ids follow the first pixels in C order."""
    objects = np.array([[0, 7, 7, 0, 3], [9, 0, 0, 0, 3], [0, 0, 2, 0, 3]])
    assert drop_small(objects, 0).tolist() == [[0, 1, 1, 0, 2], [3, 0, 0, 0, 2], [0, 0, 4, 0, 2]]
    assert drop_small(objects, 2).tolist() == [[0, 1, 1, 0, 2], [0, 0, 0, 0, 2], [0, 0, 0, 0, 2]]
    assert not drop_small(objects, 4).any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(12, 10), (5, 6, 7)])
def test_an_empty_map_has_no_object_and_a_full_map_has_one(method, shape):
    parameters = InstanceParameters(method, 0.5, 0.9)
    nothing = segment_foreground(np.zeros(shape), parameters)
    assert nothing.dtype == np.uint32
    assert not nothing.any()
    np.testing.assert_array_equal(segment_foreground(np.ones(shape), parameters), np.ones(shape))


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_gives_the_same_objects(method):
    foreground = blobs(3).astype(np.float16)
    parameters = InstanceParameters(method, 0.5, 0.9 if method == "core" else 1.0)
    np.testing.assert_array_equal(
        segment_foreground(foreground, parameters), segment_foreground(foreground.astype(np.float64), parameters)
    )


@quick
@given(seed=st.integers(0, 10_000), method=st.sampled_from(METHODS), threshold=st.sampled_from([0.3, 0.5, 0.7]),
       smallest=st.sampled_from([0, 5, 30]))  # fmt: skip
def test_objects_are_numbered_connected_foreground(seed, method, threshold, smallest):
    """Ids are 1..n in C order of first pixels; every object is one piece of foreground, and large enough."""
    foreground = blobs(seed)
    objects = segment_foreground(
        foreground, InstanceParameters(method, threshold, 0.85 if method == "core" else 1.0, smallest)
    )
    ids, first, sizes = np.unique(objects, return_index=True, return_counts=True)
    assert objects.dtype == np.uint32
    assert (foreground[objects > 0] > threshold).all()
    inner = ids > 0
    assert ids[inner].tolist() == list(range(1, inner.sum() + 1))
    assert (np.diff(first[inner]) > 0).all()
    assert (sizes[inner] >= smallest).all()
    assert all(ndimage.label(objects == i, np.ones((3, 3)))[1] == 1 for i in ids[inner])
    if method == "components" and smallest == 0:
        np.testing.assert_array_equal(objects > 0, foreground > threshold)


def test_distance_splits_touching_balls():
    coordinates = np.indices((16, 16, 30))
    foreground = np.maximum(
        ((coordinates - np.reshape([8, 8, 9], (3, 1, 1, 1))) ** 2).sum(axis=0) < 36,
        ((coordinates - np.reshape([8, 8, 19], (3, 1, 1, 1))) ** 2).sum(axis=0) < 36,
    ).astype(float)
    assert segment_foreground(foreground, InstanceParameters()).max() == 1
    objects = segment_foreground(foreground, InstanceParameters("distance"))
    assert objects[8, 8, 9] == 1
    assert objects[8, 8, 19] == 2


@pytest.mark.parametrize("method", ["distance", "core"])
@pytest.mark.parametrize("seed", range(5))
def test_other_objects_do_not_change_the_split_of_a_component(method, seed):
    """A component alone is split as among the others, including ties and plateaus."""
    foreground = np.round(blobs(seed, (60, 70)) * 16) / 16
    parameters = InstanceParameters(method, 0.5, 0.7 if method == "core" else 1.0)
    together = segment_foreground(foreground, parameters)
    components, count = ndimage.label(foreground > 0.5)
    divided = 0
    for i in range(1, count + 1):
        alone = segment_foreground(np.where(components == i, foreground, 0), parameters)
        np.testing.assert_array_equal(alone, drop_small(np.where(components == i, together, 0), 0))
        divided += alone.max() > 1
    assert divided, "no component was split"


def test_distance_drops_objects_that_do_not_exceed_the_depth():
    """Other objects have no effect: a line is one pixel deep, the discs eight."""
    line = np.zeros(TWO_DISCS.shape)
    line[2, 5:50] = 1
    assert not segment_foreground(line, InstanceParameters("distance", depth=1.0)).any()
    assert segment_foreground(line, InstanceParameters("distance", depth=0.9)).max() == 1
    np.testing.assert_array_equal(
        segment_foreground(np.maximum(TWO_DISCS, line), InstanceParameters("distance")),
        segment_foreground(TWO_DISCS, InstanceParameters("distance")),
    )


def test_an_unknown_method_is_an_error():
    with pytest.raises(ValueError, match=r"instances method 'magic'; expected one of"):
        segment_foreground(TWO_DISCS, InstanceParameters("magic"))
