"""Images with one file per channel are read as one image; files that do not fit together are refused."""

import nibabel
import numpy as np
import pandas as pd
import pytest
import tifffile
from nifti_files import ORIENTATIONS, in_orientation, save_nifti, save_right_of_bright

from snakeseg.checks.inspect import inspect_rows
from snakeseg.cli import main
from snakeseg.errors import BadInputs
from snakeseg.io.files import checksum
from snakeseg.io.images import open_image, read, write_labels
from snakeseg.io.sheet import read_sheet
from snakeseg.settings import Labels

RNG = np.random.default_rng(0)
AFFINE = np.diag([1.0, 1, 2, 1])
SHAPE = (6, 7, 8)


def save_all(folder, affines=(AFFINE, AFFINE), shapes=(SHAPE, SHAPE)):
    """Save one file per channel, and return the cell of a sheet that lists them."""
    for name, affine, shape in zip(("t1", "t2"), affines, shapes, strict=True):
        save_nifti(folder / f"{name}.nii", RNG.integers(0, 99, shape).astype(np.int16), affine)
    return f"{folder}/t1.nii; {folder}/t2.nii"


def test_channels_are_stacked(tmp_path):
    """Channels have the order of the files, for any orientation and dtype; only the requested files are read."""
    cell = save_all(tmp_path)
    volume = RNG.normal(size=SHAPE).astype(np.float32)
    save_nifti(tmp_path / "t2.nii", *in_orientation(volume, AFFINE, ORIENTATIONS[30]))
    raster = open_image(cell, 3)
    first = open_image(tmp_path / "t1.nii", 3)
    np.testing.assert_array_equal(raster.array[:], np.stack([first.array[:][0], volume]))
    np.testing.assert_array_equal(raster.array[1:2, 2:4], volume[None, 2:4])
    assert raster.array.dtype == np.float32
    assert (raster.path, raster.spacing) == (tmp_path / "t1.nii", (1, 1, 2))
    np.testing.assert_array_equal(raster.affine, AFFINE)


def test_labels_have_the_geometry_of_the_first_file(tmp_path):
    raster = open_image(save_all(tmp_path), 3)
    write_labels(tmp_path / "l.nii", np.ones(SHAPE, np.uint8), raster)
    np.testing.assert_array_equal(nibabel.load(tmp_path / "l.nii").affine, AFFINE)


def test_planes_are_stacked(tmp_path):
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", RNG.integers(0, 99, (5, 6)).astype(np.uint8))
    assert read(f"{tmp_path}/a.tif;{tmp_path}/b.tif", 2).array.shape == (2, 5, 6)


def shifted(millimetres):
    affine = AFFINE.copy()
    affine[1, 3] = millimetres
    return affine


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"shapes": (SHAPE, (6, 7, 9))},
            r"t2.nii: found shape \(6, 7, 9\); expected \(6, 7, 8\), the shape of .*t1.nii",
        ),
        (
            {"affines": (AFFINE, shifted(3))},
            r"t2.nii: found pixels up to 3 mm away from those of .*t1.nii; expected",
        ),
        ({"shapes": (SHAPE, (*SHAPE, 2))}, r"t2.nii: found 2 channels; expected one channel"),
    ],
)
def test_channels_on_different_grids_are_refused(tmp_path, change, message):
    with pytest.raises(BadInputs, match=message):
        open_image(save_all(tmp_path, **change), 3)


def test_channels_of_different_pixel_sizes_are_refused(tmp_path):
    for name, size in (("a", 0.5), ("b", 0.7)):
        sizes = {"PhysicalSizeX": size, "PhysicalSizeY": size}
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", np.zeros((5, 6), np.uint8), metadata=sizes)
    with pytest.raises(BadInputs, match=r"b.ome.tif: found pixels of 0.7 x 0.7; expected 0.5 x 0.5, as in .*a.ome.tif"):
        open_image(f"{tmp_path}/a.ome.tif;{tmp_path}/b.ome.tif", 2)


def test_check_reports_every_bad_file(tmp_path):
    cell = save_all(tmp_path)
    (tmp_path / "t1.nii").unlink()
    (tmp_path / "t2.nii").write_bytes(b"damaged")
    row = {"sample": "a", "image": cell, "label": "", "subset": "predict", "spacing": ""}
    _, problems = inspect_rows(pd.DataFrame([row]), 3, Labels())
    assert ["t1.nii: found no such file" in problems[0], "t2.nii: found a damaged" in problems[1]] == [True, True]
    assert len(problems) == 2


def test_sheet_cell_and_checksum_include_all_files(tmp_path):
    save_all(tmp_path)
    (tmp_path / "s.tsv").write_text("sample\timage\na\tt1.nii; t2.nii\nb\tt1.nii\n", encoding="utf-8")
    both, first = read_sheet(tmp_path / "s.tsv")["image"]
    assert both == f"{tmp_path}/t1.nii;{tmp_path}/t2.nii"
    before = checksum(both)
    assert before != checksum(first) == checksum(tmp_path / "t1.nii")
    save_all(tmp_path)
    assert checksum(both) != before


def test_predict_command_takes_several_files(tmp_path):
    cell, model = save_all(tmp_path), save_right_of_bright(tmp_path / "model", channels=2)
    assert main(["predict", str(model), cell, "-o", str(tmp_path / "out")]) == 0
    written = nibabel.load(tmp_path / "out" / "t1.nii")
    bright = read(tmp_path / "t1.nii", 3).array[0] > 0
    np.testing.assert_array_equal(np.asarray(written.dataobj)[1:], bright[:-1])
