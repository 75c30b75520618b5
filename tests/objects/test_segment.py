"""Segmentation of objects: known results of every method."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from snakeseg.objects.segment import METHODS, InstanceParameters, drop_small, segment

quick = settings(deadline=None, max_examples=40)


def cut(foreground, parameters):
    """Segment the probabilities of a network without a border class."""
    return segment(foreground, foreground, parameters)


def discs(*centres, radius=8.0, shape=(40, 60)):
    """1 inside any disc, 0 outside."""
    where = np.indices(shape)
    return np.max([((where - np.reshape(c, (-1, 1, 1))) ** 2).sum(axis=0) < radius**2 for c in centres], axis=0).astype(
        float
    )


TWO = discs((20, 20), (20, 34))


def blobs(seed, shape=(32, 40)):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return np.clip(0.5 + 0.25 * noise / noise.std(), 0, 1)


def test_components_do_not_split_touching_discs():
    assert cut(TWO, InstanceParameters()).max() == 1


def test_distance_splits_touching_discs():
    found = cut(TWO, InstanceParameters("distance", depth=1.0))
    assert found.max() == 2
    assert found[20, 16] == 1
    assert found[20, 38] == 2
    np.testing.assert_array_equal(found > 0, TWO > 0)
    left, right = (found == 1).sum(), (found == 2).sum()
    assert abs(left - right) < 0.1 * left


def test_depth_is_in_pixels_of_the_saddle():
    """The neck of the two discs lies about 4 pixels below their centres: a depth of 6 does not split it."""
    assert cut(TWO, InstanceParameters("distance", depth=6.0)).max() <= 1


def test_core_splits_where_a_valley_lies_between():
    """Seeds are the components above the core threshold; the foreground is divided among them."""
    foreground = np.full((1, 9), 0.6)
    foreground[0, [1, 2, 6]] = 0.95
    assert cut(foreground, InstanceParameters("components", 0.5)).max() == 1
    found = cut(foreground, InstanceParameters("core", 0.5, 0.9))
    assert found[0, 1] == found[0, 2] == 1
    assert found[0, 6] == 2
    assert (found > 0).all()


def test_border_class_seeds_touching_cells():
    """Two cells that share an edge: one piece of foreground, two of interior."""
    foreground = np.array([[0.9, 0.9, 0.9, 0.9, 0.9, 0.1]])
    interior = np.array([[0.8, 0.8, 0.1, 0.8, 0.8, 0.0]])
    assert cut(foreground, InstanceParameters("core", 0.5, 0.6)).tolist() == [[1, 1, 1, 1, 1, 0]]
    found = segment(foreground, interior, InstanceParameters("core", 0.5, 0.6))
    assert found[0, [0, 1]].tolist() == [1, 1]
    assert found[0, [3, 4]].tolist() == [2, 2]
    assert found[0, 2] in (1, 2)
    assert found[0, 5] == 0


def test_a_neck_of_probability_is_cut():
    """A bar of constant width with lower probability in the middle: two cells."""
    foreground = np.pad(np.full((7, 20), 0.95), 3)
    foreground[:, 12:14] *= 0.6
    assert cut(foreground, InstanceParameters("distance", 0.5, 1.0)).max() == 1
    assert cut(foreground, InstanceParameters("soft", 0.5, 3.0)).max() == 1
    found = cut(foreground, InstanceParameters("soft", 0.5, 1.0))
    assert found.max() == 2
    assert (found[3:10, 3:12] == 1).all()
    assert (found[3:10, 14:23] == 2).all()


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
def test_holes(method):
    """A hole is filled if one component encloses only background; corners that touch do not enclose a hole."""
    found = cut(RINGS.astype(float), InstanceParameters(method, 0.5, 0.5, fill_holes=True)) > 0
    expected = RINGS.copy()
    expected[1, 1] = 1
    assert found.tolist() == expected.astype(bool).tolist()
    assert (cut(RINGS.astype(float), InstanceParameters(method, 0.5, 0.5)) > 0).tolist() == RINGS.astype(bool).tolist()


def test_objects_at_the_edge():
    found = cut(RINGS.astype(float), InstanceParameters(drop_at_edge=True))
    assert np.argwhere(found).tolist() == [[2, 4]]
    assert found[2, 4] == 1


def test_core_drops_what_has_no_core():
    foreground = np.array([[0.95, 0.6, 0.0, 0.6, 0.6]])
    assert cut(foreground, InstanceParameters("core", 0.5, 0.9)).tolist() == [[1, 1, 0, 0, 0]]


def test_components_share_faces_not_corners():
    assert cut(np.eye(3), InstanceParameters()).tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 3]]


def test_threshold_is_exceeded_not_reached():
    assert cut(np.array([[0.5, 0.5001]]), InstanceParameters(threshold=0.5)).tolist() == [[0, 1]]


def test_small_objects_are_dropped_and_the_rest_numbered():
    """Objects of exactly `smallest` pixels stay; ids follow the first pixels in C order."""
    objects = np.array([[0, 7, 7, 0, 3], [9, 0, 0, 0, 3], [0, 0, 2, 0, 3]])
    assert drop_small(objects, 0).tolist() == [[0, 1, 1, 0, 2], [3, 0, 0, 0, 2], [0, 0, 4, 0, 2]]
    assert drop_small(objects, 2).tolist() == [[0, 1, 1, 0, 2], [0, 0, 0, 0, 2], [0, 0, 0, 0, 2]]
    assert not drop_small(objects, 4).any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(12, 10), (5, 6, 7)])
def test_nothing_and_everything(method, shape):
    """An empty map has no objects, a full one has one."""
    parameters = InstanceParameters(method, 0.5, 0.9)
    nothing = cut(np.zeros(shape), parameters)
    assert nothing.dtype == np.uint32
    assert not nothing.any()
    np.testing.assert_array_equal(cut(np.ones(shape), parameters), np.ones(shape))


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_gives_the_same_objects(method):
    foreground = blobs(3).astype(np.float16)
    parameters = InstanceParameters(method, 0.5, 0.9 if method == "core" else 1.0)
    np.testing.assert_array_equal(cut(foreground, parameters), cut(foreground.astype(np.float64), parameters))


@quick
@given(seed=st.integers(0, 10_000), method=st.sampled_from(METHODS), threshold=st.sampled_from([0.3, 0.5, 0.7]),
       smallest=st.sampled_from([0, 5, 30]))  # fmt: skip
def test_objects_are_numbered_connected_foreground(seed, method, threshold, smallest):
    """Ids are 1..n in C order of first pixels; every object is one piece of foreground, and large enough."""
    foreground = blobs(seed)
    found = cut(foreground, InstanceParameters(method, threshold, 0.85 if method == "core" else 1.0, smallest))
    ids, first, sizes = np.unique(found, return_index=True, return_counts=True)
    assert found.dtype == np.uint32
    assert (foreground[found > 0] > threshold).all()
    inner = ids > 0
    assert ids[inner].tolist() == list(range(1, inner.sum() + 1))
    assert (np.diff(first[inner]) > 0).all()
    assert (sizes[inner] >= smallest).all()
    assert all(ndimage.label(found == i, np.ones((3, 3)))[1] == 1 for i in ids[inner])
    if method == "components" and smallest == 0:
        np.testing.assert_array_equal(found > 0, foreground > threshold)


def test_three_dimensions():
    where = np.indices((16, 16, 30))
    foreground = np.maximum(
        ((where - np.reshape([8, 8, 9], (3, 1, 1, 1))) ** 2).sum(axis=0) < 36,
        ((where - np.reshape([8, 8, 19], (3, 1, 1, 1))) ** 2).sum(axis=0) < 36,
    ).astype(float)
    assert cut(foreground, InstanceParameters()).max() == 1
    found = cut(foreground, InstanceParameters("distance"))
    assert found[8, 8, 9] == 1
    assert found[8, 8, 19] == 2


@pytest.mark.parametrize("method", ["distance", "core"])
@pytest.mark.parametrize("seed", range(5))
def test_what_else_is_there_makes_no_difference(method, seed):
    """Each component alone is split as among the others, including ties and plateaus."""
    foreground = np.round(blobs(seed, (60, 70)) * 16) / 16
    parameters = InstanceParameters(method, 0.5, 0.7 if method == "core" else 1.0)
    together = cut(foreground, parameters)
    components, count = ndimage.label(foreground > 0.5)
    divided = 0
    for i in range(1, count + 1):
        alone = cut(np.where(components == i, foreground, 0), parameters)
        np.testing.assert_array_equal(alone, drop_small(np.where(components == i, together, 0), 0))
        divided += alone.max() > 1
    assert divided, "or this shows little"


def test_distance_drops_what_is_no_deeper_than_asked():
    """Independently of other objects: a line is one pixel deep, the discs eight."""
    line = np.zeros(TWO.shape)
    line[2, 5:50] = 1
    assert not cut(line, InstanceParameters("distance", depth=1.0)).any()
    assert cut(line, InstanceParameters("distance", depth=0.9)).max() == 1
    np.testing.assert_array_equal(
        cut(np.maximum(TWO, line), InstanceParameters("distance")), cut(TWO, InstanceParameters("distance"))
    )


def test_unknown_method():
    with pytest.raises(ValueError, match=r"instances method 'magic'; expected one of"):
        cut(TWO, InstanceParameters("magic"))
