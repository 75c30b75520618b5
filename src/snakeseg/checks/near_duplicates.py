"""Small signatures of images, by which look-alikes among many are found without comparing all pixels of all pairs."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import permutations, product

import numpy as np
from scipy import fft
from scipy.sparse import coo_array, csgraph

# Cells along each axis, by number of axes.
CELLS = {2: 16, 3: 8}
# Images that are compared with all later ones of their leaf at a time.
ROWS = 128
# Images of a leaf, and trees: what is missed of many images is measured in benchmarks/look_alikes.py.
LEAF, TREES = 4096, 16
# Error of a product of two vectors of length 1.
ROUNDING = 1e-4


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


def near_duplicates(signatures: np.ndarray, dims: int, least: float) -> tuple[np.ndarray, np.ndarray]:
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
    Up to `LEAF` images, none is missed. Of more, those are compared that any of `TREES` random trees leaves in one
    leaf (random projection trees, Dasgupta and Freund 2008): `TREES * LEAF / 2` comparisons for each image, so that
    the cost is linear in images but for a logarithm. What is compared are `invariants`; only pairs that these do not
    tell apart are compared in all orientations.
    """
    turns, component, blurred = orientations(dims), np.arange(len(signatures)), invariants(signatures, dims)
    pairs, found = np.zeros((0, 2), np.intp), np.zeros(0, np.float32)
    for one, other in _candidates(blurred, least):
        apart = component[one] != component[other]
        if not apart.any():
            continue
        (rows, row), (columns, column) = (np.unique(ends[apart], return_inverse=True) for ends in (one, other))
        correlations = _best(signatures[rows], signatures[columns], turns)[row, column]
        close = correlations >= least
        if close.any():
            pairs = np.concatenate([pairs, np.stack([rows[row], columns[column]], axis=1)[close]])
            found = np.concatenate([found, correlations[close]])
            component = components(pairs, len(signatures))
    return pairs, found


def invariants(signatures: np.ndarray, dims: int) -> np.ndarray:
    """Vectors that are the same in every orientation, and as far apart as signatures in their best one, or less.

    They are the sizes of the coefficients of the cosine transform: a flip changes nothing but their signs, and an
    exchange of axes their places, so that those which it can exchange are sorted. None of it makes a distance longer,
    or changes a length.

    Returns
    -------
    float32 array, shape (images, coefficients)
    """
    places = np.arange(CELLS[dims] ** dims).reshape((CELLS[dims],) * dims)
    exchanged = np.stack([places.transpose(axes).ravel() for axes in permutations(range(dims))], axis=1)
    exchanged = np.unique(np.sort(exchanged, axis=1), axis=0)
    # Coefficients that an exchange leaves in their place are listed more than once.
    different = 1 + np.count_nonzero(np.diff(exchanged, axis=1), axis=1, keepdims=True)
    waves = fft.dctn(signatures.reshape(-1, *places.shape), axes=range(1, dims + 1), norm="ortho")
    sizes = np.sort(np.abs(waves).reshape(len(signatures), -1)[:, exchanged], axis=-1)
    return (sizes * np.sqrt(different / exchanged.shape[1])).reshape(len(signatures), -1).astype(np.float32)


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


def _candidates(vectors: np.ndarray, least: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs whose products reach a limit, block by block: numbers of the one, and of the other, which are larger."""
    rng = np.random.default_rng(0)
    for _ in range(1 if len(vectors) <= LEAF else TREES):
        for leaf in _leaves(vectors, rng):
            own = vectors[leaf]
            for start in range(0, len(leaf), ROWS):
                alike = np.triu(own[start : start + ROWS] @ own[start:].T >= least - ROUNDING, 1)
                one, other = start + np.stack(alike.nonzero())
                yield leaf[one], leaf[other]


def _leaves(vectors: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Halves of halves, each along the line through two random members, until `LEAF` or fewer are left together."""
    # In random order, so that equal vectors are not halved in the same way in every tree.
    parts = [rng.permutation(len(vectors))]
    while parts:
        part = parts.pop()
        if len(part) <= LEAF:
            yield np.sort(part)
            continue
        one, other = vectors[rng.choice(part, 2, replace=False)]
        order = part[np.argsort(vectors[part] @ (one - other), kind="stable")]
        parts += [order[: len(order) // 2], order[len(order) // 2 :]]


def _best(some: np.ndarray, others: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Largest correlation over all orientations, shape (some, others)."""
    best = np.full((len(some), len(others)), -1, np.float32)
    for turn in turns:
        np.maximum(best, some[:, turn] @ others.T, out=best)
    return best
