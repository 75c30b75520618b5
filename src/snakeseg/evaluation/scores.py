"""Compute all scores of one image, and a row of measurements for each of its objects."""

import numpy as np

from snakeseg.evaluation.counting import ScoredTruth, count_objects, mask_truth, number_by_position
from snakeseg.evaluation.metrics.contingency import Overlaps, overlaps
from snakeseg.evaluation.metrics.matching import (
    DETECTION,
    THRESHOLDS,
    detection_scores,
    match,
    panoptic_scores,
)
from snakeseg.evaluation.metrics.objects import (
    aggregated_jaccard,
    classify_objects,
    count_errors,
    segmentation_accuracy,
    split_and_merging,
)
from snakeseg.evaluation.metrics.overlap import (
    CONFUSION,
    confusion_matrix,
    dice_and_iou,
    fcn_scores,
    pixel_error,
)
from snakeseg.evaluation.metrics.partition import (
    adapted_rand_error,
    rand_error,
    thin_borders,
    v_info,
    v_rand,
    variation_of_information,
)
from snakeseg.evaluation.metrics.shape import measure_objects
from snakeseg.evaluation.metrics.surface import surface_scores
from snakeseg.evaluation.metrics.warping import warp_to_prediction
from snakeseg.settings import Labels
from snakeseg.transforms.labels import IGNORED, classes_and_objects, separate_touching


def score(
    truth: np.ndarray,
    predicted: np.ndarray,
    labels: Labels,
    spacing: tuple[float, ...] | None = None,
    image: np.ndarray | None = None,
    at_edge: bool = True,
) -> tuple[dict, list[dict]]:
    """Score the prediction of one image.

    Parameters
    ----------
    truth : integer array, shape (*spatial)
        Label image as in the label file. Pixels with the label `labels.ignore` are not scored.
    predicted : integer array, shape (*spatial)
        Label image as written by the workflow: object ids, or for semantic labels the classes' values.
    labels : Labels
    spacing : tuple of float
        Pixel size along each axis; 1 by default.
    image : array, shape (*spatial), or None
        Intensities, for the mean intensity of objects.
    at_edge : bool
        Score the pixels of true objects that touch the edge of the image.

    Returns
    -------
    scores : dict
        Score by column name of images.tsv; `docs/reference/metrics.md` defines each.
    objects : list of dict
        One row per true or predicted object that counts (see `snakeseg.evaluation.counting`), with the columns of
        objects.tsv: side, id, pixels, kind, partner, iou, and the measurements of
        `snakeseg.evaluation.metrics.shape.measure_objects`.

    Raises
    ------
    ValueError
        If a value of semantic labels is not among `labels.values`.
    """
    spacing = spacing or (1.0,) * truth.ndim
    true_classes, true_objects = classes_and_objects(truth, labels)
    true_objects, true_ids = number_by_position(true_objects)
    masked = mask_truth(true_classes, true_objects, at_edge)
    classes, objects, predicted_ids, table = _count_predicted(masked, predicted, labels)
    scores = {
        **_pixel_scores(masked, classes, table, labels),
        **_class_scores(masked, classes, labels, spacing),
        **_partition_scores(masked, objects, table, spacing),
        **_object_scores(table),
    }
    return scores, _object_rows(table, (masked.objects, true_ids), (objects, predicted_ids), spacing, image)


def _count_predicted(
    truth: ScoredTruth, predicted: np.ndarray, labels: Labels
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Overlaps]:
    """Predicted classes and objects that count, the objects' ids in `predicted`, and the table of overlaps."""
    is_semantic = labels.kind == "semantic"
    classes, objects = classes_and_objects(predicted, labels) if is_semantic else (None, predicted)
    objects, ids = number_by_position(objects)
    table, _ = count_objects(truth, objects)
    counts = np.zeros(len(ids), bool)
    counts[table.predicted_ids] = True
    objects = np.where(truth.is_scored & counts[objects], objects, 0)
    classes = classes if is_semantic else (objects > 0).astype(np.uint8)
    return np.where(truth.is_scored, classes, IGNORED), objects, ids, table


def _pixel_scores(truth: ScoredTruth, predicted: np.ndarray, table: Overlaps, labels: Labels) -> dict:
    """Counts of pixels and objects, the confusion matrix, and the scores computed from it."""
    t, p = truth.classes[truth.is_scored], predicted[truth.is_scored]
    confusion = confusion_matrix(t, p, len(labels.classes))
    true_objects, predicted_objects = len(table.true_ids), len(table.predicted_ids)
    return {
        "pixels": int(t.size),
        "wrong_pixels": int(np.count_nonzero(t != p)),
        "true_objects": true_objects,
        "predicted_objects": predicted_objects,
        "missed": int(true_objects > 0 and predicted_objects == 0),
        "empty": int(true_objects == 0),
        **{f"{CONFUSION}{i}_{j}": int(count) for (i, j), count in np.ndenumerate(confusion)},
        "pixel_error": pixel_error(t, p) if t.size else float("nan"),
        **fcn_scores(confusion),
    }


def _class_scores(truth: ScoredTruth, predicted, labels: Labels, spacing: tuple[float, ...]) -> dict:
    """Overlap and surface scores: means over the foreground classes, and of each class if there are several."""
    by_class = {}
    for index, name in enumerate(labels.classes[1:], start=1):
        masks = truth.classes == index, predicted == index
        by_class[name] = dict(zip(("dice", "iou"), dice_and_iou(*masks), strict=True))
        # Labels are accurate to one pixel at best.
        by_class[name] |= surface_scores(*masks, spacing, max(spacing), truth.is_scored)
    names = next(iter(by_class.values()))
    scores = {key: _nanmean([values[key] for values in by_class.values()]) for key in names}
    if len(by_class) > 1:
        scores |= {f"{key}_{name}": value for name, values in by_class.items() for key, value in values.items()}
    return scores


def _partition_scores(truth: ScoredTruth, predicted, table: Overlaps, spacing: tuple[float, ...]) -> dict:
    """Scores of the partition into objects; the warping error in 2D only."""
    splits, merges = variation_of_information(table)
    is_scored = truth.is_scored
    thinned = overlaps(truth.objects[is_scored], thin_borders(predicted, spacing)[is_scored])
    scores = {
        "rand_error": rand_error(table),
        "adapted_rand_error": adapted_rand_error(table),
        "voi_split": splits,
        "voi_merge": merges,
        "v_rand": v_rand(thinned),
        "v_info": v_info(thinned),
    }
    if predicted.ndim == 2:
        true, predicted = separate_touching(truth.objects) > 0, separate_touching(predicted) > 0
        scores["warping_error"] = _nanmean((warp_to_prediction(true, predicted) != predicted)[is_scored])
    return scores


def _object_scores(table: Overlaps) -> dict:
    """Scores of matched, counted, split and merged objects."""
    _, iou = match(table)
    true_objects, predicted_objects = len(table.true_ids), len(table.predicted_ids)
    split, merging = split_and_merging(table)
    error, relative = count_errors(table)
    scores = {
        "seg": segmentation_accuracy(table),
        "aji": aggregated_jaccard(table),
        "count_error": error,
        "relative_count_error": relative,
        "splits": int(split.sum()),
        "merges": int(merging.sum()),
    }
    panoptic = panoptic_scores(iou.sum(), int((iou > 0).sum()), true_objects, predicted_objects)
    scores |= {f"{key}_{THRESHOLDS[0]:.2f}": float(value) for key, value in panoptic.items()}
    for threshold in THRESHOLDS:
        hits = int((iou >= threshold).sum())
        scores[f"tp_{threshold:.2f}"] = hits
        detection = detection_scores(hits, true_objects, predicted_objects)
        scores |= {f"{key}_{threshold:.2f}": detection[key] for key in DETECTION}
    return scores


def _object_rows(table: Overlaps, truth, predicted, spacing: tuple[float, ...], image) -> list[dict]:
    """One row per object: kind (match, miss, false, split, merge), partner, largest IoU, and measurements.

    `truth` and `predicted` hold numbers of objects, and the id of each number.
    """
    partner, _ = match(table)
    true_partner = np.full(len(table.predicted_ids), -1)
    true_partner[partner[partner >= 0]] = np.flatnonzero(partner >= 0)
    true_kinds, predicted_kinds = classify_objects(table, partner)
    true_ids, predicted_ids = truth[1][table.true_ids], predicted[1][table.predicted_ids]
    true_columns = {"id": true_ids, "pixels": table.true_sizes, "kind": true_kinds}
    predicted_columns = {"id": predicted_ids, "pixels": table.predicted_sizes, "kind": predicted_kinds}
    true_columns |= _partner_columns(table, table.pair_true, partner, predicted_ids)
    predicted_columns |= _partner_columns(table, table.pair_predicted, true_partner, true_ids)
    true_columns |= measure_objects(truth[0], table.true_ids, spacing, image)
    predicted_columns |= measure_objects(predicted[0], table.predicted_ids, spacing, image)
    rows = []
    for side, columns in (("true", true_columns), ("predicted", predicted_columns)):
        entries = zip(*(column.tolist() for column in columns.values()), strict=True)
        side_rows = [{"side": side, **dict(zip(columns, entry, strict=True))} for entry in entries]
        rows += sorted(side_rows, key=lambda row: row["id"])
    return rows


def _partner_columns(table: Overlaps, pair: np.ndarray, partner: np.ndarray, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Return columns for the objects of one side: the id of the partner (blank without one), and the largest IoU.

    `pair` holds each pair's index of the object on this side, `partner` the index of each object's partner on the
    other side (-1 without one), and `ids` the ids of the other side.
    """
    largest_iou = np.zeros(len(partner))
    np.maximum.at(largest_iou, pair, table.pair_iou)
    return {"partner": np.array([int(ids[p]) if p >= 0 else "" for p in partner], object), "iou": largest_iou}


def _nanmean(values) -> float:
    """Mean of the values that are not NaN; NaN, without a warning, if there are none."""
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")
