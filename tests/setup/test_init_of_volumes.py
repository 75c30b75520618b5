"""`snakeseg init` on stacks of ImageJ: pixel sizes, and labels of ITK-SNAP."""

import nibabel
import numpy as np
import pytest
import tifffile

from snakeseg.setup.plan import plan_setup
from snakeseg.setup.plan_text import describe_setup

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_stacks(folder, affine=None, **metadata):
    """Write five stacks with boxes of different ids; the labels are TIFF, or NIfTI with an affine."""
    rng = np.random.default_rng(3)
    for number in range(5):
        label = np.zeros((24, 24, 24), np.uint16)
        for index in range(6 + number):
            z, y, x = rng.integers(1, 18), rng.integers(1, 14), rng.integers(1, 20)
            label[z : z + 3, y : y + 9, x : x + 3] = index + 1
        image = (rng.normal(60, 5, label.shape) + 100 * (label > 0)).clip(0, 255).astype(np.uint8)
        for part, array in (("images", image), ("labels", label)):
            (folder / part).mkdir(exist_ok=True)
            path = folder / part / f"c{number}.tif"
            if part == "labels" and affine is not None:
                nibabel.save(nibabel.Nifti1Image(label.T, affine), path.with_suffix(".nii.gz"))
            else:
                axes = {"axes": "ZYX"}
                tifffile.imwrite(path, array, imagej=True, resolution=(5, 5), metadata={**axes, **metadata})


@pytest.mark.parametrize(("metadata", "axes"), [({"unit": "um"}, "z"), ({"unit": "um", "spacing": 1.0}, "")])
def test_unknown_pixel_sizes_are_named(tmp_path, monkeypatch, metadata, axes):
    monkeypatch.chdir(tmp_path)
    write_stacks(tmp_path, **metadata)
    text = "\n".join(describe_setup(plan_setup(tmp_path, None)))
    assert ("pixel size along z unknown: write it into the column spacing" in text) == bool(axes)


def test_labels_of_itk_snap_are_accepted_and_others_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, affine in (("drawn", LPS), ("written", np.eye(4))):
        (tmp_path / name).mkdir()
        write_stacks(tmp_path / name, affine)
    plan = plan_setup(tmp_path / "drawn", None)
    assert (plan.found.problems, plan.found.labels.kind) == ([], "instance")
    with pytest.raises(ValueError, match="found axes x, y, z with an affine"):
        plan_setup(tmp_path / "written", None)
