"""Checks of array arguments that come from Python code rather than from files; each raises BadInput."""

import math
from collections.abc import Sequence

import numpy as np

from snakeseg.errors import BadInput


def require_labels(labels, where: str, negative: bool = False) -> np.ndarray:
    """Return a label image as an array, shape (*spatial), after checking its axes, dtype and sign.

    Parameters
    ----------
    labels : array-like of integers
    where : str
        Name of the argument, for the message.
    negative : bool
        Accept negative values, which may mark ignored pixels.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        remedy = "convert it, for instance by .astype('int32')"
        raise BadInput(where, f"dtype {labels.dtype}", "an integer dtype", remedy)
    if labels.ndim not in (2, 3) or labels.size == 0:
        raise BadInput(where, f"shape {labels.shape}", "axes (y, x) or (z, y, x), no side 0", "index or squeeze it")
    if not negative and labels.min() < 0:
        remedy = "set the pixels to 0, or to the value of labels.ignore"
        raise BadInput(where, f"the negative value {labels.min()}", "0 for background, and positive ids", remedy)
    return labels


def require_image(image, where: str, shape: Sequence[int]) -> np.ndarray:
    """Return an image as an array, after checking that it is finite and covers the pixels of its labels.

    Parameters
    ----------
    image : array-like, shape (*shape) or (channels, *shape)
    where : str
        Name of the argument, for the message.
    shape : sequence of int
        Shape of the labels.
    """
    image = np.asarray(image)
    if image.dtype.kind not in "biuf":
        raise BadInput(where, f"dtype {image.dtype}", "an integer or float dtype", "convert it by .astype")
    if image.shape[image.ndim - len(shape) :] != tuple(shape) or image.ndim > len(shape) + 1:
        expected = f"{tuple(shape)} as the labels, with or without channels before it"
        raise BadInput(where, f"shape {image.shape}", expected, "pair the arrays of one image, or move the channels")
    require_finite(image, where)
    return image


def require_finite(values: np.ndarray, where: str) -> np.ndarray:
    """Return intensities unchanged; raise BadInput if any is NaN or infinite."""
    if values.dtype.kind == "f" and (bad := int(np.count_nonzero(~np.isfinite(values)))):
        remedy = "replace them, for instance by numpy.nan_to_num"
        raise BadInput(where, f"{bad} pixels that are NaN or infinite", "finite numbers", remedy)
    return values


def require_spacing(spacing: Sequence[float] | None, dims: int) -> tuple[float, ...]:
    """Return the pixel size along each of `dims` axes, 1 by default; raise BadInput unless all are positive."""
    if spacing is None:
        return (1.0,) * dims
    if len(spacing) != dims:
        remedy = "give one number per spatial axis, in the order of the array's axes"
        raise BadInput("spacing", f"{len(spacing)} numbers", f"{dims}", remedy)
    for size in spacing:
        require_positive("spacing", size)
    return tuple(map(float, spacing))


def require_positive(where: str, number: float) -> None:
    """Raise BadInput unless a number is positive and finite."""
    if not 0 < number < math.inf:
        raise BadInput(where, f"{number}", "a positive number", f"change the argument {where}")


def require_at_least(where: str, number: float, lowest: float) -> None:
    """Raise BadInput unless a number is finite and not below a limit."""
    if not lowest <= number < math.inf:
        raise BadInput(where, f"{number}", f"a number of at least {lowest}", f"change the argument {where}")
