"""Which true and predicted objects share pixels, and how many: the one table that object scores come from."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array


class Overlaps(NamedTuple):
    """Pairs of true and predicted objects that share pixels, and everybody's size.

    Parameters
    ----------
    true_ids, predicted_ids : integer arrays, shapes (true objects,) and (predicted objects,)
        Increasing; background is left out.
    true_sizes, predicted_sizes : int64 arrays of these shapes
        Pixels.
    pair_true, pair_predicted : integer arrays, shape (pairs,)
        Indices into `true_ids` and `predicted_ids`, increasing in the first, then in the second.
    pair_pixels : int64 array, shape (pairs,)
        How many pixels they share.
    pixels : int
        Those of the whole image, background included.
    """

    true_ids: np.ndarray
    predicted_ids: np.ndarray
    true_sizes: np.ndarray
    predicted_sizes: np.ndarray
    pair_true: np.ndarray
    pair_predicted: np.ndarray
    pair_pixels: np.ndarray
    pixels: int

    @property
    def pair_iou(self) -> np.ndarray:
        """Intersection over union of every pair, shape (pairs,)."""
        either = self.true_sizes[self.pair_true] + self.predicted_sizes[self.pair_predicted] - self.pair_pixels
        return self.pair_pixels / either


def overlaps(truth: np.ndarray, predicted: np.ndarray) -> Overlaps:
    """All overlapping pairs, in memory linear in their number and in that of the objects' runs.

    Parameters
    ----------
    truth, predicted : integer arrays of equal shape
        0 is background.

    Returns
    -------
    Overlaps
    """
    starts, lengths = runs(truth, predicted)
    true_ids, i = _dense(truth.reshape(-1)[starts], truth.size)
    predicted_ids, j = _dense(predicted.reshape(-1)[starts], truth.size)
    table = coo_array((lengths, (i, j)), shape=(len(true_ids), len(predicted_ids))).tocsr()
    true_sizes, predicted_sizes = table.sum(axis=1), table.sum(axis=0)
    table = table.tocoo()
    # From here on the background is left out.
    t, p = true_ids != 0, predicted_ids != 0
    objects = t[table.row] & p[table.col]
    i, j = (np.cumsum(t) - 1)[table.row[objects]], (np.cumsum(p) - 1)[table.col[objects]]
    shared = table.data[objects]
    return Overlaps(true_ids[t], predicted_ids[p], true_sizes[t], predicted_sizes[p], i, j, shared, truth.size)


def without_small(found: Overlaps, smallest: int) -> Overlaps:
    """The overlaps there would be if predicted objects of fewer than `smallest` pixels were background."""
    kept = found.predicted_sizes >= smallest
    pairs = kept[found.pair_predicted]
    return found._replace(
        predicted_ids=found.predicted_ids[kept],
        predicted_sizes=found.predicted_sizes[kept],
        pair_true=found.pair_true[pairs],
        pair_predicted=(np.cumsum(kept) - 1)[found.pair_predicted[pairs]],
        pair_pixels=found.pair_pixels[pairs],
    )


def runs(*labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stretches of pixels along the last axis in which no label changes: few, where objects are large.

    Parameters
    ----------
    *labels : arrays of equal shape

    Returns
    -------
    starts, lengths : integer arrays, shape (runs,)
        Flat (C order) index of the first pixel, and how many there are; together they cover the image once.
    """
    change = np.zeros(labels[0].size, bool)
    change[:: max(labels[0].shape[-1], 1)] = True
    for each in labels:
        flat = each.reshape(-1)
        change[1:] |= flat[1:] != flat[:-1]
    starts = np.flatnonzero(change)
    return starts, np.diff(starts, append=change.size)


def _dense(labels: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The ids that occur, increasing, and each label's index among them; ids above `limit` are sorted for it."""
    if labels.max(initial=0) > limit:
        return np.unique(labels, return_inverse=True)
    labels = labels.astype(np.int64, copy=False)
    present = np.bincount(labels) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[labels]
