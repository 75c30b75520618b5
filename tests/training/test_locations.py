"""Locations of patches."""

import numpy as np
import pytest

from snakeseg.arrays import mirror_indices
from snakeseg.training.locations import MAX_FOREGROUND_PIXELS, find_foreground, sample_location

SHAPES = [(40, 50), (12, 60), (30, 30), (5, 200)]


def targets():
    """Return four targets: image 0 is empty, 1 and 3 have class 1 (many pixels), 2 and 3 have class 2 (one pixel)."""
    images = [np.zeros(shape, np.uint8) for shape in SHAPES]
    images[1][2:9, 10:50] = 1
    images[3][:, 3:100] = 1
    images[2][7, 7] = 2
    images[3][4, 180] = 2
    return images


def weights():
    return [np.ones(shape, np.float32) for shape in SHAPES]


def draw_locations(foreground, share, size=8, count=600):
    return [sample_location(np.random.default_rng(i), SHAPES, (size,) * 2, foreground, share) for i in range(count)]


def patch_of(index, start, size=8):
    return targets()[index][tuple(slice(max(s, 0), s + size) for s in start)]


@pytest.mark.parametrize(("extent", "size", "least"), [(24, 16, 0.85), (100, 16, 0.94), (20, 16, 0.6), (16, 16, 0.99)])
def test_pixels_near_the_edge_are_seen_as_often_as_others(extent, size, least):
    """Counts over all starts: pixels and their mirror images, but for the outermost pixel, which is its own."""
    starts = {sample_location(np.random.default_rng(i), [(extent,)], (size,), [], 0.0)[1][0] for i in range(3000)}
    assert len(starts) == max(starts) - min(starts) + 1
    views = np.bincount(np.concatenate([mirror_indices(s, s + size, extent) for s in starts]))
    assert views[1:-1].min() >= least * np.median(views)
    assert views[[0, -1]].min() >= 0.3 * np.median(views)


@pytest.mark.parametrize("balanced", [False, True])
def test_every_patch_around_foreground_contains_foreground(balanced):
    foreground = find_foreground(targets(), weights(), 3, balanced)
    for index, start in draw_locations(foreground, 1.0):
        assert patch_of(index, start).any()
        assert all(s >= -4 and s + 8 <= n + 4 for s, n in zip(start, SHAPES[index], strict=True) if n >= 8)


def test_patches_around_foreground_have_the_given_share():
    foreground = find_foreground(targets(), weights(), 3)
    empty = [np.zeros((100, 100), np.uint8), np.eye(100, dtype=np.uint8)]
    foreground = find_foreground(empty, [np.ones((100, 100))] * 2, 2)
    indices = [
        sample_location(np.random.default_rng(i), [(100, 100)] * 2, (5, 5), foreground, 0.4)[0] for i in range(2000)
    ]
    assert np.mean(indices) == pytest.approx(0.4 + 0.6 / 2, abs=0.04)


def test_balanced_locations_contain_every_class_equally_often():
    foreground = find_foreground(targets(), weights(), 3, balanced=True)
    rare = np.mean([(patch_of(*location) == 2).any() for location in draw_locations(foreground, 1.0)])
    assert rare == pytest.approx(0.5, abs=0.08)
    foreground = find_foreground(targets(), weights(), 3)
    assert np.mean([(patch_of(*location) == 2).any() for location in draw_locations(foreground, 1.0)]) < 0.4


def test_the_foreground_pixel_lies_anywhere_in_the_patch():
    target = np.zeros((50, 50), np.uint8)
    target[25, 25] = 1
    foreground = find_foreground([target], [np.ones((50, 50))], 2)
    starts = {
        tuple(sample_location(np.random.default_rng(i), [(50, 50)], (4, 4), foreground, 1.0)[1]) for i in range(400)
    }
    assert starts == {(a, b) for a in range(22, 26) for b in range(22, 26)}


def test_ignored_pixels_are_not_drawn():
    ignored = weights()
    ignored[3][4, 180] = 0
    foreground = find_foreground(targets(), ignored, 3, balanced=True)
    assert [index for index, _ in foreground[1]] == [2]


def test_without_foreground_patches_are_drawn_anywhere():
    shapes = [(20, 20), (30, 9)]
    foreground = find_foreground([np.zeros(s, np.uint8) for s in shapes], [np.ones(s) for s in shapes], 3, True)
    assert foreground == []
    assert {sample_location(np.random.default_rng(i), shapes, (6, 6), foreground, 1.0)[0] for i in range(40)} == {0, 1}


def test_stored_foreground_pixels_are_limited_and_evenly_spread():
    target = np.ones((300, 300), np.uint8)
    ((_, pixels),) = find_foreground([target], [np.ones_like(target)], 2)[0]
    assert len(pixels) <= MAX_FOREGROUND_PIXELS
    rows = np.unravel_index(pixels, target.shape)[0]
    assert rows.min() < 5
    assert rows.max() > 294


def test_patches_of_volumes_contain_foreground():
    target = np.zeros((20, 30, 40), np.uint8)
    target[3, 4, 5] = 1
    foreground = find_foreground([target], [np.ones(target.shape)], 2)
    for i in range(50):
        _, start = sample_location(np.random.default_rng(i), [target.shape], (10,) * target.ndim, foreground, 1.0)
        assert target[tuple(slice(max(s, 0), s + 10) for s in start)].any()
