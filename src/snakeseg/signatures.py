"""Small signatures of images, by which look-alikes among many are found without comparing all pixels of all pairs."""

from collections.abc import Sequence
from functools import cache
from itertools import permutations, product

import numpy as np
from scipy.sparse import coo_array, csgraph

# Cells along each axis, by number of axes.
CELLS = {2: 16, 3: 8}
# Images that are compared with all later ones at a time.
ROWS = 128


def cell_shares(pixels: int, cells: int) -> np.ndarray:
    """How much of every pixel of an axis lies in each of its equal cells; shape (cells, pixels).

    Pixels on a border between cells are shared out, so that a flipped image has flipped cells whatever its size.
    """
    borders, start = np.arange(cells + 1) * pixels / cells, np.arange(pixels)
    overlap = np.minimum(borders[1:, None], start + 1) - np.maximum(borders[:-1, None], start)
    return np.clip(overlap, 0, None)


def cell_sums(part: np.ndarray, shares: Sequence[np.ndarray]) -> np.ndarray:
    """What a part of an image adds to the sums over its cells.

    Parameters
    ----------
    part : array, shape (channels, *spatial)
    shares : sequence of array, shape (cells, size of the part), one per spatial axis
        From `cell_shares`, cut to the part.

    Returns
    -------
    float64 array, shape (cells, ...), one axis per spatial axis
    """
    sums = part.sum(axis=0, dtype=np.float64)
    for share in reversed(shares):
        sums = np.moveaxis(sums @ share.T, -1, 0)
    return sums


def signature(sums: np.ndarray) -> np.ndarray:
    """Sums over cells as a vector of length 1, which brightness, contrast and smooth shading do not change.

    What a polynomial of the second degree explains is taken out: slanted light and dark corners are no likeness.

    Returns
    -------
    float32 array, shape (cells ** axes,)
        All 0 if not a millionth is left, so that nothing can be told.
    """
    smooth, flat = _smooth(sums.shape), sums.ravel()
    rest = flat - smooth @ (smooth.T @ flat)
    length = np.linalg.norm(rest)
    return (rest / length if length > 1e-6 * np.linalg.norm(flat) else np.zeros_like(rest)).astype(np.float32)


def look_alikes(signatures: np.ndarray, dims: int, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of images whose signatures correlate in some orientation, as many as tell who is linked to whom.

    Parameters
    ----------
    signatures : float32 array, shape (images, cells ** dims)
        From `signature`.
    dims : int
        Number of axes; there are 8 orientations of two, 48 of three (all flips and exchanges of axes).
    least : float
        Correlation of a pair, in the best orientation.

    Returns
    -------
    pairs : int array, shape (n, 2)
        Not all of those that are linked through others anyhow.
    correlations : float32 array, shape (n,)

    Notes
    -----
    All pairs are compared, by products of matrices: 2048 multiplications each in two dimensions, 24576 in three. At 50
    thousand million a second, which is one core, 10 000 images take 2 seconds and 100 000 three or four minutes; 10 000
    volumes half a minute. Memory is some kB for each image.
    """
    turns, component = orientations(dims), np.arange(len(signatures))
    pairs, found = np.zeros((0, 2), np.intp), np.zeros(0, np.float32)
    for start in range(0, len(signatures), ROWS):
        correlations = _best(signatures[start : start + ROWS], signatures[start:], turns)
        close = start + np.argwhere(np.triu(correlations >= least, 1))
        new = close[component[close[:, 0]] != component[close[:, 1]]]
        if len(new):
            pairs = np.concatenate([pairs, new])
            found = np.concatenate([found, correlations[tuple((new - start).T)]])
            component = components(pairs, len(signatures))
    return pairs, found


def components(pairs: np.ndarray, count: int) -> np.ndarray:
    """Number of the group that each of `count` things is in, if pairs (n, 2) are linked."""
    graph = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(count, count))
    return csgraph.connected_components(graph, directed=False)[1]


def orientations(dims: int) -> np.ndarray:
    """Where the cells of a signature come from in each orientation, shape (orientations, cells ** dims)."""
    places = np.arange(CELLS[dims] ** dims).reshape((CELLS[dims],) * dims)
    ways = product(permutations(range(dims)), product((1, -1), repeat=dims))
    return np.array([
        places.transpose(axes)[tuple(slice(None, None, step) for step in steps)].ravel() for axes, steps in ways
    ])  # fmt: skip


@cache
def _smooth(shape: tuple[int, ...]) -> np.ndarray:
    """Orthonormal polynomials of degree 0 to 2 on a grid; shape (cells, polynomials)."""
    axes = np.stack(np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij"), axis=-1)
    powers = [p for p in product(range(3), repeat=len(shape)) if sum(p) <= 2]
    return np.linalg.qr(np.stack([(axes**p).prod(axis=-1).ravel() for p in powers], axis=1))[0]


def _best(some: np.ndarray, others: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Largest correlation over all orientations, shape (some, others)."""
    best = np.full((len(some), len(others)), -1, np.float32)
    for turn in turns:
        np.maximum(best, some[:, turn] @ others.T, out=best)
    return best
