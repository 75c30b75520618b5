"""Warping error in 2D: topological differences that no shift of a border removes (Jain et al. 2010)."""

import numpy as np

# Offsets (row, column) of the eight neighbours of a pixel, counterclockwise from the right.
NEIGHBOURS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def _simple_points() -> np.ndarray:
    """Tabulate which neighbourhoods make a pixel simple: bool array, shape (256,).

    The index is the code of a neighbourhood, one bit per neighbour in the order of `NEIGHBOURS`. A pixel is simple if
    flipping it changes no component of the foreground (connected by faces) and none of the background (connected by
    faces and corners), that is, if the connectivity number of Yokoi et al. 1975 is 1.
    """
    x = (np.arange(256)[:, None] >> np.arange(8)) & 1
    number = sum(x[:, k] - x[:, k] * x[:, k + 1] * x[:, (k + 2) % 8] for k in (0, 2, 4, 6))
    return number == 1


IS_SIMPLE = _simple_points()


def warp_to_prediction(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Deform the truth towards the prediction without changing its topology.

    Simple pixels of the truth that differ from the prediction are flipped until none is left. As in the ISBI 2012
    challenge, the foreground is connected by faces and the background by faces and corners, pixels outside the image
    are background, and a border may move any distance. If flips exclude each other, their order decides: each round
    flips pixels of even rows and even columns (counted from 0), then even rows and odd columns, then odd rows and even
    columns, then odd rows and odd columns.

    Parameters
    ----------
    truth, predicted : bool arrays, shape (rows, columns)
        True inside objects. Objects that touch must be separated first (`separate_touching`).

    Returns
    -------
    bool array, shape (rows, columns)
        The warped truth, with the components and holes of the truth. The warping error is the fraction of its pixels
        that differ from the prediction: 0 to 1, lower is better. A false object, hole or bridge between objects counts
        with all of its pixels, a missed one with a single pixel.

    References
    ----------
    Jain et al. 2010, Boundary learning by optimization with topological constraints.
    """
    warped, target = (np.pad(mask, 1).astype(np.uint8).reshape(-1) for mask in (truth, predicted))
    width = truth.shape[1] + 2
    steps = np.array([row * width + column for row, column in NEIGHBOURS])
    active = np.flatnonzero(warped != target)
    while active.size:
        # Pixels of one subfield are not neighbours, so flipping them at once equals flipping them one by one.
        subfield = active // width % 2 * 2 + active % width % 2
        flipped = [_flip(warped, active[subfield == index], steps) for index in (3, 2, 1, 0)]
        near = (np.concatenate(flipped)[:, None] + steps).reshape(-1)
        active = np.unique(near[warped[near] != target[near]])
    return warped.reshape(-1, width)[1:-1, 1:-1].astype(bool)


def _flip(warped: np.ndarray, indices: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Flip the simple pixels among `indices` in place, and return their indices."""
    code = np.zeros(indices.shape, np.uint8)
    for bit, step in enumerate(steps):
        code |= warped[indices + step] << bit
    simple = indices[IS_SIMPLE[code]]
    warped[simple] ^= 1
    return simple
