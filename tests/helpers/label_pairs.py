"""Pairs of true and predicted label images for comparing implementations: degenerate pairs, then random ones."""

import numpy as np
from scipy import ndimage


def degenerate_pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Make pairs of empty, full, halved and cut images, in both orders, in 2D and 3D."""
    empty, full, pixel = np.zeros((5, 6), int), np.ones((5, 6), int), np.zeros((5, 6), int)
    pixel[2, 3] = 7
    halves, many = full.copy(), np.arange(1, 31).reshape(5, 6)
    halves[:, 3:] = 2
    cut = np.zeros((9, 9), int)
    cut[1:8, 1:8] = 4
    pieces = np.where(cut, 1 + (np.arange(9) > 4), 0)
    pieces[:, 4] = 0
    images = (empty, full, pixel, halves, many)
    pairs = [(a, b) for a in images for b in images]
    pairs += [(cut, pieces), (pieces, cut), (cut, cut.T * 3), (np.zeros((1, 1), int), np.ones((1, 1), int))]
    return pairs + [(np.stack([a, b]), np.stack([b, b])) for a, b in pairs]


def random_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make random objects in 2D or 3D; the prediction is shifted, cut, joined and noisy."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(6, 22, 2)) if seed % 3 else tuple(rng.integers(4, 11, 3))
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.7, 2))
    truth = ndimage.label(smooth > np.quantile(smooth, rng.uniform(0.3, 0.8)))[0]
    predicted = np.roll(truth, rng.integers(-2, 3), axis=rng.integers(len(shape)))
    if rng.random() < 0.5:  # join and rename
        predicted = rng.integers(0, truth.max() + 2, truth.max() + 1)[predicted] * (predicted > 0)
    if rng.random() < 0.5:  # cut
        predicted = np.where(np.arange(shape[-1]) > shape[-1] // 2, predicted + 50 * (predicted > 0), predicted)
    noise = rng.random(shape)
    predicted = np.where(noise < 0.03, 0, np.where(noise > 0.98, rng.integers(1, 9), predicted))
    return truth, predicted


PAIRS = [*degenerate_pairs(), *(random_pair(seed) for seed in range(200))]
