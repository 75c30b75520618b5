"""Scores of objects beyond detection: segmentation accuracy, counts, splits and merges."""

import numpy as np

from snakeseg.evaluation.metrics.contingency import Overlaps

# IoU above which a true and a predicted object are related (Caicedo et al. 2019).
RELATED_IOU = 0.1


def segmentation_accuracy(table: Overlaps) -> float:
    """Compute SEG of the Cell Tracking Challenge.

    SEG is the mean, over true objects, of the IoU with the predicted object that covers more than half of it, or 0 if
    none does. Predicted objects that cover no true object do not count.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    float
        0 to 1, higher is better; NaN without true objects.

    References
    ----------
    Maška et al. 2014, A benchmark for comparison of cell tracking algorithms.
    """
    if not len(table.true_ids):
        return float("nan")
    is_covering = 2 * table.pair_pixels > table.true_sizes[table.pair_true]
    return float(table.pair_iou[is_covering].sum() / len(table.true_ids))


def aggregated_jaccard(table: Overlaps) -> float:
    """Compute the aggregated Jaccard index, AJI.

    ``sum_i |T_i & P_j(i)| / (sum_i |T_i | P_j(i)| + sum of |P_k| of unused k)``, where P_j(i) is the predicted object
    of the largest IoU with the true object T_i. A predicted object may be used more than once. A true object without
    an overlapping predicted object adds its own size to the denominator.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    float
        0 to 1, higher is better; 1 if there are neither true nor predicted objects.

    References
    ----------
    Kumar et al. 2017, A dataset and a technique for generalized nuclear segmentation, algorithm 1.
    """
    order = np.argsort(-table.pair_iou, kind="stable")
    best = order[np.unique(table.pair_true[order], return_index=True)[1]]
    chosen, shared = table.pair_predicted[best], table.pair_pixels[best].sum()
    unused = np.setdiff1d(np.arange(len(table.predicted_ids)), chosen)
    union = table.true_sizes.sum() + table.predicted_sizes[chosen].sum() - shared
    total = union + table.predicted_sizes[unused].sum()
    return float(shared / total) if total else 1.0


def count_errors(table: Overlaps) -> tuple[int, float]:
    """Compute the number of predicted minus true objects, and its ratio to the number of true objects.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    error : int
        0 is best.
    relative : float
        0 is best; NaN without true objects.
    """
    true, error = len(table.true_ids), len(table.predicted_ids) - len(table.true_ids)
    return error, error / true if true else float("nan")


def split_and_merging(table: Overlaps) -> tuple[np.ndarray, np.ndarray]:
    """Find the true objects that are split and the predicted objects that merge several true objects.

    A true object is split if its IoU with more than one predicted object is above 0.1; a predicted object merges if
    its IoU with more than one true object is above 0.1. So a predicted speck inside a true object does not make
    it split, and a true object that covers less than a tenth of a predicted one does not make that one merging.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    split : bool array, shape (true objects,)
    merging : bool array, shape (predicted objects,)

    References
    ----------
    Caicedo et al. 2019, Evaluation of deep learning strategies for nucleus segmentation in fluorescence images.
    """
    is_related = table.pair_iou > RELATED_IOU
    pieces = np.bincount(table.pair_true[is_related], minlength=len(table.true_ids))
    members = np.bincount(table.pair_predicted[is_related], minlength=len(table.predicted_ids))
    return pieces > 1, members > 1


def classify_objects(table: Overlaps, partner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classify every object as matched, missed, false, split or merged.

    Parameters
    ----------
    table : Overlaps
    partner : int array, shape (true objects,)
        Index of the matched predicted object, or -1, from `match`.

    Returns
    -------
    true : str array, shape (true objects,)
        The first that applies: "split" (see `split_and_merging`), "merge" (related to a predicted object that merges),
        "match" (has a partner), "miss".
    predicted : str array, shape (predicted objects,)
        The first that applies: "merge", "split" (related to a true object that is split), "match", "false".
    """
    split, merging = split_and_merging(table)
    is_related = table.pair_iou > RELATED_IOU
    is_merged, is_piece = np.zeros_like(split), np.zeros_like(merging)
    is_merged[table.pair_true[is_related & merging[table.pair_predicted]]] = True
    is_piece[table.pair_predicted[is_related & split[table.pair_true]]] = True
    is_matched = np.zeros_like(merging)
    is_matched[partner[partner >= 0]] = True
    true = np.select([split, is_merged, partner >= 0], ["split", "merge", "match"], "miss")
    return true, np.select([merging, is_piece, is_matched], ["merge", "split", "match"], "false")
