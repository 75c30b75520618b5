"""Where patches are cut."""

import numpy as np
import pytest

from snakeseg.training.locations import REMEMBERED, draw_place, find_places

SHAPES = [(40, 50), (12, 60), (30, 30), (5, 200)]


def targets():
    """Image 0 is empty; 1 and 3 have class 1 (many pixels), 2 and 3 have class 2 (few)."""
    made = [np.zeros(shape, np.uint8) for shape in SHAPES]
    made[1][2:9, 10:50] = 1
    made[3][:, 3:100] = 1
    made[2][7, 7] = 2
    made[3][4, 180] = 2
    return made


def weights():
    return [np.ones(shape, np.float32) for shape in SHAPES]


def draws(places, share, size=8, count=600):
    return [draw_place(np.random.default_rng(i), SHAPES, (size,) * 2, places, share) for i in range(count)]


def patch_of(index, start, size=8):
    return targets()[index][tuple(slice(max(s, 0), s + size) for s in start)]


@pytest.mark.parametrize("balanced", [False, True])
def test_every_patch_drawn_for_the_foreground_holds_some(balanced):
    places = find_places(targets(), weights(), 3, balanced)
    for index, start in draws(places, 1.0):
        assert patch_of(index, start).any()
        assert all(s >= 0 and s + 8 <= n for s, n in zip(start, SHAPES[index], strict=True) if n >= 8)


def test_the_share_is_kept():
    places = find_places(targets(), weights(), 3)
    empty = [np.zeros((100, 100), np.uint8), np.eye(100, dtype=np.uint8)]
    places = find_places(empty, [np.ones((100, 100))] * 2, 2)
    found = [draw_place(np.random.default_rng(i), [(100, 100)] * 2, (5, 5), places, 0.4)[0] for i in range(2000)]
    assert np.mean(found) == pytest.approx(0.4 + 0.6 / 2, abs=0.04)


def test_balanced_draws_every_class_as_often():
    places = find_places(targets(), weights(), 3, balanced=True)
    rare = np.mean([(patch_of(*place) == 2).any() for place in draws(places, 1.0)])
    assert rare == pytest.approx(0.5, abs=0.08)
    places = find_places(targets(), weights(), 3)
    assert np.mean([(patch_of(*place) == 2).any() for place in draws(places, 1.0)]) < 0.4


def test_the_pixel_lies_anywhere_in_the_patch():
    target = np.zeros((50, 50), np.uint8)
    target[25, 25] = 1
    places = find_places([target], [np.ones((50, 50))], 2)
    starts = {tuple(draw_place(np.random.default_rng(i), [(50, 50)], (4, 4), places, 1.0)[1]) for i in range(400)}
    assert starts == {(a, b) for a in range(22, 26) for b in range(22, 26)}


def test_ignored_pixels_attract_nothing():
    ignored = weights()
    ignored[3][4, 180] = 0
    places = find_places(targets(), ignored, 3, balanced=True)
    assert [index for index, _ in places[1]] == [2]


def test_without_foreground_patches_are_drawn_anywhere():
    shapes = [(20, 20), (30, 9)]
    places = find_places([np.zeros(s, np.uint8) for s in shapes], [np.ones(s) for s in shapes], 3, True)
    assert places == []
    assert {draw_place(np.random.default_rng(i), shapes, (6, 6), places, 1.0)[0] for i in range(40)} == {0, 1}


def test_no_more_pixels_are_remembered_than_needed_and_from_all_over():
    target = np.ones((300, 300), np.uint8)
    ((_, pixels),) = find_places([target], [np.ones_like(target)], 2)[0]
    assert len(pixels) <= REMEMBERED
    rows = np.unravel_index(pixels, target.shape)[0]
    assert rows.min() < 5
    assert rows.max() > 294


def test_a_volume():
    target = np.zeros((20, 30, 40), np.uint8)
    target[3, 4, 5] = 1
    places = find_places([target], [np.ones(target.shape)], 2)
    for i in range(50):
        _, start = draw_place(np.random.default_rng(i), [target.shape], (10,) * target.ndim, places, 1.0)
        assert target[tuple(slice(s, s + 10) for s in start)].any()
