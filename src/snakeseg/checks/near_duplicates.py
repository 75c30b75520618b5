"""Detect near-duplicate images by compact signatures, without comparing all pixels of all pairs."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import permutations, product

import numpy as np
from scipy import fft
from scipy.sparse import coo_array, csgraph

# Number of cells along each axis, by number of axes.
GRID_BOXES = {2: 16, 3: 8}
# Number of images compared with all later ones of their leaf at a time.
ROWS_PER_BLOCK = 128
# Maximum number of images in a leaf of a tree, and number of trees; benchmarks/look_alikes.py measures the share of
# near-duplicates that they miss.
LEAF, TREES = 4096, 16
# Bound of the rounding error of a product of two vectors of length 1.
ROUNDING_ERROR = 1e-4


def box_coverage(pixels: int, cells: int) -> np.ndarray:
    """Compute the share of each pixel of an axis that lies in each of its equal cells.

    A pixel on a border between cells is divided between them. Therefore, flipping an image flips its cells, whatever
    its size.

    Parameters
    ----------
    pixels, cells : int
        Number of pixels and of cells along the axis.

    Returns
    -------
    float64 array, shape (cells, pixels)
        From 0 to 1.
    """
    borders, start = np.arange(cells + 1) * pixels / cells, np.arange(pixels)
    overlap = np.minimum(borders[1:, None], start + 1) - np.maximum(borders[:-1, None], start)
    return np.clip(overlap, 0, None)


def box_sums(part: np.ndarray, shares: Sequence[np.ndarray]) -> np.ndarray:
    """Sum the intensities of a part of an image over cells; the sums of all parts add up to those of the image.

    Parameters
    ----------
    part : array, shape (channels, *spatial)
        Part of an image.
    shares : sequence of array, shape (cells, size of the part), one per spatial axis
        From `box_coverage`, restricted to the pixels of the part.

    Returns
    -------
    float64 array, shape (cells, ...), one axis per spatial axis
        Sums over channels and cells.
    """
    sums = part.sum(axis=0, dtype=np.float64)
    for share in reversed(shares):
        sums = np.moveaxis(sums @ share.T, -1, 0)
    return sums


def normalised_signature(sums: np.ndarray) -> np.ndarray:
    """Compute the signature of an image: a vector of length 1, invariant to brightness, contrast and smooth shading.

    A polynomial of degree 2 is fitted to the cells and subtracted, so that vignetting and uneven illumination do not
    make different images similar.

    Parameters
    ----------
    sums : float64 array, shape (cells, ...), one axis per spatial axis
        From `box_sums`.

    Returns
    -------
    float32 array, shape (cells ** axes,)
        All 0 if the residual is less than a millionth of the sums.
    """
    smooth, flat = _smooth_basis(sums.shape), sums.ravel()
    residual = flat - smooth @ (smooth.T @ flat)
    length = np.linalg.norm(residual)
    return (residual / length if length > 1e-6 * np.linalg.norm(flat) else np.zeros_like(residual)).astype(np.float32)


def find_near_duplicates(signatures: np.ndarray, dims: int, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Find pairs of images whose signatures correlate in any orientation.

    Parameters
    ----------
    signatures : float32 array, shape (images, cells ** dims)
        From `normalised_signature`.
    dims : int
        Number of spatial axes. There are 8 orientations for two and 48 for three (all flips and permutations of axes).
    least : float
        Minimum correlation of a pair, in its best orientation.

    Returns
    -------
    pairs : int array, shape (n, 2)
        Indices of images. The pairs suffice for `connected_components`: pairs that others already connect
        may be missing.
    correlations : float32 array, shape (n,)
        Correlation of each pair.

    Notes
    -----
    All pairs of up to `LEAF` images are compared. Of more images, pairs are compared that at least one of `TREES`
    random projection trees puts into the same leaf (Dasgupta and Freund, 2008): at most `TREES * LEAF / 2` comparisons
    for each image, so that the cost is proportional to the number of images, up to a logarithm. Candidates are
    selected by `invariants`; only these are compared in all orientations.
    """
    turns, component = all_orientations(dims), np.arange(len(signatures))
    pairs, correlations = np.zeros((0, 2), np.intp), np.zeros(0, np.float32)
    for first, second in _candidates(invariants(signatures, dims), least):
        separate = component[first] != component[second]
        if not separate.any():
            continue
        (rows, row), (columns, column) = (np.unique(ends[separate], return_inverse=True) for ends in (first, second))
        candidates = _best_correlations(signatures[rows], signatures[columns], turns)[row, column]
        close = candidates >= least
        if close.any():
            pairs = np.concatenate([pairs, np.stack([rows[row], columns[column]], axis=1)[close]])
            correlations = np.concatenate([correlations, candidates[close]])
            component = connected_components(pairs, len(signatures))
    return pairs, correlations


def invariants(signatures: np.ndarray, dims: int) -> np.ndarray:
    """Compute vectors that do not depend on the orientation, and whose distances never exceed those of the signatures.

    The vectors hold the magnitudes of the coefficients of the discrete cosine transform. A flip changes only the signs
    of coefficients. A permutation of axes exchanges coefficients; those that can be exchanged are sorted. Neither step
    increases a distance or changes a length.

    Parameters
    ----------
    signatures : float32 array, shape (images, cells ** dims)
        From `normalised_signature`.
    dims : int
        Number of spatial axes, 2 or 3.

    Returns
    -------
    float32 array, shape (images, coefficients)
        Vectors of the same lengths as the signatures.
    """
    indices = np.arange(GRID_BOXES[dims] ** dims).reshape((GRID_BOXES[dims],) * dims)
    exchanged = np.stack([indices.transpose(axes).ravel() for axes in permutations(range(dims))], axis=1)
    exchanged = np.unique(np.sort(exchanged, axis=1), axis=0)
    # A coefficient that some permutation leaves in its place is listed more than once.
    different = 1 + np.count_nonzero(np.diff(exchanged, axis=1), axis=1, keepdims=True)
    coefficients = fft.dctn(signatures.reshape(-1, *indices.shape), axes=range(1, dims + 1), norm="ortho")
    magnitudes = np.sort(np.abs(coefficients).reshape(len(signatures), -1)[:, exchanged], axis=-1)
    weighted = magnitudes * np.sqrt(different / exchanged.shape[1])
    return weighted.reshape(len(signatures), -1).astype(np.float32)


def connected_components(pairs: np.ndarray, count: int) -> np.ndarray:
    """Compute connected components.

    Parameters
    ----------
    pairs : int array, shape (n, 2)
        Pairs of connected nodes.
    count : int
        Number of nodes.

    Returns
    -------
    int array, shape (count,)
        Number of the component of each node.
    """
    graph = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(count, count))
    return csgraph.connected_components(graph, directed=False)[1]


def all_orientations(dims: int) -> np.ndarray:
    """Return for each orientation the indices that reorder the cells of a signature.

    Returns
    -------
    int array, shape (orientations, cells ** dims)
        ``signature[indices]`` is the signature of the flipped or transposed image.
    """
    indices = np.arange(GRID_BOXES[dims] ** dims).reshape((GRID_BOXES[dims],) * dims)
    transforms = product(permutations(range(dims)), product((1, -1), repeat=dims))
    return np.array([
        indices.transpose(axes)[tuple(slice(None, None, step) for step in steps)].ravel() for axes, steps in transforms
    ])  # fmt: skip


@cache
def _smooth_basis(shape: tuple[int, ...]) -> np.ndarray:
    """Return orthonormal polynomials of degree 0 to 2 on a grid, shape (cells, polynomials)."""
    axes = np.stack(np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij"), axis=-1)
    powers = [p for p in product(range(3), repeat=len(shape)) if sum(p) <= 2]
    return np.linalg.qr(np.stack([(axes**p).prod(axis=-1).ravel() for p in powers], axis=1))[0]


def _candidates(vectors: np.ndarray, least: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of vectors whose product reaches `least`, block by block: two index arrays, first below second."""
    rng = np.random.default_rng(0)
    for _ in range(1 if len(vectors) <= LEAF else TREES):
        for leaf in _leaves(vectors, rng):
            members = vectors[leaf]
            for start in range(0, len(leaf), ROWS_PER_BLOCK):
                similar = np.triu(
                    members[start : start + ROWS_PER_BLOCK] @ members[start:].T >= least - ROUNDING_ERROR, 1
                )
                first, second = start + np.stack(similar.nonzero())
                yield leaf[first], leaf[second]


def _leaves(vectors: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Halve the vectors along the line through two random members, recursively, and yield parts of up to `LEAF`."""
    # In random order, so that equal vectors are divided differently in each tree.
    parts = [rng.permutation(len(vectors))]
    while parts:
        part = parts.pop()
        if len(part) <= LEAF:
            yield np.sort(part)
            continue
        first, second = vectors[rng.choice(part, 2, replace=False)]
        order = part[np.argsort(vectors[part] @ (first - second), kind="stable")]
        parts += [order[: len(order) // 2], order[len(order) // 2 :]]


def _best_correlations(rows: np.ndarray, columns: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return the largest correlation over all orientations, shape (rows, columns)."""
    best = np.full((len(rows), len(columns)), -1, np.float32)
    for turn in turns:
        np.maximum(best, rows[:, turn] @ columns.T, out=best)
    return best
