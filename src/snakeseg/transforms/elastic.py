"""Elastic deformation: draw a random displacement field and apply it to image, labels and weights."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from scipy import ndimage
from scipy.interpolate import CubicSpline

from snakeseg.transforms.argument_checks import require_at_least, require_image, require_labels, require_spacing

# Largest image side in pixels for OpenCV, whose remapping uses 16-bit coordinates.
OPENCV_MAX_SIDE = 32_000
# Integer types that OpenCV remaps without conversion.
OPENCV_INTEGERS = (np.uint8, np.uint16, np.int16)
# Largest standard deviation of a displacement, as a share of the distance between control points: beyond it, fields
# begin to fold (at 0.1 none of 1,000 fields of 3 x 3 or 3 x 3 x 3 points does, at 0.2 every eighth in 2D).
MAX_STD_SHARE = 0.1
# Order of the interpolation of intensities, by number of axes: cubic in planes, linear in volumes.
IMAGE_ORDER = {2: 3, 3: 1}


def elastic_deform(
    image: np.ndarray,
    labels: np.ndarray,
    std: float = 10.0,
    points: int = 3,
    spacing: Sequence[float] | None = None,
    rng: np.random.Generator | int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Deform an image and its labels by one random elastic displacement field.

    The same computation as the workflow's elastic copies: displacements are drawn on a coarse grid and interpolated
    by natural cubic splines; both arrays are mirrored at the border.

    Parameters
    ----------
    image : array, shape (channels, *spatial) or (*spatial)
        Intensities; spatial axes are (y, x) or (z, y, x). Interpolated cubically in 2D, linearly in 3D.
    labels : integer array, shape (*spatial)
        Ids or classes. Each output pixel takes the nearest label, so no new values appear.
    std : float
        Standard deviation of the displacements, in pixels of the finest axis; limited as in `sample_grid`.
    points : int
        Control points along each axis, at least 2.
    spacing : sequence of float, optional
        Pixel size along each axis; only ratios matter. 1 everywhere by default.
    rng : Generator or int, optional
        Source of the displacements, or its seed. Without it every call differs.

    Returns
    -------
    image, labels : arrays
        Of the shapes and dtypes of the input.

    Raises
    ------
    BadInput
        If shapes do not fit each other, `labels` has no integer dtype, `image` has NaN, or a number is out of range.

    References
    ----------
    Ronneberger et al. 2015, "U-Net", section 3.1, doi 10.1007/978-3-319-24574-4_28.

    Examples
    --------
    >>> moved, moved_labels = snakeseg.elastic_deform(image.array, labels.array, std=6, rng=0)
    >>> moved.shape == image.array.shape, moved_labels.dtype == labels.array.dtype
    (True, True)
    """
    labels = require_labels(labels, "labels", negative=True)
    image = require_image(image, "image", labels.shape)
    require_at_least("std", std, 0)
    require_at_least("points", points, 2)
    spacing = require_spacing(spacing, labels.ndim)
    field = sample_field(np.random.default_rng(rng), labels.shape, points, std, spacing)
    return apply_field(image, field, IMAGE_ORDER[labels.ndim]), apply_field(labels, field, 0)


def sample_field(
    rng: np.random.Generator, shape: Sequence[int], points: int, std: float, spacing: Sequence[float]
) -> np.ndarray:
    """Draw a displacement field for an image; `std` is in pixels of the finest axis."""
    return displacement_field(sample_grid(rng, shape, points, in_pixels(std, spacing)), shape)


def in_pixels(size: float, spacing: Sequence[float]) -> list[float]:
    """Convert a length from pixels of the finest axis to pixels of each axis."""
    return [size * min(spacing) / step for step in spacing]


def sample_grid(
    rng: np.random.Generator, shape: Sequence[int], points: int = 3, std: float | Sequence[float] = 10.0
) -> np.ndarray:
    """Draw random displacements for a coarse grid of control points (Ronneberger et al. 2015, section 3.1).

    Parameters
    ----------
    rng : Generator
    shape : sequence of int
        Spatial shape of the image.
    points : int
        Number of control points along each axis.
    std : float or sequence of float
        Standard deviation of the displacements in pixels; for all axes, or one value per axis. Along each axis it is at
        most `MAX_STD_SHARE` of the distance between control points, so that small images do not fold. The paper's 10
        pixels reach this limit below 201 pixels.

    Returns
    -------
    float32 array, shape (dims, points, ..., points)
        Normally distributed with mean 0; axis 0 is the direction of the displacement.
    """
    dims = len(shape)
    limits = [largest_std(size, points) for size in shape]
    scale = np.minimum(np.broadcast_to(std, (dims,)), limits).reshape(-1, *(1,) * dims)
    return rng.normal(0.0, scale, (dims, *(points,) * dims)).astype(np.float32)


def largest_std(size: int, points: int) -> float:
    """Return the largest standard deviation of displacements along an axis of `size` pixels, in pixels."""
    return MAX_STD_SHARE * (size - 1) / (points - 1)


def displacement_field(
    grid: np.ndarray, shape: Sequence[int], pixels: Sequence[np.ndarray] | None = None
) -> np.ndarray:
    """Compute the source coordinates of pixels from a coarse grid that spans the image from corner to corner.

    Parameters
    ----------
    grid : float array, shape (dims, *points)
        Displacements of the control points in pixels.
    shape : sequence of int
        Spatial shape of the image.
    pixels : sequence of int array, optional
        Indices along each axis for which the field is computed. Default: all pixels.

    Returns
    -------
    float32 array, shape (dims, *pixels)
        Pixel coordinates ``x + displacement(x)``. The displacement is a tensor product of natural cubic splines
        through the control points (bicubic in 2D).
    """
    knots = [np.linspace(0, max(size - 1, 1), points) for size, points in zip(shape, grid.shape[1:], strict=True)]
    # Cubic splines reproduce straight lines, so the coordinates x can be added on the coarse grid.
    field = (grid + np.stack(np.meshgrid(*knots, indexing="ij"))).astype(np.float32)
    for axis in range(len(shape) - 1, -1, -1):
        basis = _spline_basis(len(knots[axis]), shape[axis])
        basis = basis if pixels is None else basis[pixels[axis]]
        before, after = field.shape[: axis + 1], field.shape[axis + 2 :]
        field = basis @ field.reshape(-1, basis.shape[1], int(np.prod(after)))
        field = field.reshape(*before, len(basis), *after)
    return field


@lru_cache(64)
def _spline_basis(points: int, size: int) -> np.ndarray:
    """Return the spline weights of the control points at each pixel of an axis, shape (size, points)."""
    knots = np.linspace(0, max(size - 1, 1), points)
    return CubicSpline(knots, np.eye(points), bc_type="natural")(np.arange(size)).astype(np.float32)


def apply_field(array: np.ndarray, field: np.ndarray, order: int) -> np.ndarray:
    """Interpolate an array at the coordinates of a displacement field, with mirroring at the border.

    Parameters
    ----------
    array : array, shape (*spatial) or (channels, *spatial)
        Any integer or float dtype.
    field : float32 array, shape (dims, *output)
        Source coordinates from `displacement_field`, or a part of them.
    order : {0, 1, 3}
        Interpolation: 0 nearest neighbour (for labels), 1 linear, 3 cubic.

    Returns
    -------
    array, shape (*output) or (channels, *output)
        In the dtype of `array`.

    Raises
    ------
    ValueError
        If array and field have different numbers of spatial axes.
    """
    if array.ndim == field.shape[0] + 1:
        return np.stack([apply_field(channel, field, order) for channel in array])
    if array.ndim != field.shape[0]:
        raise ValueError(f"array of {array.ndim} axes, field for {field.shape[0]}; they must be equal")
    if array.ndim == 2 and max(array.shape) <= OPENCV_MAX_SIDE:
        return _remap(array, field, order)
    coordinates = np.rint(field) if order == 0 else field
    return ndimage.map_coordinates(array, coordinates, order=order, mode="mirror")


def _remap(array: np.ndarray, field: np.ndarray, order: int) -> np.ndarray:
    """Interpolate in 2D by OpenCV, ten times as fast as splines; order 3 is a 4 x 4 convolution kernel."""
    if order == 0:
        return _remap_nearest(array, field)
    method = {1: cv2.INTER_LINEAR, 3: cv2.INTER_CUBIC}[order]
    pixels = array.astype(np.float32, copy=False)
    deformed = cv2.remap(pixels, field[1], field[0], method, borderMode=cv2.BORDER_REFLECT_101)
    if array.dtype.kind in "iu":
        limits = np.iinfo(array.dtype)
        deformed = np.clip(np.rint(deformed), limits.min, limits.max)
    return deformed.astype(array.dtype, copy=False)


def _remap_nearest(array: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Interpolate by nearest neighbour; 32-bit integers are viewed as float32, so that ids above 2**24 stay exact."""
    if array.dtype.itemsize > 4:
        return ndimage.map_coordinates(array, np.rint(field), order=0, mode="mirror")
    converted = array
    if array.dtype not in OPENCV_INTEGERS:
        converted = array.astype(np.float32 if array.dtype.kind == "f" else np.int32, copy=False)
    bits = converted.view(np.float32) if converted.itemsize == 4 else converted
    deformed = cv2.remap(bits, field[1], field[0], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
    return deformed.view(converted.dtype).astype(array.dtype, copy=False)
