"""Orientations: each orientation that the symmetry of the data allows occurs once."""

import numpy as np
import pytest

from snakeseg.transforms.flips import Symmetry, any_symmetry, orientations, symmetry_of


@pytest.mark.parametrize(
    ("symmetry", "count"),
    [
        (Symmetry(), 1),
        (Symmetry((0,)), 2),
        (Symmetry((0, 2), (0, 2)), 8),
        (any_symmetry(2), 8),
        (any_symmetry(3), 16),
    ],
)
def test_orientations_are_distinct_and_start_with_the_identity(symmetry, count):
    image = np.arange(27).reshape(3, 3, 3)
    images = {
        np.flip(np.swapaxes(image, *symmetry.plane) if turned else image, flipped).tobytes()
        for turned, flipped in orientations(symmetry)
    }
    assert len(images) == len(list(orientations(symmetry))) == count
    assert next(orientations(symmetry)) == (False, ())


def test_only_axes_of_equal_spacing_and_size_are_exchanged():
    def plane(spacing, patch):
        return symmetry_of(True, True, spacing, patch).plane

    assert plane((1, 1), (8, 8)) == (0, 1)
    assert plane((1, 1, 1), (8, 8, 8)) == (1, 2)
    assert plane((0.5, 0.5, 3), (8, 8, 8)) == (0, 1)
    assert plane((1, 1, 1), (8, 16, 8)) == (0, 2)
    assert plane((1, 2, 3), (8, 8, 8)) is None
    assert plane((1, 1.05), (8, 8)) == (0, 1)


def test_flips_are_along_all_none_or_the_listed_axes():
    spacing, patch = (1.0, 1.0, 1.0), (8, 8, 8)
    assert symmetry_of(True, False, spacing, patch) == Symmetry((0, 1, 2))
    assert symmetry_of(False, False, spacing, patch) == Symmetry()
    assert symmetry_of([2, 0], True, spacing, patch) == Symmetry((0, 2), (1, 2))
