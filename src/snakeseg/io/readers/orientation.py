"""Reorder the axes of volumes to the closest canonical orientation (RAS+: x right, y front, z top), and back."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from nibabel.orientations import io_orientation

from snakeseg.arrays import Lazy, Region


class AxisPermutation(NamedTuple):
    """Permutation and reversal of axes.

    Parameters
    ----------
    order : tuple of int
        Index of the old axis for each new axis.
    flips : tuple of bool
        True for each new axis that runs in the opposite direction of the old one.
    """

    order: tuple[int, ...]
    flips: tuple[bool, ...]

    @property
    def back(self) -> "AxisPermutation":
        """The inverse of this turn."""
        order = [self.order.index(axis) for axis in range(len(self.order))]
        return AxisPermutation(tuple(order), tuple(self.flips[axis] for axis in order))


def to_canonical(affine: np.ndarray) -> AxisPermutation:
    """Compute the turn that brings the axes of a volume as close as possible to right, front and top.

    Parameters
    ----------
    affine : array, shape (4, 4)
        Maps indices to world coordinates; invertible.
    """
    orientation = io_orientation(affine)
    order = np.argsort(orientation[:, 0])
    return AxisPermutation(tuple(order.tolist()), tuple((orientation[order, 1] < 0).tolist()))


def turned(array, turn: AxisPermutation) -> Lazy:
    """Turn the first axes of an array-like lazily: a region is read and turned on demand."""
    rest = tuple(range(len(turn.order), len(array.shape)))
    order = (*turn.order, *rest)
    flipped = tuple(axis for axis, flip in enumerate(turn.flips) if flip)
    chunks = getattr(array, "chunks", None)

    def read(region: Region) -> np.ndarray:
        old: list[slice] = [slice(None)] * len(order)
        for axis, (source, part) in enumerate(zip(order, region, strict=True)):
            size = array.shape[source]
            old[source] = slice(size - part.stop, size - part.start) if axis in flipped else part
        pixels = array[tuple(old)].transpose(order)
        return np.flip(pixels, flipped).copy("K") if flipped else pixels  # some libraries reject negative strides

    return Lazy(
        tuple(array.shape[axis] for axis in order), array.dtype, read, chunks and tuple(chunks[axis] for axis in order)
    )


def with_axes(array, shape: list[int]) -> Lazy:
    """Insert axes of length 1 into an array-like so that it has this shape, lazily."""
    dropped: list[int] = []
    for axis in reversed(range(len(shape))):
        if shape[axis] == 1 and len(shape) - len(dropped) > len(array.shape):
            dropped.append(axis)

    def read(region: Region) -> np.ndarray:
        pixels = array[tuple(part for axis, part in enumerate(region) if axis not in dropped)]
        return np.expand_dims(pixels, dropped)

    return Lazy(tuple(shape), array.dtype, read)


def turned_affine(affine: np.ndarray, shape: Sequence[int], turn: AxisPermutation) -> np.ndarray:
    """Compute the affine of a turned volume.

    Parameters
    ----------
    affine : array, shape (4, 4)
        Affine of the volume before the turn.
    shape : sequence of int
        Shape of the volume before the turn.
    turn : Turn

    Returns
    -------
    array, shape (4, 4)
    """
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1
    for new, (old, flip) in enumerate(zip(turn.order, turn.flips, strict=True)):
        to_old[old, new] = -1 if flip else 1
        to_old[old, 3] = shape[old] - 1 if flip else 0
    return affine @ to_old


def stretched_affine(affine: np.ndarray, shape: Sequence[int], other: Sequence[int]) -> np.ndarray:
    """Compute the affine of a grid of another shape over the same extent.

    Parameters
    ----------
    affine : array, shape (4, dims + 1)
    shape, other : sequence of int
        Old and new shape, without channels.

    Returns
    -------
    array, shape (4, dims + 1)
    """
    zoom = np.divide(shape, other)
    to_old = np.diag([*zoom, 1.0])
    to_old[:-1, -1] = (zoom - 1) / 2  # indices refer to the centres of pixels
    return affine @ to_old
