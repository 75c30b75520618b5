"""Look-alikes are found in any orientation and at any brightness, and nothing else is."""

import numpy as np
import pytest
from scipy import ndimage

from snakeseg.signatures import CELLS, cell_shares, cell_sums, components, look_alikes, orientations, signature


def signature_of(image):
    """Of an image (*spatial) in one go."""
    return signature(cell_sums(image[None], [cell_shares(n, CELLS[image.ndim]) for n in image.shape]))


def scene(seed, shape):
    """Smooth random greys, no two alike."""
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), min(shape) / 10)


def correlation(one, other):
    pairs, found = look_alikes(np.stack([signature_of(one), signature_of(other)]), one.ndim, -1.0)
    assert pairs.tolist() == [[0, 1]]
    return found[0]


def turned(image):
    """All orientations of an array, made in another way than the source does."""
    if image.ndim == 2:
        return [np.rot90(flip, turns) for flip in (image, image.T) for turns in range(4)]
    planes = ((0, 1), (1, 2), (0, 2))
    return [np.rot90(flip, k, axes) for axes in planes for flip in (image, image[::-1]) for k in range(4)]


@pytest.mark.parametrize("shape", [(64, 64), (37, 53), (9, 70), (3, 3), (20, 31, 17), (5, 8, 8)])
def test_flipped_turned_and_stretched_images_are_the_same(shape):
    """Whatever the size: pixels on a border between cells are shared out."""
    image = scene(0, shape)
    for other in turned(image):
        assert correlation(image, 3 * other - 7) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shape", [(64, 48), (24, 20, 28)])
def test_others_are_not(shape):
    assert correlation(scene(0, shape), scene(1, shape)) < 0.9


def test_dark_corners_and_slanted_light_are_no_likeness():
    """Nearly all of what is seen is the light, in both; without textures there is nothing to tell."""
    y, x = np.mgrid[-1:1:96j, -1:1:128j]
    light = 100 - 40 * (x**2 + y**2) + 15 * x
    textures = [scene(seed, light.shape) for seed in (0, 1)]
    seen = [light + 3 * texture / texture.std() for texture in textures]
    assert np.corrcoef(seen[0].ravel(), seen[1].ravel())[0, 1] > 0.95
    assert correlation(*seen) == pytest.approx(correlation(*textures), abs=0.1)
    assert not signature_of(light).any()


def test_all_orientations_are_there():
    assert len({tuple(turn) for turn in orientations(2)}) == 8
    assert len({tuple(turn) for turn in orientations(3)}) == 48


def test_cells_are_sums_whatever_the_pieces():
    """A known answer, and the same from strips."""
    image = np.arange(32 * 16).reshape(1, 32, 16)
    shares = [cell_shares(32, 16), cell_shares(16, 16)]
    sums = cell_sums(image, shares)
    np.testing.assert_allclose(sums, image[0].reshape(16, 2, 16).sum(axis=1))
    strips = [cell_sums(image[:, at], [shares[0][:, at], shares[1]]) for at in (slice(0, 7), slice(7, 32))]
    np.testing.assert_allclose(sum(strips), sums)
    np.testing.assert_allclose(cell_shares(37, 16).sum(axis=0), 1)
    np.testing.assert_allclose(cell_shares(37, 16), cell_shares(37, 16)[::-1, ::-1], atol=1e-12)


def test_images_of_one_value_are_like_nothing():
    assert not signature_of(np.full((40, 40), 0.1)).any()
    pairs, _ = look_alikes(np.stack([signature_of(np.full((40, 40), v)) for v in (0.0, 1.0)]), 2, 0.5)
    assert len(pairs) == 0


@pytest.mark.parametrize("dims", [2, 3])
def test_groups_are_those_of_all_pairs(dims):
    """Against all pairs in all orientations at once: the same groups, and nobody below the limit."""
    rng, count, least = np.random.default_rng(3), 150, 0.7
    cells = CELLS[dims] ** dims
    base = rng.normal(size=(30, cells))
    noise = rng.uniform(0.2, 1.5, (count, 1)) * rng.normal(size=(count, cells))
    noisy = base[rng.integers(30, size=count)] + noise
    turns = orientations(dims)
    turned = [row[turns[rng.integers(len(turns))]].reshape((CELLS[dims],) * dims) for row in noisy]
    made = np.stack([signature(each) for each in turned])
    best = np.max([made @ made[:, turn].T for turn in turns], axis=0)
    expected = np.argwhere(np.triu(best >= least, 1))
    pairs, found = look_alikes(made, dims, least)
    np.testing.assert_array_equal(components(pairs, count), components(expected, count))
    np.testing.assert_allclose(found, best[tuple(pairs.T)], atol=1e-5)
    assert len(expected) > 20


def test_blocks_of_rows_make_no_difference(monkeypatch):
    rng = np.random.default_rng(0)
    made = np.stack([signature(each) for each in rng.normal(size=(40, 16, 16))]).repeat(3, axis=0)[rng.permutation(120)]
    groups = components(look_alikes(made, 2, 0.99)[0], 120)
    monkeypatch.setattr("snakeseg.signatures.ROWS", 7)
    np.testing.assert_array_equal(components(look_alikes(made, 2, 0.99)[0], 120), groups)
    assert groups.max() == 39
