"""Nothing that a fold trains with depends on the images it holds out: intensities, class weights, pixel size."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile

from snakeseg.cli import main
from snakeseg.io.sheet import assign_folds, read_sheet
from snakeseg.io.store import read_store, write_store
from snakeseg.settings import Labels, Prepare, Weigh
from snakeseg.training.dataset import count_classes
from snakeseg.training.prepare import data_statistics, prepare_rows
from snakeseg.transforms.border_weights import class_weights


@pytest.fixture
def sheet(tmp_path):
    """Write five images, of which the fifth, which the fold holds out, is 1000 brighter, all foreground and coarse."""
    rng = np.random.default_rng(0)
    for i in range(5):
        image = rng.integers(0, 100, (32, 32)).astype(np.uint16) + (1000 if i == 4 else 0)
        label = np.zeros((32, 32), np.uint16)
        label[: 4 if i < 4 else 32] = 1
        tifffile.imwrite(tmp_path / f"i{i}.tif", image)
        tifffile.imwrite(tmp_path / f"l{i}.tif", label)
    rows = [(f"s{i}", f"i{i}.tif", f"l{i}.tif", 1 + 8 * (i > 1)) for i in range(5)]
    columns = ["sample", "image", "label", "spacing"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    return tmp_path / "s.tsv"


def statistics_of_fold(sheet, fold, **prepare):
    settings = {"labels": {"kind": "binary"}, "prepare": {"scope": "dataset", **prepare}}
    output = sheet.parent / "statistics.json"
    arguments = ["--sheet", sheet, "--data", sheet.parent, "--fold", fold, "--settings", json.dumps(settings)]
    assert main(["statistics", *map(str, arguments), "--output", str(output)]) == 0
    return json.loads(output.read_text(encoding="utf-8"))


def test_intensities_are_those_of_the_images_trained_on(sheet):
    """The audit found an offset of 200.2 where that of the images trained on is below 1."""
    statistics = statistics_of_fold(sheet, 0)
    rows = read_sheet(sheet)
    expected = data_statistics(rows[assign_folds(rows, 1, []) != 0], 2, Prepare(scope="dataset"))
    assert statistics == expected
    assert statistics["offset"][0] < 1.5
    assert data_statistics(rows, 2, Prepare(scope="dataset"))["offset"][0] > 200


def test_the_automatic_pixel_size_is_that_of_the_images_trained_on(sheet):
    """The median of 1, 1, 9, 9; with the held-out image it would be 9."""
    assert statistics_of_fold(sheet, 0, spacing="auto")["spacing"] == [5.0, 5.0]


def test_class_weights_are_those_of_the_images_trained_on(sheet, tmp_path):
    rows = read_sheet(sheet)
    labels = Labels("binary")
    write_store(tmp_path / "p.zarr.zip", prepare_rows(rows, 2, labels, Prepare(), None))
    trained = set(rows["sample"][assign_folds(rows, 1, []) != 0])
    counts = count_classes(trained, [tmp_path / "p.zarr.zip"], labels)
    np.testing.assert_array_equal(counts, [4 * 28 * 32, 4 * 4 * 32])
    np.testing.assert_allclose(class_weights(counts), [32 / 56, 4.0])


def test_the_store_of_weights_has_no_class_weights(sheet, tmp_path):
    """Only the border term, which depends on the image alone, is shared by the folds."""
    rows, settings = read_sheet(sheet), json.dumps({"labels": {"kind": "binary"}})
    write_store(tmp_path / "p.zarr.zip", prepare_rows(rows, 2, Labels("binary"), Prepare(), None))
    paths = ["--prepared", tmp_path / "p.zarr.zip", "--settings", settings]
    assert main(["weigh", *map(str, paths), "--output", str(tmp_path / "w.zarr.zip")]) == 0
    for _, _, group in read_store(tmp_path / "w.zarr.zip"):
        assert list(group) == ["border"]
        assert group["border"][:].max() <= Weigh().w0
