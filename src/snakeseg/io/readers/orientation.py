"""Volumes in the closest canonical orientation (x to the right, y to the front, z to the top: RAS+) and back."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from nibabel.orientations import io_orientation

from snakeseg.arrays import Lazy, Region


class Turn(NamedTuple):
    """How axes are exchanged and reversed.

    Parameters
    ----------
    order : tuple of int
        The old axis that each new one is made of.
    flips : tuple of bool
        Whether the new axis runs against it.
    """

    order: tuple[int, ...]
    flips: tuple[bool, ...]

    @property
    def back(self) -> "Turn":
        """The turn that undoes this one."""
        order = [self.order.index(axis) for axis in range(len(self.order))]
        return Turn(tuple(order), tuple(self.flips[axis] for axis in order))


def to_canonical(affine: np.ndarray) -> Turn:
    """The turn that brings each axis of a volume as close as it gets to right, front and top.

    Parameters
    ----------
    affine : array, shape (4, 4)
        From indices to the world; invertible.
    """
    found = io_orientation(affine)
    order = np.argsort(found[:, 0])
    return Turn(tuple(order.tolist()), tuple((found[order, 1] < 0).tolist()))


def turned(array, turn: Turn) -> Lazy:
    """An array-like with its first axes turned; what is asked for is read and turned, and no more."""
    rest = tuple(range(len(turn.order), len(array.shape)))
    order = (*turn.order, *rest)
    against = tuple(axis for axis, flip in enumerate(turn.flips) if flip)
    chunks = getattr(array, "chunks", None)

    def read(region: Region) -> np.ndarray:
        old: list[slice] = [slice(None)] * len(order)
        for axis, (source, part) in enumerate(zip(order, region, strict=True)):
            size = array.shape[source]
            old[source] = slice(size - part.stop, size - part.start) if axis in against else part
        found = array[tuple(old)].transpose(order)
        return np.flip(found, against).copy("K") if against else found  # strides below zero are not for all

    return Lazy(
        tuple(array.shape[axis] for axis in order), array.dtype, read, chunks and tuple(chunks[axis] for axis in order)
    )


def with_axes(array, shape: list[int]) -> Lazy:
    """An array-like of this shape but for axes of length 1 that it lacks."""
    dropped: list[int] = []
    for axis in reversed(range(len(shape))):
        if shape[axis] == 1 and len(shape) - len(dropped) > len(array.shape):
            dropped.append(axis)

    def read(region: Region) -> np.ndarray:
        found = array[tuple(part for axis, part in enumerate(region) if axis not in dropped)]
        return np.expand_dims(found, dropped)

    return Lazy(tuple(shape), array.dtype, read)


def turned_affine(affine: np.ndarray, shape: Sequence[int], turn: Turn) -> np.ndarray:
    """The affine of the turned volume, from that of the volume of this shape; shape (4, 4)."""
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1
    for new, (old, flip) in enumerate(zip(turn.order, turn.flips, strict=True)):
        to_old[old, new] = -1 if flip else 1
        to_old[old, 3] = shape[old] - 1 if flip else 0
    return affine @ to_old


def stretched_affine(affine: np.ndarray, shape: Sequence[int], other: Sequence[int]) -> np.ndarray:
    """The affine of another grid over the same extent, of another shape; shape (4, dims + 1), as it came."""
    zoom = np.divide(shape, other)
    to_old = np.diag([*zoom, 1.0])
    to_old[:-1, -1] = (zoom - 1) / 2  # indices are of the pixels' centres
    return affine @ to_old
