"""The calibration of probabilities agrees with results computed by hand."""

import numpy as np
import pytest

from snakeseg.evaluation.metrics.calibration import BINS, reliability


def test_worked_example_of_two_bins():
    """Two images, two bins: 1 of 4 pixels with probability 0.1 is foreground, and 1 of 2 with 0.9."""
    first = np.array([[0.1, 0.1, 0.9]]), np.array([[True, False, True]])
    second = np.array([[0.1, 0.1, 0.9]]), np.array([[False, False, False]])
    calibration = reliability([first, second])
    assert [entry["pixels"] for entry in calibration["bins"]] == [4, 2]
    assert [entry["probability"] for entry in calibration["bins"]] == pytest.approx([0.1, 0.9])
    assert [entry["share"] for entry in calibration["bins"]] == pytest.approx([1 / 4, 1 / 2])
    assert calibration["error"] == pytest.approx((4 * 0.15 + 2 * 0.4) / 6)


def test_certain_correct_probabilities_have_no_error():
    truth = np.array([[True, False]])
    calibration = reliability([(truth.astype(np.float32), truth)])
    assert calibration["error"] == 0
    assert calibration["bins"] == [
        {"pixels": 1, "probability": 0.0, "share": 0.0}, {"pixels": 1, "probability": 1.0, "share": 1.0},
    ]  # fmt: skip


def test_calibrated_probabilities_have_no_error():
    rng = np.random.default_rng(0)
    probability = rng.random((500, 500))
    calibration = reliability([(probability, rng.random((500, 500)) < probability)])
    assert len(calibration["bins"]) == BINS
    assert calibration["error"] < 0.01


def test_empty_input_has_no_bins_and_no_error():
    nothing = {"bins": [], "error": None, "confidence_error": None, "uncertain_error": None}
    assert reliability([]) == nothing
    assert reliability([(np.zeros((0,)), np.zeros((0,), bool))])["error"] is None


# Examples of an audit, with equation 3 of Guo et al. 2017 written out independently.


def expected_error(confidence: np.ndarray, is_right: np.ndarray) -> float:
    index = np.minimum((confidence * 20).astype(int), 19)
    return sum(abs(confidence[index == b].sum() - is_right[index == b].sum()) for b in range(20)) / confidence.size


def test_confidence_error_is_that_of_guo():
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 0.5, 200_000)
    truth = rng.random(p.size) < np.clip(np.where(p > 0.5, p - 0.15 * (p < 0.95), p), 0, 1)
    calibration = reliability([(p, truth)])
    uncertain = (p >= 0.05) & (p < 0.95)
    assert calibration["error"] == pytest.approx(expected_error(p, truth), abs=1e-9)
    assert calibration["confidence_error"] == pytest.approx(
        expected_error(np.maximum(p, 1 - p), (p > 0.5) == truth), abs=1e-9
    )
    assert calibration["uncertain_error"] == pytest.approx(expected_error(p[uncertain], truth[uncertain]), abs=1e-9)
    assert len({round(value, 3) for key, value in calibration.items() if key != "bins"}) == 3


def test_errors_of_both_classes_cancel_in_the_confidence():
    """Foreground is 0.1 too frequent at 0.3 and at 0.7: too sure of background, not sure enough of foreground."""
    p = np.repeat([0.3, 0.7], 100_000)
    truth = np.tile(np.arange(10), 20_000) < np.where(p < 0.5, 4, 8)
    calibration = reliability([(p, truth)])
    assert calibration["error"] == calibration["uncertain_error"] == pytest.approx(0.1)
    assert calibration["confidence_error"] == pytest.approx(0, abs=1e-9)


def test_certain_pixels_do_not_dilute_the_error_of_uncertain_ones():
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.1, 0.9, 10_000)
    truth = rng.random(10_000) < np.where(hard > 0.5, 0.95, 0.05)
    alone = reliability([(hard, truth)])
    easy = np.full(190_000, 0.001), np.zeros(190_000, bool)
    calibration = reliability([(hard, truth), easy])
    assert calibration["uncertain_error"] == alone["uncertain_error"] == pytest.approx(expected_error(hard, truth))
    assert calibration["error"] < 0.1 * alone["error"]
    assert reliability([easy])["uncertain_error"] is None
    assert reliability([easy])["confidence_error"] == pytest.approx(0.001)


def test_bounds_of_uncertainty_and_of_the_halves():
    p = np.array([0.0, 0.04, 0.06, 0.94, 0.96, 1.0])
    truth = np.array([True, False, True, False, True, False])
    calibration = reliability([(p, truth)])
    assert calibration["uncertain_error"] == pytest.approx((0.94 + 0.94) / 2)
    confidence, is_right = np.maximum(p, 1 - p), (p > 0.5) == truth
    assert calibration["confidence_error"] == pytest.approx(expected_error(confidence, is_right))
