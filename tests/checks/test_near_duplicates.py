"""Only near-duplicates are found, in any orientation and at any brightness."""

import numpy as np
import pytest
from scipy import ndimage

from snakeseg.checks.near_duplicates import (
    GRID_BOXES,
    all_orientations,
    box_coverage,
    box_sums,
    connected_components,
    find_near_duplicates,
    invariants,
    normalised_signature,
)


def signature_of(image):
    """Compute the signature of an image, shape (*spatial)."""
    return normalised_signature(box_sums(image[None], [box_coverage(n, GRID_BOXES[image.ndim]) for n in image.shape]))


def random_scene(seed, shape):
    """Generate smooth random intensities; no two scenes are similar."""
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), min(shape) / 10)


def correlation(first, second):
    pairs, correlations = find_near_duplicates(np.stack([signature_of(first), signature_of(second)]), first.ndim, -1.0)
    assert pairs.tolist() == [[0, 1]]
    return correlations[0]


def orientations_of(image):
    """Return all orientations of an array, computed independently of the source."""
    if image.ndim == 2:
        return [np.rot90(flip, turns) for flip in (image, image.T) for turns in range(4)]
    planes = ((0, 1), (1, 2), (0, 2))
    return [np.rot90(flip, k, axes) for axes in planes for flip in (image, image[::-1]) for k in range(4)]


@pytest.mark.parametrize("shape", [(64, 64), (37, 53), (9, 70), (3, 3), (20, 31, 17), (5, 8, 8)])
def test_flipped_rotated_and_rescaled_images_have_correlation_1(shape):
    """This holds for any size, because pixels on a border between boxes are divided."""
    image = random_scene(0, shape)
    for other in orientations_of(image):
        assert correlation(image, 3 * other - 7) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shape", [(64, 48), (24, 20, 28)])
def test_different_images_have_low_correlation(shape):
    assert correlation(random_scene(0, shape), random_scene(1, shape)) < 0.9


def test_uneven_illumination_does_not_make_images_similar():
    """Illumination dominates both images; without texture, the signature is 0."""
    y, x = np.mgrid[-1:1:96j, -1:1:128j]
    light = 100 - 40 * (x**2 + y**2) + 15 * x
    textures = [random_scene(seed, light.shape) for seed in (0, 1)]
    images = [light + 3 * texture / texture.std() for texture in textures]
    assert np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1] > 0.95
    assert correlation(*images) == pytest.approx(correlation(*textures), abs=0.1)
    assert not signature_of(light).any()


def test_all_orientations_are_distinct():
    assert len({tuple(turn) for turn in all_orientations(2)}) == 8
    assert len({tuple(turn) for turn in all_orientations(3)}) == 48


def test_box_sums_of_strips_add_up():
    """Sums over boxes are correct, and those of strips add up to them."""
    image = np.arange(32 * 16).reshape(1, 32, 16)
    shares = [box_coverage(32, 16), box_coverage(16, 16)]
    sums = box_sums(image, shares)
    np.testing.assert_allclose(sums, image[0].reshape(16, 2, 16).sum(axis=1))
    strips = [box_sums(image[:, at], [shares[0][:, at], shares[1]]) for at in (slice(0, 7), slice(7, 32))]
    np.testing.assert_allclose(sum(strips), sums)
    np.testing.assert_allclose(box_coverage(37, 16).sum(axis=0), 1)
    np.testing.assert_allclose(box_coverage(37, 16), box_coverage(37, 16)[::-1, ::-1], atol=1e-12)


def test_constant_images_have_no_near_duplicates():
    assert not signature_of(np.full((40, 40), 0.1)).any()
    pairs, _ = find_near_duplicates(np.stack([signature_of(np.full((40, 40), v)) for v in (0.0, 1.0)]), 2, 0.5)
    assert len(pairs) == 0


@pytest.mark.parametrize("dims", [2, 3])
def test_groups_equal_those_of_a_comparison_of_all_pairs(dims):
    """Groups agree with a comparison of all pairs in all orientations, and no pair is below the limit."""
    rng, count, min_correlation = np.random.default_rng(3), 150, 0.7
    cells = GRID_BOXES[dims] ** dims
    base = rng.normal(size=(30, cells))
    noise = rng.uniform(0.2, 1.5, (count, 1)) * rng.normal(size=(count, cells))
    noisy = base[rng.integers(30, size=count)] + noise
    turns = all_orientations(dims)
    turned = [row[turns[rng.integers(len(turns))]].reshape((GRID_BOXES[dims],) * dims) for row in noisy]
    signatures = np.stack([normalised_signature(cells) for cells in turned])
    best = np.max([signatures @ signatures[:, turn].T for turn in turns], axis=0)
    expected = np.argwhere(np.triu(best >= min_correlation, 1))
    pairs, correlations = find_near_duplicates(signatures, dims, min_correlation)
    np.testing.assert_array_equal(connected_components(pairs, count), connected_components(expected, count))
    np.testing.assert_allclose(correlations, best[tuple(pairs.T)], atol=1e-5)
    assert len(expected) > 20


def test_groups_do_not_depend_on_blocks_of_rows(monkeypatch):
    rng = np.random.default_rng(0)
    signatures = np.stack([normalised_signature(cells) for cells in rng.normal(size=(40, 16, 16))]).repeat(3, axis=0)[
        rng.permutation(120)
    ]
    groups = connected_components(find_near_duplicates(signatures, 2, 0.99)[0], 120)
    monkeypatch.setattr("snakeseg.checks.near_duplicates.ROWS_PER_BLOCK", 7)
    np.testing.assert_array_equal(connected_components(find_near_duplicates(signatures, 2, 0.99)[0], 120), groups)
    assert groups.max() == 39


@pytest.mark.parametrize("dims", [2, 3])
def test_invariants_of_near_duplicates_are_close(dims):
    """Invariants are equal in all orientations, have length 1, and are never further apart than the signatures."""
    rng = np.random.default_rng(1)
    signatures = np.stack([normalised_signature(cells) for cells in rng.normal(size=(30, *(GRID_BOXES[dims],) * dims))])
    signatures[1] = normalised_signature((signatures[0] + 0.3 * signatures[2]).reshape((GRID_BOXES[dims],) * dims))
    invariant = invariants(signatures, dims)
    for turn in all_orientations(dims):
        np.testing.assert_allclose(invariants(signatures[:, turn], dims), invariant, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(invariant, axis=1), 1, atol=1e-5)
    best = np.max([signatures @ signatures[:, turn].T for turn in all_orientations(dims)], axis=0)
    assert (invariant @ invariant.T >= best - 1e-5).all()


def test_nearly_all_pairs_of_many_images_are_found(monkeypatch):
    """Random trees with small leaves find nearly all planted pairs."""
    monkeypatch.setattr("snakeseg.checks.near_duplicates.LEAF", 64)
    rng, count = np.random.default_rng(5), 2000
    base = np.stack([normalised_signature(cells) for cells in rng.normal(size=(count, 16, 16))])
    noise = np.stack([normalised_signature(cells) for cells in rng.normal(size=(count // 10, 16, 16))])
    turns = all_orientations(2)
    for i, noise_signature in enumerate(noise):  # correlation 0.97
        base[count // 2 + i] = normalised_signature((base[i] + 0.25 * noise_signature)[turns[i % 8]].reshape(16, 16))
    pairs, _ = find_near_duplicates(base, 2, 0.95)
    detected = {tuple(sorted(pair)) for pair in pairs.tolist()}
    planted = {(i, count // 2 + i) for i in range(count // 10)}
    assert detected <= planted
    assert len(detected) > 0.98 * len(planted)


def test_copies_of_one_image_are_one_group(monkeypatch):
    monkeypatch.setattr("snakeseg.checks.near_duplicates.LEAF", 32)
    signatures = np.repeat(normalised_signature(np.random.default_rng(0).normal(size=(16, 16)))[None], 500, axis=0)
    pairs, _ = find_near_duplicates(signatures, 2, 0.95)
    assert connected_components(pairs, 500).max() == 0
    assert len(pairs) < 500 * 32
