"""One way in and one way out for every image format."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from snakeseg.errors import BadInput
from snakeseg.io import nifti, png, tiff

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
    """Bring axes to (channel, *spatial). Capital letters in `axes` are spatial, C is the channel, anything else is not
    understood; axes of length 1 beyond the wanted ones are dropped."""
    spatial = [i for i, letter in enumerate(axes) if letter in "XYZ"]
    keep = [i for i in range(array.ndim) if array.shape[i] > 1 or (i in spatial and len(spatial) <= dims)]
    for i in spatial:  # a stack of one slice is a plane
        if len([k for k in spatial if k in keep]) > dims and array.shape[i] == 1 and i in keep:
            keep.remove(i)
    shape, letters = [array.shape[i] for i in keep], "".join(axes[i] for i in keep)
    channel = [i for i in keep if axes[i] == "C"]
    wanted = [i for i in keep if i in spatial]
    if len(wanted) != dims or len(channel) > 1 or len(channel) + len(wanted) != len(keep):
        raise BadInput(
            path,
            f"shape {tuple(shape)} with axes '{letters}'",
            f"{dims} spatial axes and at most one of channels",
            "set spatial_dims, or save the file with its axes named",
        )
    spacing = tuple(spacing[spatial.index(i)] for i in wanted)
    order = channel + wanted
    dropped = tuple(i for i in range(array.ndim) if i not in order)
    array = np.squeeze(array, dropped)
    array = np.transpose(array, [sorted(order).index(i) for i in order])
    return (array if channel else array[None]), spacing
