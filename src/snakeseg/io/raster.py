"""One way in and one way out for every image format."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from snakeseg.errors import BadInput
from snakeseg.io import nifti, png, tiff

SPATIAL = "XYZ"
# Longest first, so that .ome.tif is not taken for .tif.
FORMATS = {
    ".ome.tiff": tiff,
    ".ome.tif": tiff,
    ".nii.gz": nifti,
    ".tiff": tiff,
    ".tif": tiff,
    ".nii": nifti,
    ".png": png,
}


@dataclass(frozen=True)
class Raster:
    """An image as read.

    Parameters
    ----------
    array : array, shape (channels, *spatial)
        Spatial axes are (y, x), (z, y, x), or NIfTI's (x, y, z).
    spacing : tuple of float
        Pixel size along each spatial axis, in the file's unit; 1 where the file does not tell.
    path : Path
        Where it was read from; written files take their format and header from there.
    """

    array: np.ndarray
    spacing: tuple[float, ...]
    path: Path


def suffix_of(path: Path) -> str:
    """The format's suffix of a file name, as written.

    Raises
    ------
    BadInput
        If the format is not known.
    """
    for suffix in FORMATS:
        if path.name.lower().endswith(suffix):
            return path.name[-len(suffix) :]
    raise BadInput(path, f"format '{path.suffix}'", ", ".join(FORMATS), "convert the file")


def read(path: str | Path, dims: int) -> Raster:
    """Read an image of `dims` spatial dimensions.

    Raises
    ------
    BadInput
        If the file is missing, damaged, of unknown format, of other dimensions, or holds NaN or infinity.
    """
    path = Path(path)
    module = FORMATS[suffix_of(path).lower()]
    if not path.is_file():
        raise BadInput(path, "no such file", "an image", "correct the path in the sample sheet or the key 'data'")
    try:
        array, axes, spacing = module.read(path)
    except BadInput:
        raise
    except Exception as error:  # decoders raise whatever they like on damaged files
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(
            path, f"a damaged file ({cause})", "a readable image", "copy it again from its source"
        ) from error
    array, spacing = _canonical(path, array, axes, spacing, dims)
    if array.dtype.kind not in "biuf":
        raise BadInput(path, f"pixels of type {array.dtype}", "grey values", "save channels apart, as numbers")
    if array.size == 0:
        raise BadInput(path, f"shape {array.shape}", "at least one pixel", "remove the row")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise BadInput(path, f"{bad} pixels that are NaN or infinite", "finite numbers", "repair or drop the image")
    return Raster(array, spacing, path)


def read_label(path: str | Path, dims: int) -> Raster:
    """Read a label image: one channel of integers; the array has shape (*spatial).

    Raises
    ------
    BadInput
        As `read`, and if there are several channels or values that are no integers.
    """
    raster = read(path, dims)
    array = raster.array
    if len(array) != 1:
        raise BadInput(
            path, f"{len(array)} channels", "a label image of one channel", "save ids or classes, no colours"
        )
    whole = array.dtype.kind in "iub" or (suffix_of(raster.path).lower().startswith(".nii") and _integral(array))
    if not whole:
        raise BadInput(path, f"labels of type {array.dtype}", "integers", "round them and save as uint8 or uint16")
    return replace(raster, array=array[0] if array.dtype.kind in "iu" else array[0].astype(np.int64))


def write_labels(path: Path, labels: np.ndarray, source: Raster) -> None:
    """Write labels of shape (*spatial) in the format and geometry of `source`.

    Raises
    ------
    BadInput
        If the format cannot hold the largest id.
    """
    FORMATS[suffix_of(source.path).lower()].write(path, labels, source)


def require_same_shape(image: Raster, label: Raster) -> None:
    """Raise BadInput unless image and label cover the same pixels."""
    if image.array.shape[1:] != label.array.shape:
        raise BadInput(
            label.path, f"shape {label.array.shape}", f"{image.array.shape[1:]}, the shape of {image.path}",
            "pair each image with its own label",
        )  # fmt: skip


def _integral(array: np.ndarray) -> bool:
    return bool((array == np.rint(array)).all())


def _canonical(path: Path, array: np.ndarray, axes: str, spacing: tuple[float, ...], dims: int):
    """Bring axes named by letters to (channel, *spatial), without those of length 1 that nobody asked for."""
    size_of = dict(zip((letter for letter in axes if letter in SPATIAL), spacing, strict=True))
    for letter in sorted(axes, key="Z".find, reverse=True):  # a stack of one slice is a plane
        axis = axes.index(letter)
        too_many = sum(a in SPATIAL for a in axes) > dims if letter in SPATIAL else letter != "C"
        if too_many and array.shape[axis] == 1:
            array, axes = array.squeeze(axis), axes[:axis] + axes[axis + 1 :]
    spatial = [letter for letter in axes if letter in SPATIAL]
    if len(spatial) != dims or set(axes) - set(SPATIAL) not in (set(), {"C"}) or len(set(axes)) < len(axes):
        raise BadInput(
            path,
            f"shape {array.shape} with axes '{axes}'",
            f"{dims} spatial axes and at most one of channels",
            "set spatial_dims, or save the file with its axes named",
        )
    array = np.moveaxis(array, axes.index("C"), 0) if "C" in axes else array[None]
    return array, tuple(size_of[letter] for letter in spatial)
