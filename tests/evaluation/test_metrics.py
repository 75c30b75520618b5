"""Scores of pixels agree with results computed by hand and with their definitions by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_pairs import PAIRS

from snakeseg.evaluation.metrics.overlap import (
    FCN_SCORES,
    confusion_matrix,
    dice_and_iou,
    fcn_scores,
    pixel_error,
)

quick = settings(deadline=None, max_examples=200)


def test_pixel_error_is_the_share_of_wrong_pixels():
    assert pixel_error(np.array([0, 1, 2, 1]), np.array([0, 1, 1, 0])) == 0.5


@pytest.mark.parametrize(
    ("truth", "predicted", "dice", "iou"),
    [("0011", "0011", 1, 1), ("0011", "1100", 0, 0), ("0111", "0011", 0.8, 2 / 3), ("0000", "0000", 1, 1),
     ("0000", "0001", 0, 0), ("1000", "0000", 0, 0)],
)  # fmt: skip
def test_dice_and_iou_of_small_masks(truth, predicted, dice, iou):
    masks = [np.array(list(text)) == "1" for text in (truth, predicted)]
    assert dice_and_iou(*masks) == pytest.approx((dice, iou))


def test_dice_and_iou_equal_those_of_sets():
    for truth, predicted in PAIRS:
        a, b = (set(np.flatnonzero(array).tolist()) for array in (truth, predicted))
        dice, iou = dice_and_iou(truth > 0, predicted > 0)
        assert dice == pytest.approx(2 * len(a & b) / (len(a) + len(b)) if a or b else 1, abs=1e-9)
        assert iou == pytest.approx(len(a & b) / len(a | b) if a or b else 1, abs=1e-9)
        assert pixel_error(truth > 0, predicted > 0) == pytest.approx(len(a ^ b) / truth.size, abs=1e-9)


def test_worked_example_of_fcn_scores():
    """Two classes of 6 and 2 pixels, of which 5 and 1 are correct."""
    confusion = np.array([[5, 1], [1, 1]])
    assert fcn_scores(confusion) == pytest.approx({
        "pixel_accuracy": 6 / 8,
        "mean_accuracy": (5 / 6 + 1 / 2) / 2,
        "mean_iu": (5 / 7 + 1 / 3) / 2,
        "frequency_weighted_iu": (6 * 5 / 7 + 2 * 1 / 3) / 8,
    })  # fmt: skip


def test_fcn_scores_leave_out_absent_classes():
    assert fcn_scores(np.diag([3, 0, 2])) == dict.fromkeys(FCN_SCORES, 1.0)
    extra_class = fcn_scores(np.array([[2, 0, 2], [0, 0, 0], [0, 0, 0]]))
    assert (extra_class["mean_accuracy"], extra_class["mean_iu"]) == (0.5, 0.25)
    assert all(np.isnan(value) for value in fcn_scores(np.zeros((2, 2), int)).values())


@quick
@given(seed=st.integers(0, 1000), classes=st.integers(2, 4))
def test_fcn_scores_equal_their_definitions_on_masks(seed, classes):
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(classes, size=(2, 60))
    confusion = confusion_matrix(truth, predicted, classes)
    for i, j in np.ndindex(classes, classes):
        assert confusion[i, j] == np.sum((truth == i) & (predicted == j))
    scores = fcn_scores(confusion)
    occurring = np.unique(truth)
    iu = {i: np.sum((truth == i) & (predicted == i)) / max(np.sum((truth == i) | (predicted == i)), 1)
          for i in np.unique([truth, predicted])}  # fmt: skip
    assert scores["mean_iu"] == pytest.approx(np.mean(list(iu.values())))
    assert scores["pixel_accuracy"] == pytest.approx(np.mean(truth == predicted))
    assert scores["mean_accuracy"] == pytest.approx(np.mean([np.mean(predicted[truth == i] == i) for i in occurring]))
    assert scores["frequency_weighted_iu"] == pytest.approx(sum(np.mean(truth == i) * iu[i] for i in occurring))
