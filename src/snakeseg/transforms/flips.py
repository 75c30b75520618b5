"""Flips and quarter turns for augmentation in training and test-time augmentation in prediction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

# Largest ratio of the pixel sizes of two axes that may be exchanged.
MAX_SPACING_RATIO = 1.1


@dataclass(frozen=True)
class Symmetry:
    """Flips and axis exchanges under which images are equally likely.

    Parameters
    ----------
    flips : tuple of int
        Spatial axes (from 0) that may be flipped.
    plane : tuple of (int, int), optional
        Spatial axes that may be exchanged. Together with flips of both, exchanges give the quarter turns.
    """

    flips: tuple[int, ...] = ()
    plane: tuple[int, int] | None = None


def any_symmetry(dims: int) -> Symmetry:
    """Return the symmetry with flips of all axes and exchanges of the last two."""
    return Symmetry(tuple(range(dims)), (dims - 2, dims - 1))


def symmetry_of(flips: bool | Sequence[int], turns: bool, spacing: Sequence[float], patch: Sequence[int]) -> Symmetry:
    """Return the symmetry that the settings allow.

    Parameters
    ----------
    flips : bool or sequence of int
        True for flips of all axes, False for none, or the axes to flip.
    turns : bool
        True to exchange the last pair of axes with similar pixel size and equal patch size, if there is one.
    spacing : sequence of float
        Pixel size along each axis.
    patch : sequence of int
        Side lengths of a patch in pixels.
    """
    dims = len(spacing)
    axes = tuple(range(dims)) if flips is True else tuple(sorted(flips or ()))
    exchangeable = [
        (a, b)
        for a, b in combinations(range(dims), 2)
        if patch[a] == patch[b] and max(spacing[a], spacing[b]) <= MAX_SPACING_RATIO * min(spacing[a], spacing[b])
    ]
    return Symmetry(axes, exchangeable[-1] if turns and exchangeable else None)


def orientations(symmetry: Symmetry) -> Iterator[tuple[bool, tuple[int, ...]]]:
    """Enumerate the orientations of an image, at most 8 in 2D and 16 in 3D.

    Yields
    ------
    is_exchanged : bool
        True to exchange the axes of the symmetry's plane.
    flips : tuple of int
        Axes to flip. The first orientation is the identity.
    """
    for is_exchanged in (False, True)[: 2 if symmetry.plane else 1]:
        for code in range(2 ** len(symmetry.flips)):
            yield is_exchanged, tuple(axis for bit, axis in enumerate(symmetry.flips) if code >> bit & 1)
