"""Growing of objects into gaps: known answers, and invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from snakeseg.objects.grow_blocks import grow_blocks
from snakeseg.objects.segment import InstanceParameters, segment
from snakeseg.transforms.grow import MAX_GROWTH, grow_objects

quick = settings(deadline=None, max_examples=60)


def row(text):
    """Objects of a row of digits, five rows high."""
    return np.tile([int(digit) for digit in text], (5, 1))


@pytest.mark.parametrize(
    ("before", "pixels", "after"),
    [
        ("001100220", 1, "001112220"),  # a gap of two pixels: one for each
        ("001100220", 2, "001112220"),
        ("0011000220", 1, "0011000220"),  # a gap of three is too wide
        ("0011000220", 2, "0011112220"),  # the middle pixel goes to the object before it in C order
        ("0022000110", 2, "0022221110"),  # whatever the ids
        ("01000000", 1, "01000000"),  # the edge of the image is no object
        ("1001", 1, "1111"),  # two parts of an object
        ("1010", 0, "1010"),
    ],
)
def test_known_answers(before, pixels, after):
    """In both directions, and in a volume, in which every plane is the same."""
    objects, expected = row(before), row(after)
    np.testing.assert_array_equal(grow_objects(objects, pixels), expected)
    np.testing.assert_array_equal(grow_objects(objects.T, pixels), expected.T)
    np.testing.assert_array_equal(grow_objects(np.stack([objects] * 3), pixels), np.stack([expected] * 3))


@pytest.mark.parametrize("pixels", range(1, MAX_GROWTH + 1))
def test_isolated_objects_keep_their_outline(pixels):
    """Discs, squares and diamonds, also close to the edge of the image and at it."""
    y, x = np.indices((90, 90))
    objects = np.zeros((90, 90), int)
    objects[(y - 30) ** 2 + (x - 12) ** 2 <= 121] = 1
    objects[abs(y - 60) + abs(x - 60) <= 11] = 2
    objects[2:12, 50:70] = 3
    objects[80:, 5:20] = 4
    np.testing.assert_array_equal(grow_objects(objects, pixels), objects)


def test_tiles_separated_by_two_pixels_are_whole_again():
    """Each of two touching objects lost one pixel on its side; at the edge of the image too."""
    whole = np.kron(np.arange(1, 13).reshape(3, 4), np.ones((9, 9), int))
    lowest, highest = (f(whole, 3, mode="nearest") for f in (ndimage.minimum_filter, ndimage.maximum_filter))
    separated = np.where(lowest == highest, whole, 0)
    assert (separated == 0).mean() > 0.25
    np.testing.assert_array_equal(grow_objects(separated, 1), whole)


@st.composite
def scenes(draw):
    """Blobs, some of which touch, in two or three dimensions, and a growth in pixels."""
    shape = draw(st.sampled_from([(24, 30), (9, 12, 10)]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    noise = ndimage.gaussian_filter(rng.normal(size=shape), draw(st.sampled_from([0.7, 1.5])))
    objects = ndimage.label(noise > np.quantile(noise, draw(st.sampled_from([0.5, 0.7]))))[0]
    return objects, draw(st.integers(1, 3))


@quick
@given(scenes(), st.integers(0, 100))
def test_invariants(scene, seed):
    """No object loses a pixel; others go to the nearest object within `pixels` along any axis; ids decide nothing."""
    objects, pixels = scene
    grown = grow_objects(objects, pixels)
    np.testing.assert_array_equal(grown[objects > 0], objects[objects > 0])
    padded = np.pad(objects, pixels)
    for pixel in np.argwhere((grown > 0) & (objects == 0)):
        window = padded[tuple(slice(index, index + 2 * pixels + 1) for index in pixel)]
        away = np.linalg.norm(np.argwhere(window) - pixels, axis=1)
        assert grown[tuple(pixel)] in window[window > 0][away == away.min()]
    names = np.append(0, 1 + np.random.default_rng(seed).permutation(objects.max()))
    np.testing.assert_array_equal(grow_objects(names[objects], pixels), names[grown])


@quick
@given(scenes())
def test_filled_pixels_are_those_of_a_closing(scene):
    """Away from the edge of the image, where SciPy's closing has other pixels beyond it."""
    objects, pixels = scene
    objects = np.pad(objects, 2 * pixels)
    square = np.ones((2 * pixels + 1,) * objects.ndim)
    np.testing.assert_array_equal(grow_objects(objects, pixels) > 0, ndimage.binary_closing(objects > 0, square))


@quick
@given(scenes(), st.integers(1, 13))
def test_blocks_make_no_difference(scene, side):
    objects, pixels = scene
    count = int(objects.max())
    objects[objects == 1] = 0  # an object of size 0 in `measured`
    measured = np.bincount(objects.ravel(), minlength=count + 1)[1:], np.zeros(count, int)
    ids = np.where(objects == 0, 1, objects).astype(np.uint32)  # stands for a dropped object
    sizes, firsts = grow_blocks(ids, measured, pixels, (side,) * objects.ndim)
    expected = grow_objects(objects, pixels)
    ids = ids.astype(int)
    np.testing.assert_array_equal(np.where(ids > count, ids - count, np.where(ids == 1, 0, ids)), expected)
    np.testing.assert_array_equal(sizes[:count] + sizes[count:], np.bincount(expected.ravel(), minlength=count + 1)[1:])
    for number in np.flatnonzero(sizes[count:]):
        assert firsts[count + number] == np.flatnonzero(ids == count + 1 + number)[0]


def test_order_of_the_steps():
    """Objects at the edge are dropped before growing, so none grows towards them; small ones are dropped after it."""
    foreground = row("11001100110000").astype(float)
    foreground[[0, 4]] = 0
    assert segment(foreground, foreground, InstanceParameters(grow=1))[2].tolist() == [
        *[1] * 3,
        *[2] * 4,
        *[3] * 3,
        *[0] * 4,
    ]
    dropped = segment(foreground, foreground, InstanceParameters(drop_at_edge=True, grow=1))
    assert dropped[2].tolist() == [0] * 4 + [1] * 3 + [2] * 3 + [0] * 4
    # Three rows of two columns are 6 pixels, and 9 after growing; of three columns, 9 and 12.
    kept = segment(foreground, foreground, InstanceParameters(smallest=9, grow=1))
    assert kept.max() == 3
    assert not segment(foreground, foreground, InstanceParameters(smallest=9)).any()


@pytest.mark.parametrize("grow", [-1, MAX_GROWTH + 1, 10**9])
def test_growth_is_limited(grow):
    with pytest.raises(ValueError, match=r"instances grow .*; expected a whole number from 0 to 5"):
        InstanceParameters(grow=grow)
