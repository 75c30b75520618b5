"""Grey images that are stored as colours: one channel in training and prediction, three among coloured ones."""

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from PIL import Image

from snakeseg.checks.input import read_inspected
from snakeseg.checks.inspect import inspect_rows
from snakeseg.errors import BadInputs
from snakeseg.io.store import write_store
from snakeseg.models.description import Description
from snakeseg.prediction.images import ImageFile, open_images
from snakeseg.settings import ContextSettings, Labels, Predict, Prepare, Settings
from snakeseg.training.dataset import load_items
from snakeseg.training.prepare import data_statistics, prepare_rows
from snakeseg.training.targets import TargetSettings

GREY = np.random.default_rng(0).integers(0, 255, (24, 30)).astype(np.uint8)
COLOURED = np.random.default_rng(1).integers(0, 255, (24, 30, 3)).astype(np.uint8)


@pytest.fixture
def make_sheet(tmp_path):
    """Return a function that writes images of these arrays with one label, and returns their rows."""
    label = np.zeros(GREY.shape, np.uint8)
    label[4:12, 5:15] = 1
    tifffile.imwrite(tmp_path / "label.tif", label)

    def make(*arrays) -> pd.DataFrame:
        rows = []
        for index, array in enumerate(arrays):
            path = tmp_path / (f"{index}.png" if index % 2 else f"{index}.tif")
            if path.suffix == ".png":
                Image.fromarray(array).save(path)
            else:
                tifffile.imwrite(path, array, photometric="rgb" if array.ndim == 3 else "minisblack")
            rows.append({"sample": f"s{index}", "image": str(path), "label": str(tmp_path / "label.tif")})
        return pd.DataFrame(rows).assign(subset="train", group=[f"g{i}" for i in range(len(rows))], spacing="")

    return make


def as_colours(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, 2)


def inspected_channels(sheet: pd.DataFrame) -> tuple[list[float], list[str]]:
    facts, problems = inspect_rows(sheet, 2, Labels())
    inspected = read_inspected([{"facts": facts, "problems": problems}], sheet, Settings())
    return inspected.facts["channels"].tolist(), [text for text in inspected.problems if "channels" in text]


def test_grey_images_of_both_kinds_fit_together(make_sheet):
    sheet = make_sheet(GREY, as_colours(GREY // 2), as_colours(GREY // 3), GREY // 4, GREY // 5)
    assert inspected_channels(sheet) == ([1.0] * 5, [])
    prepared = [arrays["image"][:] for _, _, arrays in prepare_rows(sheet, 2, Labels(), Prepare(), None)]
    assert {image.shape for image in prepared} == {(1, *GREY.shape)}


def test_a_grey_image_among_coloured_ones_keeps_three_channels(make_sheet, tmp_path):
    sheet = make_sheet(COLOURED, as_colours(GREY), COLOURED // 2, COLOURED // 3, COLOURED // 4)
    assert inspected_channels(sheet) == ([3.0] * 5, [])
    for settings in (Prepare(), Prepare(scope="dataset")):
        statistics = data_statistics(sheet, 2, settings)
        assert len(statistics["offset"]) == 3
        write_store(tmp_path / "p.zarr.zip", prepare_rows(sheet, 2, Labels(), settings, statistics))
        border = {"border": np.zeros(GREY.shape, np.float32)}
        write_store(tmp_path / "w.zarr.zip", [(name, {}, border) for name in sheet["sample"]])
        stores = [[tmp_path / "p.zarr.zip"], [tmp_path / "w.zarr.zip"]]
        items, _ = load_items(set(sheet["sample"]), *stores, TargetSettings())
        assert {item.image.shape for item in items} == {(3, *GREY.shape)}


def test_true_grey_files_among_coloured_ones_are_refused(make_sheet):
    _, problems = inspected_channels(make_sheet(COLOURED, GREY, COLOURED, COLOURED, COLOURED))
    assert len(problems) == 1


def describe(channels: int) -> Description:
    network = ContextSettings(width=1, dilations=[1])
    return Description(2, channels, Labels(), network, Prepare(), Predict(), None, [1.0, 1.0])


@pytest.mark.parametrize("index", [0, 1])
def test_models_of_one_channel_predict_grey_colours(make_sheet, index):
    sheet = make_sheet(as_colours(GREY), as_colours(GREY))
    images = open_images(describe(1), {"a": ImageFile(sheet.at[index, "image"])})
    np.testing.assert_array_equal(images["a"].fitted.array[:], GREY[None])
    with pytest.raises(BadInputs, match="found 3 channels; expected 1, as in training"):
        open_images(describe(1), {"a": ImageFile(make_sheet(COLOURED, COLOURED).at[index, "image"])})


def test_models_of_three_channels_predict_grey_colours_as_before(make_sheet):
    torch.manual_seed(0)
    images = open_images(describe(3), {"a": ImageFile(make_sheet(as_colours(GREY)).at[0, "image"])})
    np.testing.assert_array_equal(images["a"].fitted.array[:], np.stack([GREY] * 3))
