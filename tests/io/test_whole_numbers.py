"""Labels of whole numbers are accepted in every format and type, others refused."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
import zarr

from snakeseg.errors import BadInput
from snakeseg.io.images import read_label

LABEL = np.zeros((12, 10), np.int64)
LABEL[1:4, 1:8], LABEL[6:9, 2:5], LABEL[10:, 8:] = 1, 2, 3


def save(path, array):
    """Write a plane of floats in the format of the suffix."""
    if path.suffix == ".nii":
        nibabel.save(nibabel.Nifti1Image(array.T[..., None], np.diag([-1.0, -1.0, 1.0, 1.0])), path)
    elif path.suffix in (".mha", ".nrrd"):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    elif path.suffix == ".zarr":
        zarr.create_array(path, data=array)
    else:
        tifffile.imwrite(path, array)
    return path


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.zarr", "a.nii", "a.mha", "a.nrrd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_labels_of_whole_numbers(tmp_path, name, dtype):
    """The case cases/inputs/float32_labels.py."""
    label = read_label(save(tmp_path / name, LABEL.astype(dtype)), 2)
    assert label.array.dtype == np.int64
    assert sorted(np.unique(label.array, return_counts=True)[1]) == sorted(np.unique(LABEL, return_counts=True)[1])
    assert label.rounded == 0
    near = read_label(save(tmp_path / f"b{name[1:]}", (LABEL + 5e-4).astype(dtype)), 2)
    np.testing.assert_array_equal(near.array, label.array)
    assert near.rounded == pytest.approx(5e-4, rel=1e-2)
    with pytest.raises(BadInput, match="found labels of type float"):
        read_label(save(tmp_path / f"c{name[1:]}", (LABEL + 2e-3).astype(dtype)), 2)


@pytest.mark.parametrize(("dtype", "largest"), [(np.int16, 2), (np.int16, 1000), (np.uint8, 2), (np.uint8, 20)])
def test_labels_that_nibabel_scaled(tmp_path, dtype, largest):
    """nibabel scales floats to the full range of an integer header, which moves whole numbers by up to half a step."""
    label = np.arange(4 * 5 * 6).reshape(4, 5, 6) % (largest + 1)
    label.flat[-1] = largest
    image = nibabel.Nifti1Image(label.astype(np.float64), np.eye(4))
    image.set_data_dtype(dtype)
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert np.abs(nibabel.load(tmp_path / "a.nii.gz").get_fdata() - label).max() > 0
    raster = read_label(tmp_path / "a.nii.gz", 3)
    np.testing.assert_array_equal(raster.array, label)
    assert 0 < raster.rounded <= 0.05


def test_scaled_intensities_are_no_labels(tmp_path):
    image = nibabel.Nifti1Image(np.random.default_rng(0).uniform(0, 5, (4, 5, 6)), np.eye(4))
    image.set_data_dtype(np.uint8)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(BadInput, match="found labels of type float64; expected integers"):
        read_label(tmp_path / "a.nii", 3)
