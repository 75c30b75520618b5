"""Warping error: disagreements that no shift of a border can undo (Jain et al. 2010), in 2D."""

import numpy as np

# The eight neighbours in order around the pixel, from its right: (row, column).
AROUND = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def _simple_points() -> np.ndarray:
    """Whether a pixel with these neighbours (bits in the order of `AROUND`) is simple, shape (256,).

    Flipping a simple pixel changes no component of the foreground (connected by faces), none of the background (by
    faces and corners). It is simple if the connectivity number of Yokoi et al. 1975 is 1.
    """
    x = (np.arange(256)[:, None] >> np.arange(8)) & 1
    number = sum(x[:, k] - x[:, k] * x[:, k + 1] * x[:, (k + 2) % 8] for k in (0, 2, 4, 6))
    return number == 1


SIMPLE = _simple_points()


def warp(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The truth, deformed towards the prediction as far as its topology allows.

    Wherever the two differ simple pixels of the truth are flipped, until none is left. The foreground is connected by
    faces and the background by faces and corners, outside the image is background, and there is no limit to how far a
    border moves: all as in the ISBI 2012 challenge. Where several flips exclude each other the order decides: here that
    of rounds, each through the pixels of even rows and columns, then of odd columns, odd rows, both odd.

    Parameters
    ----------
    truth, predicted : bool arrays, shape (rows, columns)
        Foreground: inside objects. Objects that touch must have been separated.

    Returns
    -------
    bool array of this shape
        Its components and holes are those of the truth. The warping error is the share of pixels in which it differs
        from the prediction: 0 to 1, lower is better. What appears (an object, a hole, a bridge between objects) counts
        with all of its pixels, what vanishes with one.
    """
    warped, target = (np.pad(mask, 1).astype(np.uint8).reshape(-1) for mask in (truth, predicted))
    width = truth.shape[1] + 2
    steps = np.array([row * width + column for row, column in AROUND])
    active = np.flatnonzero(warped != target)
    while active.size:
        # Pixels of one subfield are not neighbours: flipped at once, they are as good as one after the other.
        subfield = active // width % 2 * 2 + active % width % 2
        flipped = [_flip(warped, active[subfield == index], steps) for index in (3, 2, 1, 0)]
        near = (np.concatenate(flipped)[:, None] + steps).reshape(-1)
        active = np.unique(near[warped[near] != target[near]])
    return warped.reshape(-1, width)[1:-1, 1:-1].astype(bool)


def _flip(warped: np.ndarray, where: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Flip those of the pixels that are simple, in place, and tell which."""
    code = np.zeros(where.shape, np.uint8)
    for bit, step in enumerate(steps):
        code |= warped[where + step] << bit
    simple = where[SIMPLE[code]]
    warped[simple] ^= 1
    return simple
