"""Match predicted to true objects, and compute detection scores from the number of matches."""

import numpy as np

from snakeseg.evaluation.metrics.contingency import Overlaps

# IoU from which two objects match.
THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
DETECTION = ("precision", "recall", "f1", "ap")


def match(table: Overlaps) -> tuple[np.ndarray, np.ndarray]:
    """Match each true object to the predicted object whose IoU with it is at least 0.5.

    An object has at most one partner with an IoU above 0.5. At exactly 0.5, two halves of an object compete and the
    first is matched; a half has no other possible partner, so no other choice gives more matches. The matches at a
    higher threshold are therefore the matches at 0.5 whose IoU reaches that threshold.

    Parameters
    ----------
    table : Overlaps

    Returns
    -------
    partner : int array, shape (true objects,)
        Index of the matched predicted object, or -1.
    iou : float array, shape (true objects,)
        IoU with the partner; 0 without a partner.
    """
    pair_iou = table.pair_iou
    matches = np.flatnonzero(pair_iou >= THRESHOLDS[0])
    for side in (table.pair_true, table.pair_predicted):
        matches = matches[np.unique(side[matches], return_index=True)[1]]
    partner, iou = np.full(len(table.true_ids), -1), np.zeros(len(table.true_ids))
    partner[table.pair_true[matches]] = table.pair_predicted[matches]
    iou[table.pair_true[matches]] = pair_iou[matches]
    return partner, iou


def detection_scores(true_positives: int, true_objects: int, predicted_objects: int) -> dict[str, float]:
    """Compute precision TP/(TP+FP), recall TP/(TP+FN), F1 2TP/(2TP+FP+FN) and AP TP/(TP+FP+FN).

    This AP is not the area under a precision-recall curve.

    Parameters
    ----------
    true_positives, true_objects, predicted_objects : int
        Numbers of matches, of true objects and of predicted objects.

    Returns
    -------
    dict of float
        precision, recall, f1, ap: 0 to 1, higher is better. All are 1 if there are neither true nor predicted objects,
        and 0 if there are only objects of one kind.

    References
    ----------
    Schmidt et al. 2018, Cell detection with star-convex polygons.
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
    """Compute panoptic quality PQ = SQ RQ, segmentation quality SQ and recognition quality RQ.

    SQ is the mean IoU of the matched objects, RQ is F1. Kirillov et al. match above IoU 0.5; here objects match at 0.5
    or above, as in all other scores.

    Parameters
    ----------
    iou : float
        Sum of the IoU of all matched pairs.
    true_positives, true_objects, predicted_objects : int
        Numbers of matches, of true objects and of predicted objects.

    Returns
    -------
    dict of float
        pq, sq, rq: 0 to 1, higher is better. Without matches SQ is NaN, and PQ and RQ are 0, or 1 if there are neither
        true nor predicted objects.

    References
    ----------
    Kirillov et al. 2019, Panoptic segmentation, eq. 1 and 2.
    """
    rq = detection_scores(true_positives, true_objects, predicted_objects)["f1"]
    total = true_objects + predicted_objects
    return {
        "pq": 2 * iou / total if total else 1.0,
        "sq": iou / true_positives if true_positives else float("nan"),
        "rq": rq,
    }
