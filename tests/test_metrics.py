"""Scores against answers worked out by hand, and against definitions by brute force."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from snakeseg.metrics.matching import THRESHOLDS, detection_scores, match, overlaps, without_small
from snakeseg.metrics.overlap import (
    FCN_SCORES,
    adapted_rand_error,
    confusion_matrix,
    dice_and_iou,
    fcn_scores,
    pixel_error,
    variation_of_information,
)

quick = settings(deadline=None, max_examples=60)
small_labels = arrays(np.int32, (4, 5), elements=st.integers(0, 4))
other_ids = arrays(np.int64, (4, 5), elements=st.sampled_from([0, 2, 7, 10**9]))


def matched(truth, predicted, threshold=0.5):
    """Pairs of matched ids."""
    found = overlaps(np.array(truth), np.array(predicted))
    partner = match(found, threshold)
    return {int(t): int(found.predicted_ids[p]) for t, p in zip(found.true_ids, partner, strict=True) if p >= 0}


@quick
@given(truth=small_labels, predicted=other_ids)
def test_overlaps_are_those_of_masks(truth, predicted):
    """Every pair that shares a pixel, and no other, with |A & B| / |A | B|; ids may be large and have gaps."""
    found = overlaps(truth, predicted)
    assert found.true_ids.tolist() == sorted(set(truth.ravel().tolist()) - {0})
    assert found.predicted_ids.tolist() == sorted(set(predicted.ravel().tolist()) - {0})
    assert found.true_sizes.tolist() == [(truth == i).sum() for i in found.true_ids]
    assert found.predicted_sizes.tolist() == [(predicted == i).sum() for i in found.predicted_ids]
    expected = {}
    for i in found.true_ids:
        for j in found.predicted_ids:
            both = ((truth == i) & (predicted == j)).sum()
            if both:
                expected[i, j] = both / ((truth == i) | (predicted == j)).sum()
    pairs = zip(found.true_ids[found.pair_true], found.predicted_ids[found.pair_predicted], strict=True)
    assert dict(zip(pairs, found.pair_iou, strict=True)) == expected
    assert len(found.pair_iou) == len(expected)


@quick
@given(truth=small_labels, predicted=small_labels, threshold=st.sampled_from([0.2, 0.34, 0.5, 0.75]))
def test_matching_is_one_to_one_and_largest(truth, predicted, threshold):
    found = overlaps(truth, predicted)
    partner = match(found, threshold)
    iou = np.zeros((len(found.true_ids), len(found.predicted_ids)))
    iou[found.pair_true, found.pair_predicted] = found.pair_iou
    chosen = [(t, p) for t, p in enumerate(partner) if p >= 0]
    assert len({p for _, p in chosen}) == len(chosen)
    assert all(iou[t, p] >= threshold for t, p in chosen)
    few, many = sorted(iou.shape)
    good = (iou if iou.shape[0] == few else iou.T) >= threshold
    best = max((sum(good[a, b] for a, b in enumerate(order)) for order in permutations(range(many), few)), default=0)
    assert len(chosen) == best


def test_iou_of_exactly_one_half_matches():
    """A half of an object, and an object of twice the size: both have IoU 2 / 4."""
    assert matched([[1, 1, 1, 1, 0]], [[5, 5, 0, 0, 0]]) == {1: 5}
    assert matched([[1, 1, 0, 0, 0]], [[5, 5, 5, 5, 0]]) == {1: 5}
    assert matched([[1, 1, 1, 1, 0]], [[5, 5, 0, 0, 0]], 0.5000001) == {}
    assert matched([[1, 1, 1, 1, 1]], [[5, 5, 0, 0, 0]]) == {}


def test_a_tie_is_won_by_one():
    """Both halves of a cut object, and both objects under a merged one, have IoU 0.5: one match, not two."""
    cut = matched([[1, 1, 1, 1]], [[5, 5, 6, 6]])
    assert list(cut) == [1]
    merged = matched([[1, 1, 2, 2]], [[5, 5, 5, 5]])
    assert list(merged.values()) == [5]
    assert detection_scores(1, 1, 2)["ap"] == detection_scores(1, 2, 1)["ap"] == 0.5


@pytest.mark.parametrize("hits", range(5, 10))
def test_thresholds_are_reached_exactly(hits):
    """An object of 10 pixels of which 5, 6, ... are found has IoU 0.5, 0.6, ...; rounding must not lose it."""
    truth, predicted = np.ones((1, 10), int), (np.arange(10) < hits)[None].astype(int)
    found = overlaps(truth, predicted)
    assert [t for t in THRESHOLDS if (match(found, t) >= 0).any()] == [t for t in THRESHOLDS if t <= hits / 10]


def test_thresholds_are_those_of_the_table():
    assert THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


def test_below_one_half_as_many_as_possible_are_matched():
    """The middle object overlaps both; taking the wrong pair first would leave one alone."""
    truth, predicted = [[1, 1, 1, 1, 2, 2, 2, 2]], [[6, 6, 5, 5, 5, 5, 0, 0]]
    assert matched(truth, predicted, 0.3) == {1: 6, 2: 5}


def test_worked_example():
    """Three true objects, three predicted: one found well, one cut to a quarter, one missed, one invented."""
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2, 0, 3, 3, 0, 0]])
    predicted = np.array([[4, 4, 4, 0, 0, 5, 0, 0, 0, 0, 0, 0, 6, 6]])
    assert matched(truth, predicted) == {1: 4}
    assert detection_scores(1, 3, 3) == {"precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3, "ap": 1 / 5}


@pytest.mark.parametrize(
    ("counts", "precision", "recall", "f1", "ap"),
    [((0, 0, 0), 1, 1, 1, 1), ((0, 3, 0), 0, 0, 0, 0), ((0, 0, 3), 0, 0, 0, 0), ((2, 2, 2), 1, 1, 1, 1),
     ((2, 4, 2), 1, 0.5, 2 / 3, 0.5), ((2, 2, 8), 0.25, 1, 0.4, 0.25)],
)  # fmt: skip
def test_detection_scores(counts, precision, recall, f1, ap):
    found = detection_scores(*counts)
    assert found == pytest.approx({"precision": precision, "recall": recall, "f1": f1, "ap": ap})


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4)])
def test_nothing_to_match(shape):
    empty, full = np.zeros(shape, int), np.ones(shape, int)
    assert match(overlaps(empty, empty), 0.5).tolist() == []
    assert match(overlaps(empty, full), 0.5).tolist() == []
    assert match(overlaps(full, empty), 0.5).tolist() == [-1]
    assert match(overlaps(full, full), 0.5).tolist() == [0]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "uint32", "int64", "uint64"])
def test_any_integer_type(dtype):
    truth, predicted = np.array([[1, 1, 2, 0]]), np.array([[3, 3, 0, 4]])
    for a, b in zip(overlaps(truth.astype(dtype), predicted.astype(dtype)), overlaps(truth, predicted), strict=True):
        np.testing.assert_array_equal(a, b)


@quick
@given(truth=small_labels, predicted=small_labels, smallest=st.integers(0, 8))
def test_dropping_small_objects_from_the_overlaps(truth, predicted, smallest):
    """As if the pixels of small predicted objects had been background."""
    sizes = np.bincount(predicted.ravel(), minlength=5)
    expected = overlaps(truth, np.where(sizes[predicted] >= smallest, predicted, 0))
    for found, wanted in zip(without_small(overlaps(truth, predicted), smallest), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_pixel_error():
    assert pixel_error(np.array([0, 1, 2, 1]), np.array([0, 1, 1, 0])) == 0.5


@pytest.mark.parametrize(
    ("truth", "predicted", "dice", "iou"),
    [("0011", "0011", 1, 1), ("0011", "1100", 0, 0), ("0111", "0011", 0.8, 2 / 3), ("0000", "0000", 1, 1),
     ("0000", "0001", 0, 0), ("1000", "0000", 0, 0)],
)  # fmt: skip
def test_dice_and_iou(truth, predicted, dice, iou):
    masks = [np.array(list(text)) == "1" for text in (truth, predicted)]
    assert dice_and_iou(*masks) == pytest.approx((dice, iou))


def rand_by_pairs(truth, predicted):
    """The F-score of pairs of pixels of the foreground that share an object, counted one by one."""
    where = np.flatnonzero(truth)
    t, p = truth.ravel()[where], predicted.ravel()[where]
    pairs = [(t[i] == t[j], p[i] == p[j]) for i, j in combinations(range(len(where)), 2)]
    both = sum(a and b for a, b in pairs)
    return 1 - 2 * both / (sum(a for a, _ in pairs) + sum(b for _, b in pairs))


@pytest.mark.parametrize(
    ("truth", "predicted", "error"),
    [
        ([1, 1, 2, 2], [7, 7, 3, 3], 0),
        ([1, 1, 2, 2], [1, 1, 1, 1], 0.5),  # 2 of 6 pairs right, 2 of 2 found: F = 1/2
        ([1, 1, 1, 1], [1, 1, 2, 2], 0.5),
        ([1, 1, 1, 0, 0], [1, 1, 2, 9, 9], 0.5),  # 1 of 1, 1 of 3
        ([1, 1, 0, 0], [1, 1, 1, 1], 0),  # what lies outside true objects does not count
    ],
)
def test_adapted_rand_error(truth, predicted, error):
    truth, predicted = np.array([truth]), np.array([predicted])
    assert rand_by_pairs(truth, predicted) == pytest.approx(error)
    assert adapted_rand_error(truth, predicted) == pytest.approx(error)


@quick
@given(truth=small_labels.filter(lambda a: np.bincount(a.ravel())[1:].max(initial=0) > 1), predicted=small_labels)
def test_adapted_rand_error_is_one_minus_the_f_score_of_pairs(truth, predicted):
    """Unless nothing was found: see below."""
    assume(predicted[truth > 0].any())
    assert adapted_rand_error(truth, predicted) == pytest.approx(rand_by_pairs(truth, predicted), abs=1e-12)


def test_missing_every_object_is_no_perfect_partition():
    """The predicted background must not pass for the one object there is."""
    assert adapted_rand_error(np.ones((3, 3), int), np.zeros((3, 3), int)) == 1


def test_cutting_an_object_into_single_pixels_shares_no_pair():
    assert adapted_rand_error(np.ones((2, 2), int), np.arange(1, 5).reshape(2, 2)) == 1


@pytest.mark.parametrize(
    ("truth", "predicted", "splits", "merges"),
    [
        ([1, 1, 2, 2], [5, 5, 3, 3], 0, 0),
        ([1, 1, 1, 1], [1, 1, 2, 2], 1, 0),  # one bit tells the halves apart
        ([1, 1, 2, 2], [1, 1, 1, 1], 0, 1),
        ([1, 1, 1, 1], [1, 2, 3, 4], 2, 0),
        ([1, 1, 1, 1], [1, 1, 1, 2], 0.8112781, 0),  # 3/4 log 4/3 + 1/4 log 4
        ([1, 1, 2, 2], [1, 2, 1, 2], 1, 1),
        ([1, 1, 0, 0], [1, 1, 2, 3], 0, 0),
    ],
)
def test_variation_of_information(truth, predicted, splits, merges):
    found = variation_of_information(np.array([truth]), np.array([predicted]))
    assert found == pytest.approx((splits, merges), abs=1e-6)


def test_no_true_object_no_score():
    empty, some = np.zeros((2, 2), int), np.eye(2, dtype=int)
    assert np.isnan(adapted_rand_error(empty, some))
    assert np.isnan(variation_of_information(empty, some)).all()


def test_fcn_metrics_known_answers():
    """Two classes of 6 and 2 pixels: 5 and 1 right."""
    confusion = np.array([[5, 1], [1, 1]])
    assert fcn_scores(confusion) == pytest.approx({
        "pixel_accuracy": 6 / 8,
        "mean_accuracy": (5 / 6 + 1 / 2) / 2,
        "mean_iu": (5 / 7 + 1 / 3) / 2,
        "frequency_weighted_iu": (6 * 5 / 7 + 2 * 1 / 3) / 8,
    })  # fmt: skip


def test_fcn_metrics_leave_out_classes_that_do_not_occur():
    assert fcn_scores(np.diag([3, 0, 2])) == dict.fromkeys(FCN_SCORES, 1.0)
    invented = fcn_scores(np.array([[2, 0, 2], [0, 0, 0], [0, 0, 0]]))
    assert (invented["mean_accuracy"], invented["mean_iu"]) == (0.5, 0.25)
    assert all(np.isnan(value) for value in fcn_scores(np.zeros((2, 2), int)).values())


@quick
@given(seed=st.integers(0, 1000), classes=st.integers(2, 4))
def test_fcn_metrics_equal_their_definitions_on_masks(seed, classes):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(classes, size=(2, 60))
    confusion = confusion_matrix(truth, predicted, classes)
    for i, j in np.ndindex(classes, classes):
        assert confusion[i, j] == np.sum((truth == i) & (predicted == j))
    found = fcn_scores(confusion)
    union = [np.sum((truth == i) | (predicted == i)) for i in range(classes)]
    iu = [np.sum((truth == i) & (predicted == i)) / u for i, u in enumerate(union) if u]
    assert found["mean_iu"] == pytest.approx(np.mean(iu))
    assert found["pixel_accuracy"] == pytest.approx(np.mean(truth == predicted))
