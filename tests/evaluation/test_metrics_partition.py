"""Scores of partitions agree with results computed by hand, brute force and scikit-image."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from label_pairs import PAIRS
from scipy import ndimage
from skimage import metrics

from snakeseg.evaluation.metrics.contingency import overlaps
from snakeseg.evaluation.metrics.partition import (
    adapted_rand_error,
    rand_error,
    thin_borders,
    v_info,
    v_rand,
    variation_of_information,
)


def overlaps_of_rows(truth, predicted):
    """Compute the overlaps of two images of one row."""
    return overlaps(np.array([truth]), np.array([predicted]))


def pairs_of_pixels(truth, predicted):
    """Return, for every pair of pixels, whether truth and prediction join it."""
    first, second = np.triu_indices(truth.size, 1)
    t, p = truth.ravel(), predicted.ravel()
    return t[first] == t[second], p[first] == p[second]


@pytest.mark.parametrize(
    ("truth", "predicted", "error"),
    [
        ([1, 1, 2, 2], [7, 7, 3, 3], 0),
        ([1, 1, 2, 2], [1, 1, 1, 1], 4 / 6),  # four pairs are wrongly joined
        ([1, 1, 0, 0], [1, 1, 0, 3], 1 / 6),  # the background counts as an object
        ([0, 0, 0, 0], [1, 2, 3, 4], 1),
    ],
)
def test_rand_error_of_small_partitions(truth, predicted, error):
    assert rand_error(overlaps_of_rows(truth, predicted)) == pytest.approx(error)


def test_rand_error_is_the_share_of_pairs_that_disagree():
    for truth, predicted in PAIRS:
        true_joins, predicted_joins = pairs_of_pixels(truth, predicted)
        expected = np.mean(true_joins != predicted_joins) if truth.size > 1 else np.nan
        assert rand_error(overlaps(truth, predicted)) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def rand_by_pairs(truth, predicted):
    """Compute the Rand error as 1 - F of the pairs of foreground pixels that share an object, counted one by one."""
    where = np.flatnonzero(truth)
    t, p = np.ravel(truth)[where], np.ravel(predicted)[where]
    pairs = [(t[i] == t[j], p[i] == p[j]) for i, j in combinations(range(len(where)), 2)]
    both = sum(a and b for a, b in pairs)
    return 1 - 2 * both / (sum(a for a, _ in pairs) + sum(b for _, b in pairs))


@pytest.mark.parametrize(
    ("truth", "predicted", "error"),
    [
        ([1, 1, 2, 2], [7, 7, 3, 3], 0),
        ([1, 1, 2, 2], [1, 1, 1, 1], 0.5),  # precision 2/6, recall 2/2: F = 1/2
        ([1, 1, 1, 1], [1, 1, 2, 2], 0.5),
        ([1, 1, 1, 0, 0], [1, 1, 2, 9, 9], 0.5),  # precision 1/1, recall 1/3
        ([1, 1, 0, 0], [1, 1, 1, 1], 0),  # pixels outside true objects do not count
    ],
)
def test_adapted_rand_error_of_small_partitions(truth, predicted, error):
    assert rand_by_pairs(truth, predicted) == pytest.approx(error)
    assert adapted_rand_error(overlaps_of_rows(truth, predicted)) == pytest.approx(error)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_adapted_rand_error_and_variation_of_information_equal_those_of_scikit_image():
    """They agree except for empty predictions, whose error is 1: the predicted background is not an object."""
    for truth, predicted in PAIRS:
        table = overlaps(truth, predicted)
        if not truth.any():
            assert np.isnan([adapted_rand_error(table), *variation_of_information(table)]).all()
            continue
        expected = metrics.variation_of_information(truth, predicted, ignore_labels=[0])
        assert variation_of_information(table) == pytest.approx(expected, abs=1e-9)
        expected = metrics.adapted_rand_error(truth, predicted, ignore_labels=[0])[0]
        expected = expected if predicted[truth > 0].any() else 1
        assert adapted_rand_error(table) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_empty_prediction_has_the_worst_scores():
    """The predicted background does not count as the single true object."""
    table = overlaps(np.ones((3, 3), int), np.zeros((3, 3), int))
    assert (adapted_rand_error(table), v_rand(table), v_info(table)) == (1, 0, 0)


def test_single_pixel_objects_have_error_1():
    assert adapted_rand_error(overlaps(np.ones((2, 2), int), np.arange(1, 5).reshape(2, 2))) == 1


@pytest.mark.parametrize(
    ("truth", "predicted", "splits", "merges"),
    [
        ([1, 1, 2, 2], [5, 5, 3, 3], 0, 0),
        ([1, 1, 1, 1], [1, 1, 2, 2], 1, 0),  # one bit distinguishes the halves
        ([1, 1, 2, 2], [1, 1, 1, 1], 0, 1),
        ([1, 1, 1, 1], [1, 2, 3, 4], 2, 0),
        ([1, 1, 1, 1], [1, 1, 1, 2], 0.8112781, 0),  # 3/4 log 4/3 + 1/4 log 4
        ([1, 1, 2, 2], [1, 2, 1, 2], 1, 1),
        ([1, 1, 0, 0], [1, 1, 2, 3], 0, 0),
    ],
)
def test_variation_of_information_of_small_partitions(truth, predicted, splits, merges):
    assert variation_of_information(overlaps_of_rows(truth, predicted)) == pytest.approx((splits, merges), abs=1e-6)


@pytest.mark.parametrize(
    ("truth", "predicted", "rand", "info"),
    [
        ([1, 1, 2, 2], [5, 5, 3, 3], 1, 1),
        ([1, 1, 2, 2], [1, 1, 1, 1], 2 / 3, 0),  # 2 (4 + 4) / (8 + 16); one object has no information on two
        ([1, 1, 2, 2], [1, 2, 3, 4], 2 / 3, 2 / 3),  # 2 x 4 / (8 + 4); 2 x 1 bit / (1 + 2)
        (
            [1, 1, 2, 2],
            [1, 1, 3, 0],
            6 / 7,
            0.8,
        ),  # a background pixel is an object: 2 x 6 / (8 + 6); 2 / (1 + 1.5)
        ([1, 1, 0, 0], [1, 1, 1, 2], 1, 1),  # pixels outside true objects do not count
        ([0, 0, 0, 0], [1, 1, 1, 2], np.nan, np.nan),
    ],
)
def test_v_rand_and_v_info_of_small_partitions(truth, predicted, rand, info):
    table = overlaps_of_rows(truth, predicted)
    assert (v_rand(table), v_info(table)) == pytest.approx((rand, info), nan_ok=True)


def entropy(values):
    shares = np.array(list(Counter(values).values())) / len(values)
    return float(-(shares * np.log2(shares)).sum())


def test_v_rand_and_v_info_equal_their_definitions_on_pixels():
    """Each pixel of the predicted background within true objects is an object of its own."""
    for truth, predicted in PAIRS:
        table = overlaps(truth, predicted)
        t, p = truth[truth > 0], predicted[truth > 0]
        if not p.any():
            continue
        p = np.where(p > 0, p, -1 - np.arange(len(p))).tolist()
        both = list(zip(t.tolist(), p, strict=True))
        squares = [sum(n**2 for n in Counter(ids).values()) for ids in (t.tolist(), p, both)]
        assert v_rand(table) == pytest.approx(2 * squares[2] / (squares[0] + squares[1]), abs=1e-9)
        entropies = [entropy(ids) for ids in (t.tolist(), p, both)]
        mean = (entropies[0] + entropies[1]) / 2
        assert v_info(table) == pytest.approx((2 * mean - entropies[2]) / mean if mean else 1, abs=1e-9)


@pytest.mark.parametrize(
    ("labels", "thinned"),
    [
        ("1110000222", "1111102222"),  # at an even width, the larger id gets one pixel more
        ("2220000111", "2222011111"),
        ("1110222", "1110222"),
        ("2220111", "2220111"),
        ("111222", "111222"),  # objects that touch still touch
        ("0010000", "1111111"),
        ("0000000", "0000000"),
    ],
)
def test_borders_are_thinned_to_one_pixel_or_less(labels, thinned):
    result = thin_borders(np.array([list(labels)], int), (1.0, 1.0))
    assert "".join(map(str, result[0])) == thinned


def test_borders_are_thinned_by_distance_in_units_of_the_spacing():
    """A corner pixel is as many rows away from one object as columns from another."""
    labels = np.zeros((5, 5), int)
    labels[4, 0], labels[0, 4] = 1, 2
    assert thin_borders(labels, (1.0, 9.0))[0, 0] == 1
    assert thin_borders(labels, (9.0, 1.0))[0, 0] == 2


def test_objects_grow_into_the_nearest_border_pixels():
    """Objects keep their pixels, the nearest object gets each other pixel, and no objects touch that did not before."""
    for _, labels in PAIRS:
        thinned = thin_borders(labels, (1.0,) * labels.ndim)
        np.testing.assert_array_equal(thinned[labels > 0], labels[labels > 0])
        ids = np.unique(labels[labels > 0])
        if not len(ids):
            continue
        distances = np.stack([ndimage.distance_transform_edt(labels != i) for i in ids])
        grown = (thinned > 0) & (labels == 0)
        own = np.take_along_axis(distances, np.searchsorted(ids, thinned)[None], axis=0)[0]
        np.testing.assert_allclose(own[grown], distances.min(axis=0)[grown])
        for axis in range(labels.ndim):
            now, before = (np.moveaxis(array, axis, 0) for array in (thinned, labels))
            touching = (now[1:] != now[:-1]) & (now[1:] > 0) & (now[:-1] > 0)
            assert ((before[1:] > 0) & (before[:-1] > 0))[touching].all()


def test_width_of_borders_does_not_change_the_score():
    """Three stripes with true borders of one pixel, and predicted borders of eight and six pixels."""
    truth = np.repeat([[1, 1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2, 2, 2, 0, 3, 3, 3, 3, 3]], 6, axis=0)
    wide = np.where(np.isin(np.arange(20), (1, 10, 17)), truth, 0)
    assert v_rand(overlaps(truth, wide)) < 0.5
    thinned = overlaps(truth, thin_borders(wide, (1.0, 1.0)))
    assert v_rand(thinned) == v_info(thinned) == 1
