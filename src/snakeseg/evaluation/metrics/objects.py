"""Scores of objects that look at more than whether they were found: how well, how many, cut or joined."""

import numpy as np

from snakeseg.evaluation.metrics.contingency import Overlaps

# IoU above which two objects have to do with each other (Caicedo et al. 2019).
RELATED = 0.1


def segmentation_accuracy(found: Overlaps) -> float:
    """SEG of the Cell Tracking Challenge (Maška et al. 2014): 0 to 1, higher is better.

    The mean over true objects of the IoU with the predicted object that covers more than half of it, 0 if none does.
    Predicted objects that cover nobody do not count. NaN if there is no true object.
    """
    if not len(found.true_ids):
        return float("nan")
    covering = 2 * found.pair_pixels > found.true_sizes[found.pair_true]
    return float(found.pair_iou[covering].sum() / len(found.true_ids))


def aggregated_jaccard(found: Overlaps) -> float:
    """Aggregated Jaccard index, AJI (Kumar et al. 2017, algorithm 1): 0 to 1, higher is better.

    ``sum_i |T_i & P_j(i)| / (sum_i |T_i | P_j(i)| + sum of |P_k| of unused k)``, where P_j(i) is the predicted object
    of the largest IoU with the true object T_i; it may be used more than once. A true object that nobody overlaps adds
    its own size to the union. 1 if there is nothing and nothing was found.
    """
    order = np.argsort(-found.pair_iou, kind="stable")
    best = order[np.unique(found.pair_true[order], return_index=True)[1]]
    chosen, shared = found.pair_predicted[best], found.pair_pixels[best].sum()
    unused = np.setdiff1d(np.arange(len(found.predicted_ids)), chosen)
    either = found.true_sizes.sum() + found.predicted_sizes[chosen].sum() - shared
    total = either + found.predicted_sizes[unused].sum()
    return float(shared / total) if total else 1.0


def count_errors(found: Overlaps) -> tuple[int, float]:
    """Predicted minus true objects, and the same over the true ones; 0 is best, NaN for a share of none."""
    true, error = len(found.true_ids), len(found.predicted_ids) - len(found.true_ids)
    return error, error / true if true else float("nan")


def split_and_merging(found: Overlaps) -> tuple[np.ndarray, np.ndarray]:
    """Who was cut, and who joins (Caicedo et al. 2019).

    A true object is split if its IoU is above 0.1 with more than one predicted object; a predicted object merges if its
    IoU is above 0.1 with more than one true object. So specks within an object do not count as its pieces, nor do
    objects that make up less than a tenth of what they were joined to.

    Returns
    -------
    split : bool array, shape (true objects,)
    merging : bool array, shape (predicted objects,)
    """
    related = found.pair_iou > RELATED
    pieces = np.bincount(found.pair_true[related], minlength=len(found.true_ids))
    members = np.bincount(found.pair_predicted[related], minlength=len(found.predicted_ids))
    return pieces > 1, members > 1


def kinds(found: Overlaps, partner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What became of every object, in a word.

    Parameters
    ----------
    found : Overlaps
    partner : int array, shape (true objects,)
        From `match`.

    Returns
    -------
    true : str array, shape (true objects,)
        The first of these that holds: split (see `split_and_merging`), merge (related to a predicted object that
        merges), match (has a partner), miss.
    predicted : str array, shape (predicted objects,)
        Likewise: merge, split (related to a true object that was split), match, false.
    """
    split, merging = split_and_merging(found)
    related = found.pair_iou > RELATED
    merged, piece = np.zeros_like(split), np.zeros_like(merging)
    merged[found.pair_true[related & merging[found.pair_predicted]]] = True
    piece[found.pair_predicted[related & split[found.pair_true]]] = True
    chosen = np.zeros_like(merging)
    chosen[partner[partner >= 0]] = True
    true = np.select([split, merged, partner >= 0], ["split", "merge", "match"], "miss")
    return true, np.select([merging, piece, chosen], ["merge", "split", "match"], "false")
