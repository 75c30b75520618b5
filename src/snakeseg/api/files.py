"""Read images and label images, write label images."""

from pathlib import Path

import numpy as np

from snakeseg.errors import BadInput
from snakeseg.io import images
from snakeseg.io.files import atomic_output
from snakeseg.io.formats import label_suffix, suffix_of
from snakeseg.io.raster import Raster
from snakeseg.transforms.argument_checks import require_labels


def read_image(path: str | Path, spatial_dims: int = 2) -> Raster:
    """Read an image or volume of any supported format into memory.

    Parameters
    ----------
    path : str or path
        Image file, OME-Zarr or DICOM folder; several single-channel files, separated by ";", become one image.
    spatial_dims : {2, 3}
        Number of spatial axes.

    Returns
    -------
    Raster
        `array`, shape (channels, *spatial), in the file's dtype; `spacing`, the pixel size along each spatial axis in
        micrometres, of files with an affine in millimetres; `unknown`, the axes whose size the file does not state (as
        the finest other one, or 1); `axes`, the letters of the spatial axes: "yx" or "zyx", of files with an affine
        "xyz" in that order.

    Raises
    ------
    BadInput
        If the file is missing, damaged, of unknown format or other dimensions, or has NaN or infinite pixels.
    BadInputs
        If several files do not make one image: every problem.

    Examples
    --------
    >>> image = snakeseg.read_image("results/demo/simulated/images/cells-00.tif")
    >>> image.array.shape, image.array.dtype.name, image.spacing, image.axes
    ((1, 256, 256), 'uint8', (1.0, 1.0), 'yx')
    """
    _require_spatial_dims(spatial_dims)
    return images.read(path, spatial_dims)


def read_labels(path: str | Path, spatial_dims: int = 2) -> Raster:
    """Read a label image: ids of instances, or values of classes.

    Parameters
    ----------
    path : str or path
        Label file of one channel of integers.
    spatial_dims : {2, 3}
        Number of spatial axes.

    Returns
    -------
    Raster
        As from `read_image`, but `array` is an integer array of shape (*spatial), without channels.

    Raises
    ------
    BadInput
        As `read_image`, and if there are several channels or values that are not integers.

    Examples
    --------
    >>> labels = snakeseg.read_labels("results/demo/simulated/labels/cells-00.tif")
    >>> labels.array.shape, labels.array.dtype.name
    ((256, 256), 'uint16')
    """
    _require_spatial_dims(spatial_dims)
    return images.read_label(path, spatial_dims)


def write_labels(path: str | Path, labels: np.ndarray, like: Raster) -> None:
    """Write labels in the format and geometry of the image they belong to.

    Parameters
    ----------
    path : str or path
        File to write, replaced only when complete. Its suffix must be one for labels of the format of `like`.
    labels : array of non-negative integers, shape (*spatial)
        In the axis order of `like`.
    like : Raster
        From `read_image` or `read_labels`: the format, pixel size and affine are copied from its file.

    Raises
    ------
    BadInput
        If `labels` has another shape than the image, no integer dtype or negative values; if the suffix is that of
        another format, or the format cannot hold the largest id.

    Examples
    --------
    >>> snakeseg.write_labels("cells.tif", labels.array, like=image)
    >>> bool((snakeseg.read_labels("cells.tif").array == labels.array).all())
    True
    """
    path, labels = Path(path), require_labels(labels, "labels")
    shape = like.array.shape[-len(like.spacing) :]
    if labels.shape != shape:
        raise BadInput("labels", f"shape {labels.shape}", f"{shape}, as {like.path}", "pass the labels of that image")
    suffix = label_suffix(like.path)
    if suffix_of(path).lower() != suffix.lower():
        raise BadInput(path, f"format '{suffix_of(path)}'", f"'{suffix}', the format of the image", "change the suffix")
    if labels.dtype.kind == "i":
        labels = labels.astype(np.min_scalar_type(labels.max()))
    with atomic_output(path) as beside:
        images.write_labels(beside, labels, like)


def _require_spatial_dims(spatial_dims: int) -> None:
    if spatial_dims not in (2, 3):
        raise BadInput("spatial_dims", f"{spatial_dims!r}", "2 or 3", "change the argument spatial_dims")
