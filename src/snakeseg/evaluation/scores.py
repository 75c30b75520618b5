"""Compute all scores of one image, and a row of measurements for each of its objects."""

import numpy as np

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
from snakeseg.transforms.labels import IGNORED, classes_and_objects, find_ids_at_edge, separate_touching


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
        One row per true or predicted object, with the columns of objects.tsv: side, id, pixels, kind, partner, iou,
        and the measurements of `snakeseg.evaluation.metrics.shape.measure_objects`.

    Raises
    ------
    ValueError
        If a value of semantic labels is not among `labels.values`.
    """
    spacing = spacing or (1.0,) * truth.ndim
    true_classes, true_objects = _true_classes_and_objects(truth, labels, at_edge)
    is_scored = true_classes != IGNORED
    classes, objects = _predicted_classes_and_objects(predicted, labels, is_scored)
    table = overlaps(true_objects[is_scored], objects[is_scored])
    scores = {
        **_pixel_scores(true_classes, classes, is_scored, table, labels),
        **_class_scores(true_classes, classes, labels, spacing),
        **_partition_scores(true_objects, objects, is_scored, table, spacing),
        **_object_scores(table),
    }
    return scores, _object_rows(table, true_objects, objects, spacing, image)


def _true_classes_and_objects(truth, labels: Labels, at_edge: bool) -> tuple[np.ndarray, np.ndarray]:
    """True classes and objects; objects that touch the edge of the image are ignored unless `at_edge`."""
    classes, objects = classes_and_objects(truth, labels)
    if at_edge:
        return classes, objects
    is_ignored = (classes == IGNORED) | np.isin(objects, find_ids_at_edge(objects))
    return np.where(is_ignored, IGNORED, classes), np.where(is_ignored, 0, objects)


def _predicted_classes_and_objects(predicted, labels: Labels, is_scored) -> tuple[np.ndarray, np.ndarray]:
    """Predicted classes and objects, without the pixels that are not scored."""
    if labels.kind == "semantic":
        classes, objects = classes_and_objects(predicted, labels)
    else:
        classes, objects = (predicted > 0).astype(np.uint8), predicted.astype(np.int64)
    return np.where(is_scored, classes, IGNORED), np.where(is_scored, objects, 0)


def _pixel_scores(truth, predicted, is_scored, table: Overlaps, labels: Labels) -> dict:
    """Counts of pixels and objects, the confusion matrix, and the scores computed from it."""
    t, p = truth[is_scored], predicted[is_scored]
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


def _class_scores(truth, predicted, labels: Labels, spacing: tuple[float, ...]) -> dict:
    """Overlap and surface scores: means over the foreground classes, and of each class if there are several."""
    by_class = {}
    for index, name in enumerate(labels.classes[1:], start=1):
        masks = truth == index, predicted == index
        by_class[name] = dict(zip(("dice", "iou"), dice_and_iou(*masks), strict=True))
        # Labels are accurate to one pixel at best.
        by_class[name] |= surface_scores(*masks, spacing, tolerance=max(spacing))
    names = next(iter(by_class.values()))
    scores = {key: _nanmean([values[key] for values in by_class.values()]) for key in names}
    if len(by_class) > 1:
        scores |= {f"{key}_{name}": value for name, values in by_class.items() for key, value in values.items()}
    return scores


def _partition_scores(truth, predicted, is_scored, table: Overlaps, spacing: tuple[float, ...]) -> dict:
    """Scores of the partition into objects; the warping error in 2D only."""
    splits, merges = variation_of_information(table)
    thinned = overlaps(truth[is_scored], thin_borders(predicted, spacing)[is_scored])
    scores = {
        "rand_error": rand_error(table),
        "adapted_rand_error": adapted_rand_error(table),
        "voi_split": splits,
        "voi_merge": merges,
        "v_rand": v_rand(thinned),
        "v_info": v_info(thinned),
    }
    if truth.ndim == 2:
        truth, predicted = separate_touching(truth) > 0, separate_touching(predicted) > 0
        scores["warping_error"] = _nanmean((warp_to_prediction(truth, predicted) != predicted)[is_scored])
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
    """One row per object: kind (match, miss, false, split, merge), partner, largest IoU, and measurements."""
    partner, _ = match(table)
    true_partner = np.full(len(table.predicted_ids), -1)
    true_partner[partner[partner >= 0]] = np.flatnonzero(partner >= 0)
    true_kinds, predicted_kinds = classify_objects(table, partner)
    true_columns = {"id": table.true_ids, "pixels": table.true_sizes, "kind": true_kinds}
    predicted_columns = {"id": table.predicted_ids, "pixels": table.predicted_sizes, "kind": predicted_kinds}
    true_columns |= _partner_columns(table, table.pair_true, partner, table.predicted_ids)
    predicted_columns |= _partner_columns(table, table.pair_predicted, true_partner, table.true_ids)
    rows = []
    for side, columns, array in (("true", true_columns, truth), ("predicted", predicted_columns, predicted)):
        columns = {**columns, **measure_objects(array, columns["id"], spacing, image)}
        entries = zip(*(column.tolist() for column in columns.values()), strict=True)
        rows += [{"side": side, **dict(zip(columns, entry, strict=True))} for entry in entries]
    return rows


def _partner_columns(table: Overlaps, pair: np.ndarray, partner: np.ndarray, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Id of each object's partner (blank without one), and its largest IoU with any object of the other side."""
    largest_iou = np.zeros(len(partner))
    np.maximum.at(largest_iou, pair, table.pair_iou)
    return {"partner": np.array([int(ids[p]) if p >= 0 else "" for p in partner], object), "iou": largest_iou}


def _nanmean(values) -> float:
    """Mean of the values that are not NaN; NaN, without a warning, if there are none."""
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")
