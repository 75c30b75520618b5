"""Flips and turns that leave an image as likely as it was: drawn in training, averaged over in predicting."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

# Axes may be exchanged whose pixels differ by less than this factor.
ALIKE = 1.1


@dataclass(frozen=True)
class Symmetry:
    """Spatial axes, counted from 0.

    Parameters
    ----------
    flips : tuple of int
        Axes that may be flipped.
    plane : tuple of (int, int), optional
        Axes that may be exchanged; with the flips of both, these are the quarter turns.
    """

    flips: tuple[int, ...] = ()
    plane: tuple[int, int] | None = None


def any_symmetry(dims: int) -> Symmetry:
    """All flips, and exchanges of the last two axes."""
    return Symmetry(tuple(range(dims)), (dims - 2, dims - 1))


def symmetry_of(flips: bool | Sequence[int], turns: bool, spacing: Sequence[float], patch: Sequence[int]) -> Symmetry:
    """The symmetry that settings allow for pixels and patches of this size.

    Parameters
    ----------
    flips : bool or sequence of int
        All axes, none, or these.
    turns : bool
        Whether two axes may be exchanged: the last two that are alike, if there are any.
    spacing : sequence of float
    patch : sequence of int
    """
    dims = len(spacing)
    axes = tuple(range(dims)) if flips is True else tuple(sorted(flips or ()))
    alike = [
        (a, b)
        for a, b in combinations(range(dims), 2)
        if patch[a] == patch[b] and max(spacing[a], spacing[b]) <= ALIKE * min(spacing[a], spacing[b])
    ]
    return Symmetry(axes, alike[-1] if turns and alike else None)


def orientations(symmetry: Symmetry) -> Iterator[tuple[bool, tuple[int, ...]]]:
    """Pairs (whether to exchange the plane's axes, axes to flip), the identity first: 8 in 2D and 16 in 3D at most."""
    for turned in (False, True)[: 2 if symmetry.plane else 1]:
        for code in range(2 ** len(symmetry.flips)):
            yield turned, tuple(axis for place, axis in enumerate(symmetry.flips) if code >> place & 1)
