"""Surfaces along pixels that are not scored: a cut is no surface."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_pairs import random_pair
from scipy.spatial.distance import cdist

from snakeseg.evaluation.metrics.surface import surface_scores
from snakeseg.evaluation.scores import score
from snakeseg.settings import Labels


def surface_by_neighbours(mask, is_scored):
    """Mask pixels with a face neighbour that is outside the image, or scored and outside the mask, one by one."""
    pixels = []
    for pixel in np.argwhere(mask):
        for neighbour in [tuple(pixel + sign * step) for step in np.eye(mask.ndim, dtype=int) for sign in (-1, 1)]:
            is_inside = all(0 <= index < side for index, side in zip(neighbour, mask.shape, strict=True))
            if not is_inside or (is_scored[neighbour] and not mask[neighbour]):
                pixels.append(pixel)
                break
    return np.array(pixels).reshape(-1, mask.ndim)


def scores_by_all_distances(masks, is_scored, spacing, tolerance):
    first, second = (surface_by_neighbours(mask, is_scored) for mask in masks)
    distances = cdist(first * spacing, second * spacing)
    directed = distances.min(axis=1), distances.min(axis=0)
    both = np.concatenate(directed)
    return {
        "hd95": max(np.percentile(direction, 95) for direction in directed),
        "assd": both.mean(),
        "nsd": (both <= tolerance).mean(),
    }


def shifted_discs():
    """Two discs of radius 30, six columns apart."""
    y, x = np.ogrid[:120, :120]
    return (y - 60) ** 2 + (x - 60) ** 2 <= 30**2, (y - 60) ** 2 + (x - 66) ** 2 <= 30**2


def test_cut_through_ignored_pixels_is_no_surface():
    """With the upper half ignored, ASSD was 2.11 and NSD 0.50, as the cut of both discs coincides."""
    truth, predicted = (mask.astype(int) for mask in shifted_discs())
    whole, _ = score(truth, predicted, Labels("binary", ignore=255))
    truth[:60] = 255
    half, _ = score(truth, predicted, Labels("binary", ignore=255))
    is_scored = np.arange(120)[:, None] >= np.full(120, 60)
    masks = [mask & is_scored for mask in shifted_discs()]
    assert {name: half[name] for name in ("hd95", "assd", "nsd")} == pytest.approx(
        scores_by_all_distances(masks, is_scored, (1, 1), 1), abs=1e-12
    )
    # By symmetry, the lower half has the scores of the whole, but for its row 60, which the whole has once.
    assert (round(whole["assd"], 2), round(whole["nsd"], 2)) == (3.61, 0.18)
    assert (round(half["assd"], 2), round(half["nsd"], 2)) == (3.64, 0.18)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000))
def test_equal_all_distances_between_all_pixels(seed):
    """In 2D and 3D, with random blobs that are not scored."""
    pair = random_pair(seed)
    is_scored = np.random.default_rng(seed).random(pair[0].shape) < 0.8
    masks = [(objects > 0) & is_scored for objects in pair]
    spacing = (2.5, 0.4, 1.1)[: is_scored.ndim]
    if all(len(surface_by_neighbours(mask, is_scored)) for mask in masks):
        expected = scores_by_all_distances(masks, is_scored, spacing, 1.234)
        assert surface_scores(*masks, spacing, 1.234, is_scored) == pytest.approx(expected, abs=1e-9)


def test_masks_without_a_surface():
    """Pixels 3..5 are scored. A mask of all of them has no surface, and neither has an empty one."""
    is_scored = np.zeros((9, 12), bool)
    is_scored[3:6, 3:6] = True
    part = is_scored.copy()
    part[3, 3] = False
    empty = np.zeros_like(is_scored)
    equal, unequal = {"hd95": np.nan, "assd": np.nan, "nsd": 1}, {"hd95": 15, "assd": 15, "nsd": 0}

    def scores(truth, predicted):
        return surface_scores(truth, predicted, (1.0, 1.0), 1, is_scored)

    for mask in (is_scored, empty):
        assert scores(mask, mask) == pytest.approx(equal, nan_ok=True)
    for truth, predicted in ((is_scored, empty), (empty, is_scored), (part, is_scored), (is_scored, part)):
        assert scores(truth, predicted) == unequal
    assert scores(part, part) == {"hd95": 0, "assd": 0, "nsd": 1}
