"""Classes, objects and borders of label images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from snakeseg.errors import BadInput
from snakeseg.settings import Labels
from snakeseg.transforms.labels import (
    IGNORED,
    classes_and_objects,
    interpret_labels,
    mark_border,
    number_objects,
    separate_touching,
    separated_labels,
)

quick = settings(deadline=None, max_examples=60)
SEMANTIC = Labels("semantic", {"sky": 10, "cell": 3, "wall": 7}, ignore=99)


def test_instance_labels_give_one_class_and_numbered_objects():
    """Ids may be large and have gaps; pixels with the ignored value have neither class nor object."""
    label = np.array([[0, 70_000, 70_000, 5], [0, 0, 255, 5]])
    classes, objects = classes_and_objects(label, Labels(ignore=255))
    assert classes.tolist() == [[0, 1, 1, 1], [0, 0, IGNORED, 1]]
    assert objects.tolist() == [[0, 2, 2, 1], [0, 0, 0, 1]]
    assert (classes.dtype, objects.dtype) == (np.uint8, np.int32)


def test_an_object_in_two_pieces_is_one_object():
    _, objects = classes_and_objects(np.array([[4, 0, 4]]), Labels())
    assert objects.tolist() == [[1, 0, 1]]


def test_binary_labels_give_connected_components():
    """All values but 0 are foreground; objects are face-connected, even with different values."""
    label = np.array([[255, 7, 0, 0], [0, 0, 255, 9]])
    classes, objects = classes_and_objects(label, Labels("binary", ignore=9))
    assert classes.tolist() == [[1, 1, 0, 0], [0, 0, 1, IGNORED]]
    assert objects.tolist() == [[1, 1, 0, 0], [0, 0, 2, 0]]


def test_semantic_labels_give_classes_and_their_components():
    """Classes have the order of the settings; objects are connected components of a class."""
    label = np.array([[10, 3, 3, 7], [99, 10, 3, 10], [3, 10, 10, 10]])
    classes, objects = classes_and_objects(label, SEMANTIC)
    assert classes.tolist() == [[0, 1, 1, 2], [IGNORED, 0, 1, 0], [1, 0, 0, 0]]
    assert objects.tolist() == [[0, 1, 1, 2], [0, 0, 1, 0], [3, 0, 0, 0]]


def test_an_unknown_semantic_value_is_an_error():
    with pytest.raises(ValueError, match=r"label values \[4\]; expected the classes"):
        classes_and_objects(np.array([[10, 4]]), SEMANTIC)
    with pytest.raises(BadInput, match=r"a.png: found label values \[4\]; expected the classes .*labels.values"):
        interpret_labels(np.array([[10, 4]]), SEMANTIC, "a.png")


@pytest.mark.parametrize("kind", ["instance", "binary"])
def test_the_ignored_value_can_be_negative(kind):
    label = np.array([[-1, 0, 4]], np.int16)
    classes, objects = classes_and_objects(label, Labels(kind, ignore=-1))
    assert classes.tolist() == [[IGNORED, 0, 1]]
    assert objects.tolist() == [[0, 0, 1]]


@quick
@given(arrays(np.int32, (4, 5), elements=st.integers(-3, 5)))
def test_only_zero_is_background(label):
    """For any ids, even negative ones, 0 stays background and each object gets a number."""
    numbered = number_objects(label)
    np.testing.assert_array_equal(numbered == 0, label == 0)
    assert set(np.unique(numbered)) - {0} == set(range(1, len(set(np.unique(label)) - {0}) + 1))
    for i in np.unique(numbered):
        assert len(np.unique(label[numbered == i])) == 1


def test_touching_objects_get_a_border():
    """Both objects lose the touching pixels, also at corners."""
    objects = np.array([[1, 1, 2, 2, 2], [1, 1, 2, 2, 2], [0, 0, 0, 0, 3], [0, 0, 0, 3, 3], [0, 0, 0, 3, 3]])
    expected = [[1, 0, 0, 2, 2], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 3, 3], [0, 0, 0, 3, 3]]
    assert separate_touching(objects).tolist() == expected


def test_separate_objects_are_unchanged():
    objects = np.array([[1, 1, 0, 2], [0, 0, 0, 0], [3, 3, 0, 4]])
    np.testing.assert_array_equal(separate_touching(objects), objects)


def test_an_object_that_would_vanish_stays():
    assert separate_touching(np.array([[1, 1, 2, 0]])).tolist() == [[1, 0, 2, 0]]


@quick
@given(arrays(np.int32, (6, 7), elements=st.integers(0, 3)))
def test_separating_removes_pixels_but_no_object(objects):
    separated = separate_touching(objects)
    assert set(np.unique(separated)) - {0} == set(np.unique(objects)) - {0}
    np.testing.assert_array_equal(separated[separated > 0], objects[separated > 0])
    np.testing.assert_array_equal(separate_touching(objects), separated)


@quick
@given(arrays(np.int32, (6, 7), elements=st.integers(0, 3)), st.permutations([1, 2, 3]), st.sampled_from([0, 1]))
def test_separating_does_not_depend_on_ids_or_on_the_side_it_starts_from(objects, ids, axis):
    separated = separate_touching(objects)
    permuted = np.array([0, *ids])
    np.testing.assert_array_equal(separate_touching(permuted[objects]), permuted[separated])
    np.testing.assert_array_equal(separate_touching(np.flip(objects, axis)), np.flip(separated, axis))


def test_separated_objects_do_not_touch_in_3d():
    objects = np.ones((6, 6, 6), int)
    objects[3:] = 2
    separated = separate_touching(objects)
    assert (separated[:2] == 1).all()
    assert not separated[2:4].any()
    assert (separated[4:] == 2).all()


def test_training_labels_have_background_borders_and_ignored_pixels():
    label = np.array([[1, 1, 2, 2, 9]])
    classes, objects = separated_labels(*classes_and_objects(label, Labels(ignore=9)), "instance")
    assert classes.tolist() == [[1, 0, 0, 1, IGNORED]]
    assert objects.tolist() == [[1, 0, 0, 2, 0]]


def test_classes_have_the_names_of_the_settings():
    assert SEMANTIC.classes == ["sky", "cell", "wall"]
    assert Labels("binary", {"a": 1, "b": 2, "c": 3}).classes == ["background", "foreground"]


def test_the_border_class_is_the_inner_edge():
    """The border is one pixel wide along the outline, also between touching objects, but not at the image's edge."""
    objects = np.zeros((7, 9), np.int32)
    objects[1:6, 0:4], objects[1:6, 4:9] = 1, 2
    marked = mark_border((objects > 0).astype(np.uint8), objects, 1)
    assert marked.tolist() == [
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
        [2, 2, 2, 2, 2, 2, 2, 2, 2],
        [1, 1, 1, 2, 2, 1, 1, 1, 1],
        [1, 1, 1, 2, 2, 1, 1, 1, 1],
        [1, 1, 1, 2, 2, 1, 1, 1, 1],
        [2, 2, 2, 2, 2, 2, 2, 2, 2],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
    wider = mark_border((objects > 0).astype(np.uint8), objects, 2)
    assert wider[3].tolist() == [1, 1, 2, 2, 2, 2, 1, 1, 1]


def test_objects_without_interior_get_no_border():
    objects = np.zeros((5, 9), np.int32)
    objects[2, 1:3], objects[1:4, 5:8] = 1, 2
    marked = mark_border((objects > 0).astype(np.uint8), objects, 1)
    assert marked[2].tolist() == [0, 1, 1, 0, 0, 2, 1, 2, 0]
