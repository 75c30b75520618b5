"""Labels that are copies of their images, and values of a few pixels in a single label image."""

import nibabel
import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml

from snakeseg.checks.inspect import inspect_rows
from snakeseg.cli import main
from snakeseg.settings import Labels

RNG = np.random.default_rng(0)


def save_volumes(folder, stray: int) -> None:
    """Save 11 volumes with the classes 1 and 2, and the value 3 in some voxels of the sixth."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for index in range(11):
        label = np.zeros((24, 24, 16), np.uint8)
        label[4:12, 4:12, 3:10], label[14:20, 12:20, 5:12] = 1, 2
        if index == 5:
            label[0, :stray, 0] = 3
        image = RNG.normal(100, 10, label.shape) + 50 * label
        for part, array in (("images", image.astype(np.float32)), ("labels", label)):
            nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), folder / part / f"v{index:02d}.nii.gz")


@pytest.mark.parametrize("stray", [8, 0])
def test_a_stray_value_is_no_class_and_its_image_is_named(tmp_path, monkeypatch, capsys, stray):
    monkeypatch.chdir(tmp_path)
    save_volumes(tmp_path / "data", stray)
    assert main(["init", "data", "--yes"]) == 0
    output = capsys.readouterr()
    labels = yaml.safe_load((tmp_path / "data.yaml").read_text(encoding="utf-8"))["labels"]
    assert labels["values"] == {"background": 0, "class-1": 1, "class-2": 2}
    assert len(pd.read_csv("data.tsv", sep="\t")) == (10 if stray else 11)
    asked = "erase 3 in 8 pixels of a single label image, or add a class to labels.values" in output.out
    assert asked == bool(stray)
    refused = "data/labels/v05.nii.gz: found label values [3] in 8 pixels; expected the classes" in output.err
    assert refused == bool(stray)


def test_a_rare_class_of_several_images_or_of_many_pixels_is_a_class(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_volumes(tmp_path / "data", 24)
    path = tmp_path / "data/labels/v05.nii.gz"
    label = np.asarray(nibabel.load(path).dataobj).copy()
    label[20:, :, 0] = 3
    nibabel.save(nibabel.Nifti1Image(label, np.eye(4)), path)
    assert main(["init", "data", "--yes"]) == 0
    assert "class-3" in yaml.safe_load((tmp_path / "data.yaml").read_text(encoding="utf-8"))["labels"]["values"]


@pytest.fixture
def inspect(tmp_path):
    """Return a function that saves an image and a label, and returns the problems of inspecting them."""

    def run(image: np.ndarray, label: np.ndarray) -> list[str]:
        tifffile.imwrite(tmp_path / "image.tif", image, photometric="rgb" if image.ndim == 3 else "minisblack")
        tifffile.imwrite(tmp_path / "label.tif", label)
        row = {"sample": "a", "image": f"{tmp_path}/image.tif", "label": f"{tmp_path}/label.tif", "subset": "train"}
        return inspect_rows(pd.DataFrame([{**row, "spacing": ""}]), 2, Labels())[1]

    return run


def test_a_label_identical_to_its_image_is_an_error(inspect):
    image = RNG.integers(0, 99, (20, 30)).astype(np.uint8)
    expected = "label.tif: found the same pixels as in its image"
    for same in (image, image.astype(np.float32), np.repeat(image[..., None], 3, 2)):
        problems = inspect(same, image.astype(np.uint16))
        assert len(problems) == 1
        assert expected in problems[0]
    changed = image.copy()
    changed[-1, -1] += 1
    assert inspect(image, changed) == []


def test_a_black_image_may_have_an_empty_label(inspect):
    assert inspect(np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.uint8)) == []
