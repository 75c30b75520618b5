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
    assert reliability([]) == {"bins": [], "error": None}
    assert reliability([(np.zeros((0,)), np.zeros((0,), bool))])["error"] is None
