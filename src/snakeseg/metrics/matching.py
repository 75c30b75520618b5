"""Matching of predicted to true objects."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(9))


class Overlaps(NamedTuple):
    """Pairs of true and predicted objects that share pixels, and everybody's size."""

    true_ids: np.ndarray
    predicted_ids: np.ndarray
    true_sizes: np.ndarray
    predicted_sizes: np.ndarray
    pair_true: np.ndarray
    pair_predicted: np.ndarray
    pair_iou: np.ndarray


def overlaps(truth: np.ndarray, predicted: np.ndarray) -> Overlaps:
    """All overlapping pairs, in memory linear in their number.

    Parameters
    ----------
    truth, predicted : integer arrays of equal shape
        0 is background.

    Returns
    -------
    Overlaps
        `pair_true` and `pair_predicted` index into `true_ids` and `predicted_ids`.
    """
    true_ids, true_index = _dense(truth)
    predicted_ids, predicted_index = _dense(predicted)
    shape = (len(true_ids), len(predicted_ids))
    table = coo_matrix((np.ones(truth.size, np.int64), (true_index.ravel(), predicted_index.ravel())), shape)
    table.sum_duplicates()
    true_sizes, predicted_sizes = (np.asarray(table.sum(axis=axis)).ravel() for axis in (1, 0))
    i, j, shared = table.row, table.col, table.data
    objects = (true_ids[i] != 0) & (predicted_ids[j] != 0)
    i, j, shared = i[objects], j[objects], shared[objects]
    iou = shared / (true_sizes[i] + predicted_sizes[j] - shared)
    # From here on the background is left out.
    t, p = true_ids != 0, predicted_ids != 0
    i, j = (np.cumsum(t) - 1)[i], (np.cumsum(p) - 1)[j]
    return Overlaps(true_ids[t], predicted_ids[p], true_sizes[t], predicted_sizes[p], i, j, iou)


def without_small(found: Overlaps, smallest: int) -> Overlaps:
    """The overlaps there would be if predicted objects of fewer than `smallest` pixels were dropped."""
    kept = found.predicted_sizes >= smallest
    pairs = kept[found.pair_predicted]
    return found._replace(
        predicted_ids=found.predicted_ids[kept],
        predicted_sizes=found.predicted_sizes[kept],
        pair_true=found.pair_true[pairs],
        pair_predicted=(np.cumsum(kept) - 1)[found.pair_predicted[pairs]],
        pair_iou=found.pair_iou[pairs],
    )


def _dense(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ids that occur, and each pixel's index among them."""
    if labels.max(initial=0) > labels.size:
        ids, index = np.unique(labels, return_inverse=True)
        return ids, index.reshape(labels.shape)
    present = np.bincount(labels.ravel()) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[labels]


def match(found: Overlaps, threshold: float) -> np.ndarray:
    """For every true object the index of its predicted object, or -1.

    Objects match one to one if their IoU is at least `threshold`; as many as possible are matched. Above 0.5 a
    partner is unique.
    """
    good = found.pair_iou >= threshold
    shape = (len(found.true_ids), len(found.predicted_ids))
    if not good.any():
        return np.full(shape[0], -1)
    graph = csr_matrix((np.ones(good.sum()), (found.pair_true[good], found.pair_predicted[good])), shape=shape)
    return maximum_bipartite_matching(graph, perm_type="column")


def detection_scores(true_positives: int, true_objects: int, predicted_objects: int) -> dict[str, float]:
    """Precision TP/(TP+FP), recall TP/(TP+FN), F1 2TP/(2TP+FP+FN) and AP TP/(TP+FP+FN) (Schmidt et al. 2018).

    This AP is no area under a curve. Where nothing is to be found and nothing was found all are 1.
    """
    tp, total = true_positives, true_objects + predicted_objects
    if total == 0:
        return dict.fromkeys(("precision", "recall", "f1", "ap"), 1.0)
    return {
        "precision": tp / predicted_objects if predicted_objects else 0.0,
        "recall": tp / true_objects if true_objects else 0.0,
        "f1": 2 * tp / total,
        "ap": tp / (total - tp),
    }
