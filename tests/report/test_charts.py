"""Texts of the charts: each calibration error by its name, the best values of parameters."""

import pytest

from snakeseg.report.charts import reliability_diagram, sensitivity

BINS = [{"pixels": 4, "probability": 0.5, "share": 0.75}]


def text_of(**calibrations) -> str:
    return reliability_diagram({name: {"calibration": errors} for name, errors in calibrations.items()}).text


def test_calibration_errors_are_called_what_they_are():
    """The binary error of the foreground was called the expected calibration error."""
    text = text_of(a={"bins": BINS, "error": 0.04, "confidence_error": 0.02, "uncertain_error": 0.3})
    assert "Mean distance from the line (0 is best), validation images, all pixels: 0.04." in text
    assert "Predicted class (Guo et al. 2017): 0.02." in text
    assert "Uncertain pixels (0.05 to 0.95): 0.3." in text
    assert "Below it, too much foreground is predicted." in text


def test_models_of_early_versions_have_one_error():
    text = text_of(a={"bins": BINS, "error": 0.04}, b={"bins": BINS, "error": 0.05, "confidence_error": 0.06})
    assert "validation images, all pixels: a 0.04; b 0.05." in text
    assert "(Guo et al. 2017): b 0.06." in text
    assert "Uncertain" not in text


def test_no_pixel_is_uncertain():
    text = text_of(a={"bins": BINS, "error": 0.001, "confidence_error": 0.001, "uncertain_error": None})
    assert "Uncertain" not in text
    assert reliability_diagram({"a": {}}) is None


@pytest.mark.parametrize(
    ("select_by", "scores", "text"),
    [
        ("ap_0.50", (0.98, 0.98, 0.98), "All values tried reach the same AP 0.50, 0.980."),
        ("ap_0.50", (0.97, 0.98, 0.98), "Best AP 0.50 of the values: from 0.970 to 0.980 (at 1, 2)."),
        (
            "adapted_rand_error",
            (0.9, 0.7, 0.8),
            "Best 1 - adapted Rand error of the values: from 0.700 to 0.900 (at 0).",
        ),
    ],
)
def test_equal_values_of_a_parameter_are_all_named(select_by, scores, text):
    """Trial of the report: it called 0 the best growth although 2, with the same score, was chosen."""
    trials = [{"method": "soft", "grow": grow, "score": score} for grow, score in enumerate(scores)]
    (chart,) = sensitivity({"x": {"select_by": select_by, "trials": trials}})
    assert chart.text == text
