"""Calibration of probabilities: results computed by hand."""

import numpy as np
import pytest

from snakeseg.evaluation.metrics.calibration import BINS, reliability


def test_worked_example():
    """Two images, two bins: 1 of 4 pixels with probability 0.1 is true, 1 of 2 with 0.9."""
    first = np.array([[0.1, 0.1, 0.9]]), np.array([[True, False, True]])
    second = np.array([[0.1, 0.1, 0.9]]), np.array([[False, False, False]])
    found = reliability([first, second])
    assert [one["pixels"] for one in found["bins"]] == [4, 2]
    assert [one["probability"] for one in found["bins"]] == pytest.approx([0.1, 0.9])
    assert [one["share"] for one in found["bins"]] == pytest.approx([1 / 4, 1 / 2])
    assert found["error"] == pytest.approx((4 * 0.15 + 2 * 0.4) / 6)


def test_certain_and_right():
    truth = np.array([[True, False]])
    found = reliability([(truth.astype(np.float32), truth)])
    assert found["error"] == 0
    assert found["bins"] == [
        {"pixels": 1, "probability": 0.0, "share": 0.0}, {"pixels": 1, "probability": 1.0, "share": 1.0},
    ]  # fmt: skip


def test_probabilities_that_come_true_have_no_error():
    rng = np.random.default_rng(0)
    probability = rng.random((500, 500))
    found = reliability([(probability, rng.random((500, 500)) < probability)])
    assert len(found["bins"]) == BINS
    assert found["error"] < 0.01


def test_nothing_is_no_error():
    assert reliability([]) == {"bins": [], "error": None}
    assert reliability([(np.zeros((0,)), np.zeros((0,), bool))])["error"] is None
