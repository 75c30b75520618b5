"""Contingency table of true and predicted objects: the number of pixels that each pair shares."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array


class Overlaps(NamedTuple):
    """Sparse contingency table of true and predicted objects; all object scores are computed from it.

    Parameters
    ----------
    true_ids, predicted_ids : integer arrays, shapes (true objects,) and (predicted objects,)
        Ids in increasing order, without the background.
    true_sizes, predicted_sizes : int64 arrays of these shapes
        Sizes in pixels.
    pair_true, pair_predicted : integer arrays, shape (pairs,)
        Indices into `true_ids` and `predicted_ids` of the pairs that share pixels, sorted by the first, then the
        second.
    pair_pixels : int64 array, shape (pairs,)
        Number of pixels that each pair shares.
    pixels : int
        Number of pixels of the image, background included.
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
        """Intersection over union of each pair, float array, shape (pairs,)."""
        union = self.true_sizes[self.pair_true] + self.predicted_sizes[self.pair_predicted] - self.pair_pixels
        return self.pair_pixels / union


def overlaps(truth: np.ndarray, predicted: np.ndarray) -> Overlaps:
    """Count the pixels that each pair of a true and a predicted object shares.

    Memory is linear in the number of pairs and of runs (see `constant_stretches`).

    Parameters
    ----------
    truth, predicted : integer arrays of equal shape
        Object ids, 0 is background.

    Returns
    -------
    Overlaps
    """
    starts, lengths = constant_stretches(truth, predicted)
    true_ids, i = _distinct_and_index(truth.reshape(-1)[starts], truth.size)
    predicted_ids, j = _distinct_and_index(predicted.reshape(-1)[starts], truth.size)
    table = coo_array((lengths, (i, j)), shape=(len(true_ids), len(predicted_ids))).tocsr()
    true_sizes, predicted_sizes = table.sum(axis=1), table.sum(axis=0)
    table = table.tocoo()
    # From here on without the background.
    t, p = true_ids != 0, predicted_ids != 0
    is_pair = t[table.row] & p[table.col]
    i, j = (np.cumsum(t) - 1)[table.row[is_pair]], (np.cumsum(p) - 1)[table.col[is_pair]]
    shared = table.data[is_pair]
    return Overlaps(true_ids[t], predicted_ids[p], true_sizes[t], predicted_sizes[p], i, j, shared, truth.size)


def keep_predicted(table: Overlaps, kept: np.ndarray) -> Overlaps:
    """Return the table as if the predicted objects that are not kept were background.

    Parameters
    ----------
    table : Overlaps
    kept : bool array, shape (predicted objects,)

    Returns
    -------
    Overlaps
    """
    pairs = kept[table.pair_predicted]
    return table._replace(
        predicted_ids=table.predicted_ids[kept],
        predicted_sizes=table.predicted_sizes[kept],
        pair_true=table.pair_true[pairs],
        pair_predicted=(np.cumsum(kept) - 1)[table.pair_predicted[pairs]],
        pair_pixels=table.pair_pixels[pairs],
    )


def constant_stretches(*labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the runs of an image: stretches of pixels along the last axis in which no label changes.

    Parameters
    ----------
    *labels : arrays of equal shape

    Returns
    -------
    starts, lengths : integer arrays, shape (runs,)
        Flat index (C order) of the first pixel, and number of pixels. The runs cover each pixel once.
    """
    is_start = np.zeros(labels[0].size, bool)
    is_start[:: max(labels[0].shape[-1], 1)] = True
    for image in labels:
        flat = image.reshape(-1)
        is_start[1:] |= flat[1:] != flat[:-1]
    starts = np.flatnonzero(is_start)
    return starts, np.diff(starts, append=is_start.size)


def _distinct_and_index(labels: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct ids in increasing order, and each label's index among them; sort only for ids > `limit`."""
    if labels.max(initial=0) > limit:
        return np.unique(labels, return_inverse=True)
    labels = labels.astype(np.int64, copy=False)
    is_present = np.bincount(labels) > 0
    return np.flatnonzero(is_present), (np.cumsum(is_present) - 1)[labels]
