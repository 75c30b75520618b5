"""Texts of the charts: each calibration error by its name."""

from snakeseg.report.charts import reliability_diagram

BINS = [{"pixels": 4, "probability": 0.5, "share": 0.75}]


def text_of(**calibrations) -> str:
    return reliability_diagram({name: {"calibration": errors} for name, errors in calibrations.items()}).text


def test_calibration_errors_are_called_what_they_are():
    """Issue 21, item 11: the binary error of the foreground was called the expected calibration error."""
    text = text_of(a={"bins": BINS, "error": 0.04, "confidence_error": 0.02, "uncertain_error": 0.3})
    assert "Foreground calibration error on the validation images: a 0.04." in text
    assert "Expected calibration error of the predicted class (Guo et al. 2017): a 0.02." in text
    assert "Foreground calibration error of uncertain pixels (probability 0.05 to 0.95): a 0.3." in text


def test_models_of_early_versions_have_one_error():
    text = text_of(a={"bins": BINS, "error": 0.04}, b={"bins": BINS, "error": 0.05, "confidence_error": 0.06})
    assert "Foreground calibration error on the validation images: a 0.04; b 0.05." in text
    assert "(Guo et al. 2017): b 0.06." in text
    assert "uncertain" not in text


def test_no_pixel_is_uncertain():
    text = text_of(a={"bins": BINS, "error": 0.001, "confidence_error": 0.001, "uncertain_error": None})
    assert "uncertain" not in text
    assert reliability_diagram({"a": {}}) is None
