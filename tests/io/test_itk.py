"""MHA, MHD, NRRD and DICOM series have the same world coordinates as NIfTI, and so have their labels."""

import sys

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine
from nifti_files import save_right_of_bright

from snakeseg.cli import main
from snakeseg.errors import BadInput
from snakeseg.io.formats import label_suffix
from snakeseg.io.images import open_image, read, read_label, write_labels
from snakeseg.io.raster import has_same_geometry, require_same_shape

sitk = pytest.importorskip("SimpleITK")
RNG = np.random.default_rng(0)
# Direction in ITK's world (left, back, top): the first axis to the front, the second down, the third left.
DIRECTION = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], float)
ORIGIN, SPACING, SHAPE = (10.0, -20.0, 30.0), (0.5, 0.75, 2.0), (6, 7, 5)


def save(path, array, direction=DIRECTION, channels=False):
    """Write an array (x, y, z) or (x, y, z, channels) by ITK."""
    order = [2, 1, 0, 3] if channels else [2, 1, 0]
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(order)), isVector=channels)
    image.SetOrigin(ORIGIN)
    image.SetSpacing(SPACING)
    image.SetDirection(direction.ravel().tolist())
    sitk.WriteImage(image, str(path))
    return path


def save_dicom(folder, array, spacing=2.5):
    """Write one file per slice, from the last to the first, with unordered names."""
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in range(array.shape[2]):
        image = sitk.GetImageFromArray(np.ascontiguousarray(array[:, :, index].T))
        image.SetSpacing((0.5, 0.75))
        tags = {
            "0008|0060": "CT", "0020|000d": "1.2.3", "0020|000e": "1.2.3.4", "0008|0018": f"1.2.3.4.{index + 1}",
            "0020|0032": f"-40\\-30\\{100 + index * spacing}", "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0013": str(index + 1), "0008|0031": "120000",
        }  # fmt: skip
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{(index * 7) % 11}.dcm"))
        writer.Execute(image)
    return folder


@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd", ".nhdr"])
def test_itk_formats_are_read_like_nifti(tmp_path, suffix):
    """The image equals the same volume written as NIfTI by ITK and read by nibabel."""
    array = RNG.integers(-999, 999, SHAPE).astype(np.int16)
    raster = read(save(tmp_path / f"a{suffix}", array), 3)
    expected = read(save(tmp_path / "a.nii", array), 3)
    np.testing.assert_array_equal(raster.array, expected.array)
    np.testing.assert_allclose(raster.affine, expected.affine, atol=1e-5)
    np.testing.assert_allclose(raster.spacing, (2.0, 0.5, 0.75))
    assert raster.axes == "xyz"


@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd", ".nhdr"])
def test_labels_overlay_the_source(tmp_path, suffix):
    array = RNG.integers(0, 999, SHAPE).astype(np.int16)
    source = open_image(save(tmp_path / f"a{suffix}", array), 3)
    path = tmp_path / f"labels{label_suffix(source.path)}"
    write_labels(path, (source.array[:][0] > 500).astype(np.uint32) * 300, source)
    written = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(written).T, np.where(array > 500, 300, 0))
    assert written.GetPixelIDTypeAsString() == "16-bit unsigned integer"
    for value, expected in (
        (written.GetOrigin(), ORIGIN),
        (written.GetSpacing(), SPACING),
        (written.GetDirection(), DIRECTION.ravel()),
    ):
        np.testing.assert_allclose(value, expected)
    label = read_label(path, 3)
    require_same_shape(source, label)
    assert has_same_geometry(source, label)


def test_channels_are_read_first(tmp_path):
    array = RNG.integers(0, 99, (*SHAPE, 3)).astype(np.uint8)
    raster = read(save(tmp_path / "a.mha", array, np.eye(3), channels=True), 3)
    np.testing.assert_array_equal(raster.array, np.moveaxis(array, -1, 0)[:, ::-1, ::-1])


def test_planes_are_read_and_written(tmp_path):
    plane = RNG.integers(0, 99, (8, 9)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(plane.T), str(tmp_path / "a.mha"))
    source = read(tmp_path / "a.mha", 2)
    np.testing.assert_array_equal(source.array[0], plane[::-1, ::-1])
    write_labels(tmp_path / "b.mha", source.array[0], source)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "b.mha"))).T, plane)


def test_dicom_series_is_sorted_and_oriented(tmp_path):
    """Slices are sorted by position; x and y run to the left and the back; labels are NIfTI with the same geometry."""
    array = RNG.integers(0, 999, (8, 9, 5)).astype(np.int16)
    source = read(save_dicom(tmp_path / "series", array), 3)
    np.testing.assert_array_equal(source.array[0], array[::-1, ::-1])
    np.testing.assert_allclose(source.spacing, (0.5, 0.75, 2.5))
    # The last pixel along the canonical x and y is the first of the DICOM file, at -40 left and -30 back.
    np.testing.assert_allclose(apply_affine(source.affine, (7, 8, 0)), (40, 30, 100))
    assert label_suffix(source.path) == ".nii.gz"
    write_labels(tmp_path / "labels.nii.gz", (source.array[0] > 500).astype(np.uint8), source)
    label = read_label(tmp_path / "labels.nii.gz", 3)
    require_same_shape(source, label)
    np.testing.assert_array_equal(label.array, source.array[0] > 500)


def test_single_dicom_slice_is_a_plane(tmp_path):
    array = RNG.integers(0, 999, (8, 9, 1)).astype(np.int16)
    source = read(save_dicom(tmp_path / "series", array), 2)
    write_labels(tmp_path / "labels.nii.gz", np.ones((8, 9), np.uint8), source)
    require_same_shape(source, read_label(tmp_path / "labels.nii.gz", 2))
    assert nibabel.load(tmp_path / "labels.nii.gz").shape == (8, 9, 1)


def test_folders_without_a_complete_series_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"empty: found a folder without DICOM files; expected one DICOM series"):
        open_image(tmp_path / "empty", 3)
    folder = save_dicom(tmp_path / "holes", np.zeros((8, 9, 6), np.int16))
    (folder / "3.dcm").unlink()  # the third slice
    with pytest.raises(BadInput, match=r"holes: found slices 2.5 to 5 mm apart; expected even distances; add"):
        open_image(folder, 3)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_truncated_file_is_refused(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", np.ones(SHAPE, np.int16))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadInput, match=rf"a{suffix}: found a damaged file"):
        read(path, 3)


def test_missing_simpleitk_is_reported(tmp_path, monkeypatch):
    (tmp_path / "a.mha").touch()
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(
        BadInput, match=r"a.mha: found no SimpleITK; expected the package SimpleITK, .*; pip install SimpleITK"
    ):
        open_image(tmp_path / "a.mha", 3)


def test_predict_command_takes_itk_and_dicom(tmp_path):
    """Label files have the names of the images, with another suffix if their format differs."""
    model = save_right_of_bright(tmp_path / "model")
    array = RNG.integers(0, 2, (8, 9, 5)).astype(np.int16)
    images = [save_dicom(tmp_path / "series", array), save(tmp_path / "b.mhd", array), save(tmp_path / "c.nrrd", array)]
    assert main(["predict", str(model), *map(str, images), "-o", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.mha", "c.nrrd", "series.nii.gz"]
    for image, name in zip(images, ("series.nii.gz", "b.mha", "c.nrrd"), strict=True):
        bright, label = read(image, 3).array[0], read_label(tmp_path / "out" / name, 3).array
        np.testing.assert_array_equal(label[1:], bright[:-1])
