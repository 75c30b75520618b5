"""Measurements of objects agree with scikit-image and closed forms."""

import numpy as np
import pytest
from label_pairs import PAIRS
from scipy.spatial import ConvexHull
from skimage.measure import regionprops_table

from snakeseg.evaluation.metrics.shape import measure_objects

SPACINGS = {2: (0.5, 1.5), 3: (2.5, 0.4, 1.1)}


def ids_of(labels):
    return np.unique(labels[labels > 0])


def test_measurements_equal_those_of_scikit_image():
    rng = np.random.default_rng(0)
    for _, labels in PAIRS:
        ids, image = ids_of(labels), rng.random(labels.shape)
        if not len(ids):
            continue
        spacing = SPACINGS[labels.ndim]
        measured = measure_objects(labels, ids, spacing, image)
        names = ["area", "intensity_mean", "centroid", "axis_major_length", "axis_minor_length"]
        names += ["eccentricity"] if labels.ndim == 2 else []
        theirs = regionprops_table(labels, image, properties=names, spacing=spacing)
        for axis, step in enumerate(spacing):
            theirs[f"centroid_{axis}"] = theirs.pop(f"centroid-{axis}") / step
        for name, expected in theirs.items():
            # Rounding of variances near 0 is enlarged by the root.
            np.testing.assert_allclose(measured[name], expected, atol=1e-6 if "axis" in name or "ecc" in name else 1e-9)


def test_solidity_is_the_share_of_the_convex_hull():
    """The hull is that of all corners of all pixels."""
    for _, labels in PAIRS:
        if labels.ndim == 2 and labels.any():
            ids = ids_of(labels)
            solidity = measure_objects(labels, ids, (1.0, 1.0), None)["solidity"]
            for i, value in zip(ids, solidity, strict=True):
                pixels = np.argwhere(labels == i)
                corners = np.concatenate([pixels + step for step in ((0, 0), (0, 1), (1, 0), (1, 1))])
                assert value == pytest.approx(len(pixels) / ConvexHull(corners).volume, abs=1e-9)


def test_solidity_of_large_objects_is_close_to_that_of_scikit_image():
    row, column = np.ogrid[-60:61, -60:61]
    ring = row**2 + column**2 < 55**2
    bean = ring & ~((row + 30) ** 2 + column**2 < 25**2)
    for mask in (ring, bean):
        labels = mask.astype(int)
        theirs = regionprops_table(labels, properties=["solidity"])["solidity"]
        np.testing.assert_allclose(
            measure_objects(labels, np.array([1]), (1.0, 1.0), None)["solidity"], theirs, atol=0.02
        )


def test_rectangle_l_shape_and_ellipse_have_known_measurements():
    """A rectangle of 3 x 4 pixels of size 2 x 0.5, an L of three pixels, and an ellipse."""
    labels = np.zeros((101, 101), int)
    labels[2:5, 4:8] = 3
    labels[8, 8:10] = labels[9, 8] = 9
    measured = measure_objects(labels, np.array([3, 9]), (2.0, 0.5), np.full(labels.shape, 7, np.uint8))
    assert measured["area"].tolist() == [12, 3]
    assert measured["intensity_mean"].tolist() == [7, 7]
    assert (measured["centroid_0"][0], measured["centroid_1"][0]) == (3, 5.5)
    assert measured["solidity"] == pytest.approx([1, 3 / 3.5])
    row, column = np.ogrid[-50:51, -50:51]
    measured = measure_objects(((row / 40) ** 2 + (column / 20) ** 2 < 1).astype(int), np.array([1]), (1.0, 1.0), None)
    assert measured["axis_major_length"] == pytest.approx(80, rel=0.01)
    assert measured["axis_minor_length"] == pytest.approx(40, rel=0.01)
    assert measured["eccentricity"] == pytest.approx(np.sqrt(3) / 2, rel=0.01)


def test_ball_has_equal_axes():
    squared_distance = sum(x**2 for x in np.ogrid[-20:21, -20:21, -20:21])
    measured = measure_objects((squared_distance < 15**2).astype(np.uint8), np.array([1]), (3.0, 3.0, 3.0), None)
    assert (measured["axis_major_length"], measured["axis_minor_length"]) == pytest.approx((90, 90), rel=0.01)
    assert measured["area"] == pytest.approx(4 / 3 * np.pi * 45**3, rel=0.01)
    assert set(measured) == {
        "area",
        "centroid_0",
        "centroid_1",
        "centroid_2",
        "axis_major_length",
        "axis_minor_length",
    }


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5)])
def test_empty_labels_have_no_measurements(shape):
    measured = measure_objects(np.zeros(shape, int), np.array([], int), (1.0,) * len(shape), np.zeros(shape))
    assert {values.shape for values in measured.values()} == {(0,)}
