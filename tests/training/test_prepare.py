"""Training arrays made from files."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from snakeseg.settings import Labels, Prepare
from snakeseg.training.prepare import data_statistics, prepare_rows


@pytest.fixture
def rows(tmp_path):
    """Write an image that is constant outside a box, and a label with objects in two corners of the box."""
    image, label = np.full((40, 50), 100, np.uint16), np.zeros((40, 50), np.uint16)
    image[8:20, 15:40] = np.arange(1000, 1300).reshape(12, 25)
    label[8:12, 15:20], label[16:20, 36:40] = 1, 2
    tifffile.imwrite(tmp_path / "image.tif", image)
    tifffile.imwrite(tmp_path / "label.tif", label)
    row = {"sample": "s", "group": "s", "spacing": "", "image": tmp_path / "image.tif", "label": tmp_path / "label.tif"}
    return pd.DataFrame([row])


@pytest.mark.parametrize("scope", ["image", "dataset"])
def test_everything_is_cropped_to_the_foreground_box(rows, scope):
    settings = Prepare(scope=scope, low=0, high=100, crop=True)
    statistics = data_statistics(rows, 2, settings)
    ((name, _, arrays),) = prepare_rows(rows, 2, Labels(), settings, statistics)
    assert name == "s"
    np.testing.assert_allclose(arrays["image"], [np.linspace(0, 1, 300).reshape(12, 25)], atol=1e-6)
    objects = np.zeros((12, 25), int)
    objects[:4, :5], objects[-4:, -4:] = 1, 2
    np.testing.assert_array_equal(arrays["objects"], objects)
    np.testing.assert_array_equal(arrays["classes"], objects > 0)


def test_statistics_without_cropping_are_of_all_pixels(rows):
    statistics = data_statistics(rows, 2, Prepare(low=0, high=100))
    assert (statistics["offset"], statistics["scale"]) == ([100], [1199])
