"""Warping, compared with brute force: it keeps the topology of the truth and leaves no pixel to flip."""

import numpy as np
import pytest
from label_pairs import PAIRS
from scipy import ndimage

from snakeseg.evaluation.metrics.warping import IS_SIMPLE, NEIGHBOURS, warp_to_prediction

FACES, CORNERS = ndimage.generate_binary_structure(2, 1), ndimage.generate_binary_structure(2, 2)


def is_simple(patch):
    """By the definition of Bertrand and Malandain 1994: one component each of both kinds is next to the middle."""
    around = np.ones((3, 3), bool)
    around[1, 1] = False
    foreground = ndimage.label(patch & around, FACES)[0]
    background = ndimage.label(~patch & around, CORNERS)[0]
    return len(set(foreground[FACES & around]) - {0}) == len(set(background[around]) - {0}) == 1


def patch_of(code):
    patch = np.zeros((3, 3), bool)
    for bit, (row, column) in enumerate(NEIGHBOURS):
        patch[1 + row, 1 + column] = code >> bit & 1
    return patch


def test_simple_points():
    assert [is_simple(patch_of(code)) for code in range(256)] == IS_SIMPLE.tolist()
    assert IS_SIMPLE.sum() == 116


def warp_one_by_one(truth, predicted):
    """Reference: the same order of pixels, with the definition instead of the table, and all pixels in each round."""
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


def topology(mask):
    padded = np.pad(mask, 1)
    return ndimage.label(padded, FACES)[1], ndimage.label(~padded, CORNERS)[1]


FLAT = [(a > 0, b > 0) for a, b in PAIRS if a.ndim == 2]
RANDOM = [tuple(np.random.default_rng(seed).random((2, 9, 11)) < 0.4 + 0.002 * seed) for seed in range(100)]


def test_equals_flipping_one_by_one():
    for truth, predicted in FLAT + RANDOM:
        np.testing.assert_array_equal(warp_to_prediction(truth, predicted), warp_one_by_one(truth, predicted))


def test_keeps_the_topology_and_only_moves_towards_the_prediction():
    for truth, predicted in FLAT + RANDOM:
        warped = warp_to_prediction(truth, predicted)
        assert topology(warped) == topology(truth)
        assert (warped == predicted)[truth == predicted].all()


@pytest.mark.parametrize("shift", [1, 5, 20])
def test_a_shifted_object_costs_nothing_while_it_overlaps(shift):
    truth = np.zeros((40, 60), bool)
    truth[10:31, 5:30] = True
    assert (warp_to_prediction(truth, np.roll(truth, shift, 1)) == np.roll(truth, shift, 1)).all()


def wrong(truth, predicted):
    return int((warp_to_prediction(truth, predicted) != predicted).sum())


def test_known_answers():
    """A missed object counts one pixel, a false one all its pixels; a bridge between two cells is three rows wide."""
    empty, disc = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    disc[8:20, 5:30] = True
    hole, cut = disc.copy(), disc.copy()
    hole[12:15, 9:13] = False
    cut[:, 16] = False
    joined = cut.copy()
    joined[12:15, 16] = True
    assert (wrong(disc, empty), wrong(empty, disc)) == (1, disc.sum())
    assert (wrong(hole, disc), wrong(disc, hole)) == (1, 12)
    assert (wrong(disc, cut), wrong(cut, joined)) == (1, 3)
    assert wrong(disc, disc) == wrong(empty, empty) == 0
