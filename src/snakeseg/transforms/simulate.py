"""Simulate fluorescence microscopy images of touching cells, with labels, for the demos."""

import numpy as np
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import watershed


def simulate_cells(rng: np.random.Generator, shape: tuple[int, ...], cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulate an image of textured cells, many of which touch, with blur, uneven illumination and noise.

    Parameters
    ----------
    rng : Generator
    shape : tuple of int
        Shape of the image, with two or three axes.
    cells : int
        Approximate number of cells. They are clustered, and stop growing where they meet.

    Returns
    -------
    image : uint8 array, shape (*shape)
    labels : uint16 array, shape (*shape)
        0 is background, cells have the ids 1..n, each in one piece. Touching cells have no background between them.
    """
    labels = _grow_cells(rng, shape, cells)
    signal = _brightness(rng, labels) * _texture(rng, shape, 3, 0.25)
    # Membranes are dim: a dark rim, later blurred, separates neighbouring cells.
    rim = ndimage.grey_erosion(labels, size=3) != ndimage.grey_dilation(labels, size=3)
    signal[rim] *= 0.45
    light = _texture(rng, shape, max(shape) / 3, 0.35)
    blurred = ndimage.gaussian_filter((signal + 0.08) * light, 1.1)
    photons = rng.poisson(np.clip(blurred, 0, None) * 120)
    image = photons / 120 + rng.normal(0, 0.02, shape)
    return np.clip(image * 170, 0, 255).astype(np.uint8), labels.astype(np.uint16)


def _grow_cells(rng: np.random.Generator, shape: tuple[int, ...], cells: int) -> np.ndarray:
    """Grow irregular cells around clustered seeds, each to its own radius or to the border of a neighbour."""
    clusters = rng.uniform(0, shape, (max(1, cells // 6), len(shape)))
    radius = 0.5 * (np.prod(shape) / cells) ** (1 / len(shape))
    centres = clusters[rng.integers(len(clusters), size=cells)] + rng.normal(0, 2.2 * radius, (cells, len(shape)))
    centres = centres[((centres >= 0) & (centres < shape)).all(axis=1)]
    centres = _keep_apart(centres, radius)
    seeds = np.zeros(shape, np.int32)
    seeds[tuple(centres.astype(int).T)] = np.arange(1, len(centres) + 1)
    distance = ndimage.distance_transform_edt(seeds == 0)
    ragged = distance * _texture(rng, shape, radius / 2, 0.3)
    sizes = np.concatenate([[0], rng.uniform(0.6, 1.0, len(centres)) * radius])
    territory = watershed(ragged, seeds)
    return number_from_one(keep_largest_pieces(np.where(ragged < sizes[territory], territory, 0)))


def _keep_apart(centres: np.ndarray, radius: float) -> np.ndarray:
    """Drop centres that lie closer than 1.1 radii to an earlier one."""
    kept: list[np.ndarray] = []
    for centre in centres:
        if all(np.linalg.norm(centre - other) > 1.1 * radius for other in kept):
            kept.append(centre)
    return np.reshape(kept, (-1, centres.shape[1]))


def keep_largest_pieces(labels: np.ndarray) -> np.ndarray:
    """Set all pieces of each id but the largest one to 0; pieces are connected by faces of pixels."""
    pieces = label(labels, background=0, connectivity=1)
    sizes = np.bincount(pieces.ravel())
    ids = np.zeros(len(sizes), np.int64)
    ids[pieces] = labels
    by_size = np.argsort(sizes, kind="stable")
    largest = np.zeros(labels.max() + 1, np.int64)
    largest[ids[by_size]] = by_size  # of pieces with the same id, the last one, the largest, remains
    return np.where(pieces == largest[labels], labels, 0)


def number_from_one(labels: np.ndarray) -> np.ndarray:
    """Renumber the values of a label image to 0..n in increasing order."""
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def _brightness(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    level = np.concatenate([[0], rng.uniform(0.45, 1.0, labels.max())])
    return level[labels]


def _texture(rng: np.random.Generator, shape: tuple[int, ...], scale: float, strength: float) -> np.ndarray:
    """Draw a smooth random field with mean 1, a correlation length in pixels (`scale`) and a standard deviation."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), scale, mode="reflect")
    return 1 + strength * np.clip(noise / noise.std(), -2, 2)
