"""Ignored pixels and objects at the edge: which pixels and predicted objects count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_pairs import random_pair

from snakeseg.evaluation.counting import count_objects, mask_truth, number_by_position
from snakeseg.evaluation.scores import score
from snakeseg.settings import Labels
from snakeseg.transforms.labels import IGNORED, classes_and_objects

quick = settings(deadline=None, max_examples=40)
IGNORE = 255


def disc(array, centre, radius, value):
    """Draw a disc."""
    y, x = np.ogrid[: array.shape[0], : array.shape[1]]
    array[(y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2] = value


def two_discs():
    array = np.zeros((100, 100), int)
    disc(array, (25, 25), 10, 1)
    disc(array, (25, 70), 10, 2)
    return array


@pytest.mark.parametrize("kind", ["instance", "binary"])
def test_object_mostly_in_an_ignored_region_is_not_a_false_positive(kind):
    """Kirillov et al. 2019, section 4.1: 30 of 33 rows are void, so the object is removed; PQ and AP were 0.8, 0.67."""
    truth, predicted = two_discs(), two_discs()
    truth[60:] = IGNORE
    predicted[57:90, 20:50] = 3
    scores, objects = score(truth, predicted, Labels(kind, ignore=IGNORE))
    assert (scores["predicted_objects"], scores["ap_0.50"], scores["pq_0.50"]) == (2, 1, 1)
    assert (scores["pixel_error"], scores["dice"], scores["assd"], scores["adapted_rand_error"]) == (0, 1, 0, 0)
    assert {row["id"] for row in objects if row["side"] == "predicted"} == {1, 2}


@pytest.mark.parametrize(("rows", "counts"), [(3, False), (16, False), (17, True), (33, True)])
def test_object_counts_from_half_of_its_pixels_on(rows, counts):
    """Of 33 rows, 17 or more are scored."""
    truth, predicted = two_discs(), two_discs()
    truth[60:] = IGNORE
    predicted[60 - rows : 93 - rows, 45:55] = 3
    assert score(truth, predicted, Labels(ignore=IGNORE))[0]["predicted_objects"] == 2 + counts


def test_matched_object_counts_whatever_share_of_it_is_ignored():
    """A true object of which a strip is visible: 1 of 10 rows is scored, with an IoU of 1."""
    truth, predicted = two_discs(), two_discs()
    truth[59:61, 20:50] = 3
    truth[60:] = IGNORE
    predicted[59:69, 20:50] = 3
    scores, _ = score(truth, predicted, Labels(ignore=IGNORE))
    assert (scores["tp_0.50"], scores["ap_0.50"], scores["pixel_error"]) == (3, 1, 0)


def test_object_at_the_edge_is_not_a_false_positive_if_such_objects_are_not_scored():
    """The prediction of an object at the edge stops one pixel short of it, so it was not dropped; AP was 0.5."""
    truth, predicted = np.zeros((2, 100, 100), int)
    for array in (truth, predicted):
        disc(array, (50, 50), 10, 1)
    truth[:12, 30:50], predicted[1:13, 29:51] = 2, 2
    scores, _ = score(truth, predicted, Labels(), at_edge=False)
    assert (scores["predicted_objects"], scores["ap_0.50"], scores["dice"]) == (1, 1, 1)
    assert score(truth, predicted, Labels())[0]["predicted_objects"] == 2


def test_semantic_classes_keep_their_pixels():
    """The rule is for objects: the class of a pixel is right or wrong by itself."""
    labels = Labels("semantic", {"sky": 0, "cell": 1}, ignore=IGNORE)
    truth, predicted = np.zeros((2, 10, 10), int)
    truth[5:] = IGNORE
    predicted[4:9, 2:4] = 1
    scores, objects = score(truth, predicted, labels)
    assert (scores["predicted_objects"], scores["wrong_pixels"], objects) == (0, 2, [])


def test_sizes_are_those_of_the_whole_image():
    classes, objects = classes_and_objects(np.array([[1, 1, 0, IGNORE, IGNORE]]), Labels(ignore=IGNORE))
    truth = mask_truth(classes, objects)
    table, sizes = count_objects(truth, np.array([[1, 1, 2, 2, 0]]))
    assert (table.predicted_ids.tolist(), table.predicted_sizes.tolist(), sizes.tolist()) == ([1, 2], [2, 1], [2, 2])
    assert truth.is_scored.tolist() == [[True] * 3 + [False] * 2]
    assert truth.classes.tolist() == [[1, 1, 0, IGNORED, IGNORED]]


@st.composite
def scenes(draw):
    """A label with an ignored region, a prediction, the kind of label, and whether objects at the edge are scored."""
    truth, predicted = random_pair(draw(st.integers(0, 10_000)))
    low, high = (draw(st.integers(0, truth.shape[0])) for _ in range(2))
    truth = np.where(truth > 0, truth % IGNORE + 1, 0)
    truth[low:high, : draw(st.integers(0, truth.shape[1]))] = 1000
    labels = Labels(draw(st.sampled_from(["instance", "binary"])), ignore=1000)
    return truth, predicted, labels, draw(st.booleans())


@quick
@given(scenes(), st.integers(0, 10_000))
def test_predictions_in_pixels_that_are_not_scored_change_no_score(scene, seed):
    truth, predicted, labels, at_edge = scene
    rng = np.random.default_rng(seed)
    is_scored = mask_truth(*classes_and_objects(truth, labels), at_edge).is_scored
    is_free = ~is_scored & (predicted == 0) & (rng.random(truth.shape) < 0.8)
    more = np.where(is_free, predicted.max() + rng.integers(1, 4, truth.shape), predicted)
    expected, rows = score(truth, predicted, labels, at_edge=at_edge)
    scores, other_rows = score(truth, more, labels, at_edge=at_edge)
    assert scores == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
    assert str(other_rows) == str(rows)


@quick
@given(scenes(), st.integers(0, 10_000))
def test_ids_change_no_score(scene, seed):
    """Ids of truth and prediction are permuted, with gaps; scores are equal to the last bit."""
    truth, predicted, labels, at_edge = scene
    rng = np.random.default_rng(seed)

    def renamed(array):
        return np.append(0, 1 + rng.permutation(999))[array]

    other_truth = np.where(truth == 1000, 1000, renamed(np.where(truth == 1000, 0, truth)))
    expected, _ = score(truth, predicted, labels, at_edge=at_edge)
    scores, _ = score(other_truth, renamed(predicted), labels, at_edge=at_edge)
    assert scores == pytest.approx(expected, rel=0, abs=0, nan_ok=True)


@quick
@given(st.integers(0, 10_000))
def test_numbers_are_in_order_of_first_pixels(seed):
    _, objects = random_pair(seed)
    numbers, ids = number_by_position(objects)
    np.testing.assert_array_equal(ids[numbers], objects)
    firsts = [np.flatnonzero(numbers == number)[0] for number in range(1, len(ids))]
    assert firsts == sorted(firsts)
    assert ((numbers == 0) == (objects == 0)).all()
