"""Images and label images with their geometry: whether two of them lie on one grid, and how to bring them to one."""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from snakeseg.arrays import Lazy
from snakeseg.errors import BadInput
from snakeseg.io.formats import reader_name
from snakeseg.io.readers.orientation import AxisPermutation, turned

# Largest distance between corresponding corners of two images on one grid, in pixels.
MAX_OFFSET_PIXELS = 0.1
# Orders of the axes of files with and without an affine that can be brought to one order, by number of axes.
AXES_WITH_AFFINE, AXES_WITHOUT_AFFINE = {2: "xy", 3: "xyz"}, {2: "yx", 3: "zyx"}


@dataclass(frozen=True)
class Raster:
    """Image or label image with its geometry.

    Parameters
    ----------
    array : array or Lazy, shape (channels, *spatial)
        The spatial axes are (y, x) or (z, y, x); for formats with an affine (x, y, z), to the right, front and top.
    spacing : tuple of float
        Pixel size along each spatial axis: in millimetres for formats with an affine, in micrometres for others. Along
        an axis without a stated size, that of the finest other axis is assumed; without any, 1.
    path : Path
        File of the image, the first if there are several; label files take their format and header from it.
    axes : str
        Letters of the spatial axes, such as "zyx".
    affine : array, shape (4, dims + 1), optional
        Maps indices to world coordinates, for formats with an affine.
    unknown : str
        Letters of the axes whose pixel size the file does not state.
    doubt : str
        How two statements of the pixel size in the file contradict each other; "" if they do not.
    rounded : float
        Largest distance of a value in the file from the whole number that it became, for label images.
    palette : array, shape (entries, 3), optional
        Colours, if the pixels are indices of a palette, as in label images.
    """

    array: np.ndarray | Lazy
    spacing: tuple[float, ...]
    path: Path
    axes: str = ""
    affine: np.ndarray | None = None
    unknown: str = ""
    doubt: str = ""
    rounded: float = 0.0
    palette: np.ndarray | None = None

    @property
    def sides(self) -> tuple[int, ...]:
        """Shape without channels."""
        return self.array.shape[-len(self.spacing) :]


def fit_to_image(image: Raster, label: Raster) -> Raster:
    """Bring a label image to the axes of its image.

    A file without an affine lies where ITK, and so ITK-SNAP and 3D Slicer, shows it: its first pixel at the origin,
    columns to the left, rows to the back, planes to the top. A label drawn there and saved with an affine therefore
    has the axes (x, y, z) in place of (z, y, x), and is read with x and y reversed. Files with other affines are
    refused, as their pixels cannot be assigned to each other.

    Parameters
    ----------
    image : Raster
    label : Raster
        With or without a channel axis; its array may be lazy.

    Returns
    -------
    Raster
        The label with the axes of the image; itself if both files have an affine, or neither.

    Raises
    ------
    BadInput
        If the axes cannot be brought to one order, or as `require_same_shape`.
    """
    if (image.affine is None) != (label.affine is None):
        _require_itk_axes(image, label)
        array, affine = _reversed_axes(label.array, len(label.spacing), image.axes), image.affine
        label = replace(label, array=array, spacing=label.spacing[::-1], axes=image.axes, affine=affine)
    require_same_shape(image, label)
    return label


def _require_itk_axes(image: Raster, label: Raster) -> None:
    """Raise BadInput unless the one affine of two files is that which ITK gives to files without one."""
    volume, plain = (label, image) if image.affine is None else (image, label)
    dims = len(volume.spacing)
    if (volume.axes, plain.axes) == (AXES_WITH_AFFINE[dims], AXES_WITHOUT_AFFINE[dims]):
        offset = _corner_distance(volume.affine, _itk_affine(volume), volume.sides)
        if offset <= MAX_OFFSET_PIXELS * min(volume.spacing):
            return
    found, expected = map(_describe_axes, (label, image))
    raise BadInput(
        label.path, f"axes {found}", f"the axes {expected} of {image.path}",
        "draw the label on this image in ITK-SNAP or 3D Slicer, or save both in one format",
    )  # fmt: skip


def _describe_axes(raster: Raster) -> str:
    """Describe the order of the axes and, with an affine, the position of the first pixel, for messages."""
    order = ", ".join(raster.axes)
    if raster.affine is None:
        return f"{order} without an affine"
    origin = ", ".join(f"{number:g}" for number in raster.affine[:3, -1])
    return f"{order} with an affine (to the right, front and top from {origin} mm)"


def _itk_affine(volume: Raster) -> np.ndarray:
    """Return the affine that ITK gives to a file without one, for axes to the right, front and top.

    Parameters
    ----------
    volume : Raster
        With the axes (x, y) or (x, y, z).

    Returns
    -------
    array, shape (4, dims + 1)
    """
    dims = len(volume.spacing)
    affine = np.zeros((4, dims + 1))
    affine[range(dims), range(dims)] = volume.spacing
    # ITK's x and y run to the left and to the back, so that the last pixel lies at their negative end.
    affine[:2, -1] = [(1 - n) * size for n, size in zip(volume.sides[:2], volume.spacing[:2], strict=True)]
    affine[3, -1] = 1
    return affine


def _reversed_axes(array: np.ndarray | Lazy, dims: int, axes: str) -> np.ndarray | Lazy:
    """Reverse the order of the last `dims` axes to the order `axes`, and the direction of x and y."""
    before = len(array.shape) - dims
    order = (*range(before), *range(before + dims - 1, before - 1, -1))
    array_turned = turned(array, AxisPermutation(order, (False,) * before + tuple(a in "xy" for a in axes)))
    return array_turned if isinstance(array, Lazy) else array_turned[:]


def require_same_shape(image: Raster, label: Raster) -> None:
    """Raise BadInput unless image and label have the same shape, and the same position if both have an affine."""
    if label.sides != image.sides:
        expected = f"{image.sides}, the shape of {image.path}"
        remedy = "pair the files of one image, or resample one of them"
        raise BadInput(label.path, f"shape {label.sides}", expected, remedy)
    if image.affine is not None and label.affine is not None and not has_same_geometry(image, label):
        raise BadInput(
            label.path, f"pixels up to {_distance(image, label):.3g} mm away from those of {image.path}",
            "the same position", "resample it onto that file, or correct sform and qform of the wrong file",
        )  # fmt: skip


def has_same_geometry(image: Raster, label: Raster) -> bool:
    """Return True unless two files of one shape state different positions or pixel sizes of their pixels."""
    if image.affine is not None and label.affine is not None:
        return _distance(image, label) <= MAX_OFFSET_PIXELS * min(image.spacing)
    if reader_name(image.path) != reader_name(label.path):
        return True
    if {1.0} in (set(image.spacing), set(label.spacing)):  # the convention for unknown sizes
        return True
    unknown = {*image.unknown, *label.unknown}
    sizes = zip(image.axes.ljust(len(image.spacing)), image.spacing, label.spacing, strict=True)
    return all(np.isclose(own, other, rtol=0.01) for axis, own, other in sizes if axis not in unknown)


def _distance(image: Raster, label: Raster) -> float:
    """Return the largest distance between corresponding corners of two volumes of one shape, in world units."""
    return _corner_distance(image.affine, label.affine, image.sides)


def _corner_distance(affine: np.ndarray, other: np.ndarray, sides: tuple[int, ...]) -> float:
    corners = np.array([[*corner, 1] for corner in product(*((0, n - 1) for n in sides))])
    return float(np.linalg.norm(((affine - other) @ corners.T)[:3], axis=0).max())
