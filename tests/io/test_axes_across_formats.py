"""Image and label of any two formats agree pixel by pixel, or are refused: an F with a marked corner shows flips."""

from itertools import product
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
import zarr
from PIL import Image

from snakeseg.errors import BadInput
from snakeseg.io.images import open_image, read, read_label, read_label_for

# ITK's identity: x to the left, y to the back, z to the top (LPS). NIfTI's axes are RAS.
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
RAS = np.eye(4)
SHAPES = {2: ((9, 9), (9, 7)), 3: ((9, 9, 9), (9, 7, 8))}


def letter_f(shape: tuple[int, ...]) -> np.ndarray:
    """Draw an F on the first plane, with a marked corner on the last; axes (y, x) or (z, y, x)."""
    label = np.zeros(shape, np.uint8)
    plane = label[0] if len(shape) == 3 else label
    plane[1:7, 1] = plane[1, 1:6] = plane[3, 1:4] = 1
    label.flat[-1] = 2
    return label


def volume(array: np.ndarray) -> np.ndarray:
    """Return an array with ITK's axes (columns, rows, planes)."""
    return np.ascontiguousarray(array.T if array.ndim == 3 else array.T[..., None])


def save_nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(volume(array), affine), path)


def save_reoriented(path: Path, array: np.ndarray, codes: str) -> None:
    """Save as ITK-SNAP does, and turn the axes as a program does that converts to one orientation."""
    image = nibabel.Nifti1Image(volume(array), LPS)
    start, end = nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(codes)
    nibabel.save(image.as_reoriented(nibabel.orientations.ornt_transform(start, end)), path)


def save_itk(path: Path, array: np.ndarray, direction: list | None = None) -> None:
    image = sitk.GetImageFromArray(array)
    if direction:
        image.SetDirection(direction)
    sitk.WriteImage(image, str(path))


def save_zarr(path: Path, array: np.ndarray, axes: str) -> None:
    group = zarr.open_group(path, mode="w")
    group.create_array("0", data=np.einsum(f"{'zyx'[-array.ndim :]}->{axes}", array))
    scale = [{"type": "scale", "scale": [1.0] * array.ndim}]
    names = [{"name": axis, "type": "space"} for axis in axes]
    multiscale = {"axes": names, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}


def identity(dims: int, flipped: int | None = None) -> list[float]:
    matrix = np.eye(dims)
    if flipped is not None:
        matrix[flipped, flipped] = -1
    return matrix.ravel().tolist()


PLAIN = {
    "png": (".png", lambda p, a: Image.fromarray(a).save(p)),
    "tiff": (".tif", lambda p, a: tifffile.imwrite(p, a, photometric="minisblack")),
    "imagej": (".tif", lambda p, a: tifffile.imwrite(p, a, imagej=True, metadata={"axes": "ZYX"[-a.ndim :]})),
    "ome": (".ome.tif", lambda p, a: tifffile.imwrite(p, a, metadata={"axes": "ZYX"[-a.ndim :]})),
    "zarr": (".ome.zarr", lambda p, a: save_zarr(p, a, "zyx"[-a.ndim :])),
    "zarr xyz": (".ome.zarr", lambda p, a: save_zarr(p, a, "xyz"[: a.ndim])),
}
ITK = {
    "nifti of ITK-SNAP": (".nii.gz", lambda p, a: save_nifti(p, a, LPS)),
    "mha": (".mha", save_itk),
    "nrrd": (".nrrd", save_itk),
    "turned to RAS": (".nii", lambda p, a: save_reoriented(p, a, "RAS")),
    "turned to PIR": (".nii", lambda p, a: save_reoriented(p, a, "PIR")),
}
ELSEWHERE = {
    "RAS identity": (".nii", lambda p, a: save_nifti(p, a, RAS)),
    "shifted": (".nii.gz", lambda p, a: save_nifti(p, a, LPS + 5 * np.eye(4, k=3))),
    "rows first": (".nii", lambda p, a: nibabel.save(nibabel.Nifti1Image(volume(a).swapaxes(0, 1), RAS), p)),
    "flipped mha": (".mha", lambda p, a: save_itk(p, a, identity(a.ndim, flipped=1))),
}
FORMATS = PLAIN | ITK | ELSEWHERE


def pairs(images: dict, labels: dict, dims: int) -> list[tuple[str, str]]:
    """Pair formats; an array whose rows come first has another meaning under the same affine, so it is not compared."""
    have_meaning = (pair for pair in product(images, labels) if "rows first" not in pair or {*pair} & {*PLAIN})
    return [pair for pair in have_meaning if dims == 2 or "png" not in pair]


def save(folder: Path, image: str, label: str, array: np.ndarray) -> list[Path]:
    paths = []
    for part, name in (("image", image), ("label", label)):
        suffix, write = FORMATS[name]
        paths.append(folder / f"{part} {name}{suffix}")
        write(paths[-1], array)
    return paths


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("square", [0, 1])
def test_label_lies_on_its_image_or_is_refused(tmp_path, dims, square):
    """All pairs of formats, also those that no program writes for one image."""
    array = letter_f(SHAPES[dims][square])
    accepted = set()
    for image, label in pairs(FORMATS, FORMATS, dims):
        image_path, label_path = save(tmp_path, image, label, array)
        raster = read(image_path, dims)
        try:
            fitted = read_label_for(raster, label_path)
        except BadInput:
            continue
        np.testing.assert_array_equal(fitted.array, raster.array[0], err_msg=f"{image}, {label}")
        assert fitted.axes == raster.axes
        accepted.add((image, label))
    lie_where_itk_shows_them = PLAIN | ITK
    assert accepted >= set(pairs(lie_where_itk_shows_them, lie_where_itk_shows_them, dims))
    assert not accepted & {*pairs(PLAIN, ELSEWHERE, dims), *pairs(ELSEWHERE, PLAIN, dims)}


def test_refusal_names_both_orders_of_axes(tmp_path):
    image, label = save(tmp_path, "tiff", "RAS identity", letter_f((9, 9, 9)))
    with pytest.raises(BadInput, match=r"found axes x, y, z with an affine .*; expected the axes z, y, x without"):
        read_label_for(open_image(image, 3), label)
    with pytest.raises(BadInput, match=r"found axes z, y, x without an affine; expected the axes x, y, z with"):
        read_label_for(open_image(label, 3), image)


def test_shape_is_compared_in_the_axes_of_the_image(tmp_path):
    image, _ = save(tmp_path, "tiff", "mha", letter_f((9, 7, 8)))
    save_itk(label := tmp_path / "label.mha", letter_f((8, 7, 9)))
    with pytest.raises(BadInput, match=r"found shape \(8, 7, 9\); expected \(9, 7, 8\)"):
        read_label_for(open_image(image, 3), label)


@pytest.mark.parametrize(("shape", "suffix"), [((64, 64), ".png"), ((24, 24, 24), ".tif")])
def test_labels_drawn_in_itk_snap_agree(tmp_path, shape, suffix):
    """The case cases/inputs/mixed_axes_itk_label.py: planes as PNG, stacks as ImageJ TIFF, labels of ITK-SNAP."""
    rng = np.random.default_rng(3)
    label = np.zeros(shape, np.uint8)
    label[(*(slice(3, 8),) * (len(shape) - 1), slice(10, 21))] = 1
    intensities = (rng.normal(60, 5, shape) + 100 * label).clip(0, 255).astype(np.uint8)
    FORMATS["png" if suffix == ".png" else "imagej"][1](tmp_path / f"image{suffix}", intensities)
    save_nifti(tmp_path / "label.nii.gz", label, LPS)
    raster = read(tmp_path / f"image{suffix}", len(shape))
    fitted = read_label_for(raster, tmp_path / "label.nii.gz")
    assert ((raster.array[0] > 100) == (fitted.array > 0)).all()
    assert not np.array_equal(read_label(tmp_path / "label.nii.gz", len(shape)).array, fitted.array)


def test_channels_of_several_formats_are_brought_to_the_axes_of_the_first(tmp_path):
    image, label = save(tmp_path, "tiff", "nifti of ITK-SNAP", letter_f((9, 9, 9)))
    first, second = read(f"{image};{label}", 3).array
    np.testing.assert_array_equal(first, second)
