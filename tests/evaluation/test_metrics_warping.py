"""Warping keeps the topology of the truth, flips all pixels that it can, and equals brute force."""

import numpy as np
import pytest
from label_pairs import PAIRS
from scipy import ndimage

from snakeseg.evaluation.metrics.warping import IS_SIMPLE, NEIGHBOURS, warp_to_prediction

FACES, CORNERS = ndimage.generate_binary_structure(2, 1), ndimage.generate_binary_structure(2, 2)


def is_simple(patch):
    """Return whether the middle pixel is simple as defined by Bertrand and Malandain 1994.

    It must be adjacent to exactly one component of foreground and one of background.
    """
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    foreground = ndimage.label(patch & ring, FACES)[0]
    background = ndimage.label(~patch & ring, CORNERS)[0]
    return len(set(foreground[FACES & ring]) - {0}) == len(set(background[ring]) - {0}) == 1


def patch_of(code):
    """Decode eight neighbours from the bits of a table index."""
    patch = np.zeros((3, 3), bool)
    for bit, (row, column) in enumerate(NEIGHBOURS):
        patch[1 + row, 1 + column] = code >> bit & 1
    return patch


def test_table_of_simple_points_equals_the_definition():
    assert [is_simple(patch_of(code)) for code in range(256)] == IS_SIMPLE.tolist()
    assert IS_SIMPLE.sum() == 116


def warp_one_by_one(truth, predicted):
    """Warp in the same order of pixels, with the definition instead of the table, and all pixels in each round."""
    warped, target = np.pad(truth, 1), np.pad(predicted, 1)
    while True:
        before = warped.copy()
        for first in (1, 1), (1, 2), (2, 1), (2, 2):
            for row in range(first[0], warped.shape[0] - 1, 2):
                for column in range(first[1], warped.shape[1] - 1, 2):
                    differs = warped[row, column] != target[row, column]
                    if differs and is_simple(warped[row - 1 : row + 2, column - 1 : column + 2]):
                        warped[row, column] ^= True
        if (warped == before).all():
            return warped[1:-1, 1:-1]


def count_components(mask):
    """Count the components of foreground and of background."""
    padded = np.pad(mask, 1)
    return ndimage.label(padded, FACES)[1], ndimage.label(~padded, CORNERS)[1]


PLANES = [(a > 0, b > 0) for a, b in PAIRS if a.ndim == 2]
RANDOM = [tuple(np.random.default_rng(seed).random((2, 9, 11)) < 0.4 + 0.002 * seed) for seed in range(100)]


def test_warping_equals_flipping_pixel_by_pixel():
    for truth, predicted in PLANES + RANDOM:
        np.testing.assert_array_equal(warp_to_prediction(truth, predicted), warp_one_by_one(truth, predicted))


def test_warping_keeps_the_topology_and_changes_only_wrong_pixels():
    for truth, predicted in PLANES + RANDOM:
        warped = warp_to_prediction(truth, predicted)
        assert count_components(warped) == count_components(truth)
        assert (warped == predicted)[truth == predicted].all()


@pytest.mark.parametrize("shift", [1, 5, 20])
def test_shifted_object_that_overlaps_has_no_error(shift):
    truth = np.zeros((40, 60), bool)
    truth[10:31, 5:30] = True
    assert (warp_to_prediction(truth, np.roll(truth, shift, 1)) == np.roll(truth, shift, 1)).all()


def count_warping_errors(truth, predicted):
    return int((warp_to_prediction(truth, predicted) != predicted).sum())


def test_misses_false_objects_holes_and_bridges_have_known_errors():
    """A missed object counts as one pixel, a false one as all its pixels, and a bridge as its width of three rows."""
    empty, disc = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    disc[8:20, 5:30] = True
    hole, cut = disc.copy(), disc.copy()
    hole[12:15, 9:13] = False
    cut[:, 16] = False
    joined = cut.copy()
    joined[12:15, 16] = True
    assert (count_warping_errors(disc, empty), count_warping_errors(empty, disc)) == (1, disc.sum())
    assert (count_warping_errors(hole, disc), count_warping_errors(disc, hole)) == (1, 12)
    assert (count_warping_errors(disc, cut), count_warping_errors(cut, joined)) == (1, 3)
    assert count_warping_errors(disc, disc) == count_warping_errors(empty, empty) == 0
