"""Matching of predicted to true objects, and the scores of how many were found."""

import numpy as np

from snakeseg.evaluation.metrics.contingency import Overlaps

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
DETECTION = ("precision", "recall", "f1", "ap")


def match(found: Overlaps) -> tuple[np.ndarray, np.ndarray]:
    """For every true object its partner: the predicted object whose IoU with it is at least 0.5.

    Nobody has two partners above 0.5. At exactly 0.5 halves of one object compete, of which the first wins; halves
    have no other partner, so that no other choice would match more. What matches at a higher threshold are therefore
    the partners here whose IoU reaches it.

    Returns
    -------
    partner : int array, shape (true objects,)
        Index of the predicted object, or -1.
    iou : float array, shape (true objects,)
        0 where there is no partner.
    """
    pair_iou = found.pair_iou
    good = np.flatnonzero(pair_iou >= THRESHOLDS[0])
    for side in (found.pair_true, found.pair_predicted):
        good = good[np.unique(side[good], return_index=True)[1]]
    partner, iou = np.full(len(found.true_ids), -1), np.zeros(len(found.true_ids))
    partner[found.pair_true[good]] = found.pair_predicted[good]
    iou[found.pair_true[good]] = pair_iou[good]
    return partner, iou


def detection_scores(true_positives: int, true_objects: int, predicted_objects: int) -> dict[str, float]:
    """Precision TP/(TP+FP), recall TP/(TP+FN), F1 2TP/(2TP+FP+FN) and AP TP/(TP+FP+FN) (Schmidt et al. 2018).

    All 0 to 1, higher is better. This AP is no area under a curve. Where nothing is to be found and nothing was found
    all are 1; where one of the two is missing all are 0.
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


def panoptic_scores(iou: float, true_positives: int, true_objects: int, predicted_objects: int) -> dict[str, float]:
    """Panoptic quality PQ = SQ RQ, segmentation quality SQ and recognition quality RQ (Kirillov et al. 2019, eq. 1-2).

    SQ is the mean IoU of the matched objects, RQ is F1; all 0 to 1, higher is better. Kirillov matches above IoU 0.5,
    here as everywhere it is at 0.5 or above.

    Parameters
    ----------
    iou : float
        Sum of the IoU of all matched pairs.
    true_positives, true_objects, predicted_objects : int

    Returns
    -------
    dict of float
        pq, sq, rq. SQ is NaN if nothing matched; PQ and RQ are then 0, or 1 if there was nothing to be found either.
    """
    rq = detection_scores(true_positives, true_objects, predicted_objects)["f1"]
    total = true_objects + predicted_objects
    return {
        "pq": 2 * iou / total if total else 1.0,
        "sq": iou / true_positives if true_positives else float("nan"),
        "rq": rq,
    }
