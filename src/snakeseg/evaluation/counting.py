"""Decide which pixels and which predicted objects of an image count, for scores and for the choice of parameters."""

from typing import NamedTuple

import numpy as np

from snakeseg.evaluation.metrics.contingency import Overlaps, constant_stretches, keep_predicted, overlaps
from snakeseg.evaluation.metrics.matching import THRESHOLDS
from snakeseg.transforms.labels import IGNORED, find_ids_at_edge


class ScoredTruth(NamedTuple):
    """True classes and objects of the pixels that are scored.

    Parameters
    ----------
    classes : uint8 array, shape (*spatial)
        Class indices; `IGNORED` where pixels are not scored.
    objects : integer array, shape (*spatial)
        Object ids; 0 where pixels are not scored.
    is_scored : bool array, shape (*spatial)
    """

    classes: np.ndarray
    objects: np.ndarray
    is_scored: np.ndarray


def mask_truth(classes: np.ndarray, objects: np.ndarray, at_edge: bool = True) -> ScoredTruth:
    """Determine which pixels of a label image are scored.

    Parameters
    ----------
    classes, objects : integer arrays, shape (*spatial)
        From `snakeseg.transforms.labels.classes_and_objects`.
    at_edge : bool
        Score the pixels of true objects that touch the edge of the image.

    Returns
    -------
    ScoredTruth
        All pixels are scored except ignored ones and, unless `at_edge`, those of objects at the edge of the image.
    """
    is_scored = classes != IGNORED
    if not at_edge:
        is_scored &= ~np.isin(objects, find_ids_at_edge(objects))
    return ScoredTruth(np.where(is_scored, classes, IGNORED), np.where(is_scored, objects, 0), is_scored)


def count_objects(truth: ScoredTruth, predicted: np.ndarray) -> tuple[Overlaps, np.ndarray]:
    """Count the scored pixels of true and predicted objects, without the predicted objects that do not count.

    A predicted object does not count if more than half of its pixels are not scored and it matches no true object (its
    IoU with each is below 0.5, on scored pixels). The rest of such an object would otherwise be a false positive.

    Parameters
    ----------
    truth : ScoredTruth
    predicted : integer array, shape (*spatial)
        Predicted objects of the whole image, with small ids: memory is linear in the largest.

    Returns
    -------
    table : Overlaps
        Of the scored pixels. Predicted objects that do not count are background.
    sizes : int array, shape (predicted objects,)
        Sizes of the predicted objects of the table in the whole image, in pixels.

    References
    ----------
    Kirillov et al. 2019, Panoptic segmentation, section 4.1: predicted segments with more than half of their pixels in
    void regions are removed after matching. (There, objects match above IoU 0.5; here at 0.5 or above, as in all
    scores.)
    """
    whole_sizes = np.bincount(predicted.reshape(-1))
    table = overlaps(truth.objects[truth.is_scored], predicted[truth.is_scored])
    sizes = whole_sizes[table.predicted_ids]
    largest_iou = np.zeros(len(sizes))
    np.maximum.at(largest_iou, table.pair_predicted, table.pair_iou)
    counts = (2 * table.predicted_sizes >= sizes) | (largest_iou >= THRESHOLDS[0])
    return keep_predicted(table, counts), sizes[counts]


def number_by_position(objects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number objects in C order of their first pixels, so that no result depends on their ids.

    Parameters
    ----------
    objects : integer array, shape (*spatial)
        Object ids, 0 is background.

    Returns
    -------
    numbers : int64 array, shape (*spatial)
        1..n, 0 is background.
    ids : array, shape (n + 1,)
        Id of each number; 0 of number 0.
    """
    starts, lengths = constant_stretches(objects)
    ids, firsts, index = np.unique(objects.reshape(-1)[starts], return_index=True, return_inverse=True)
    order = np.argsort(np.where(ids == 0, -1, firsts), kind="stable")
    has_background = len(ids) > 0 and ids[order[0]] == 0
    rank = np.argsort(order) + (not has_background)
    numbers = np.repeat(rank[index], lengths).reshape(objects.shape)
    return numbers, ids[order] if has_background else np.concatenate([np.zeros(1, ids.dtype), ids[order]])
