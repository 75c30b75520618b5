"""All scores of one image, and a row for each of its objects."""

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
    count_errors,
    kinds,
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
from snakeseg.evaluation.metrics.shape import measure
from snakeseg.evaluation.metrics.surface import surface_scores
from snakeseg.evaluation.metrics.warping import warp
from snakeseg.settings import Labels
from snakeseg.transforms.labels import IGNORED, classes_and_objects, ids_at_edge, separate_touching


def score(
    truth: np.ndarray,
    predicted: np.ndarray,
    labels: Labels,
    spacing: tuple[float, ...] | None = None,
    image: np.ndarray | None = None,
    at_edge: bool = True,
) -> tuple[dict, list[dict]]:
    """Scores of one image; see `docs/reference/metrics.md`.

    Parameters
    ----------
    truth : integer array, shape (*spatial)
        As in the label file; pixels it ignores do not count.
    predicted : integer array, shape (*spatial)
        As written by the workflow: classes (their values in the label files) or object ids.
    labels : Labels
    spacing : tuple of float
        Pixel size along each axis; 1 by default.
    image : array, shape (*spatial), or None
        Grey values, for the brightness of objects.
    at_edge : bool
        Whether pixels of true objects count that touch the image's edge.

    Returns
    -------
    scores : dict
    objects : list of dict
        One per true or predicted object.
    """
    spacing = spacing or (1.0,) * truth.ndim
    true_classes, true_objects = _truth(truth, labels, at_edge)
    counted = true_classes != IGNORED
    classes, objects = _predicted(predicted, labels, counted)
    found = overlaps(true_objects[counted], objects[counted])
    scores = {
        **_pixel_scores(true_classes, classes, counted, found, labels),
        **_class_scores(true_classes, classes, labels, spacing),
        **_partition_scores(true_objects, objects, counted, found, spacing),
        **_object_scores(found),
    }
    return scores, _object_rows(found, true_objects, objects, spacing, image)


def _truth(truth, labels: Labels, at_edge: bool) -> tuple[np.ndarray, np.ndarray]:
    """True classes and objects; objects that touch the image's edge are ignored unless `at_edge`."""
    classes, objects = classes_and_objects(truth, labels)
    if at_edge:
        return classes, objects
    ignored = (classes == IGNORED) | np.isin(objects, ids_at_edge(objects))
    return np.where(ignored, IGNORED, classes), np.where(ignored, 0, objects)


def _predicted(predicted, labels: Labels, counted) -> tuple[np.ndarray, np.ndarray]:
    """Classes and objects as predicted, without the pixels that do not count."""
    if labels.kind == "semantic":
        classes, objects = classes_and_objects(predicted, labels)
    else:
        classes, objects = (predicted > 0).astype(np.uint8), predicted.astype(np.int64)
    return np.where(counted, classes, IGNORED), np.where(counted, objects, 0)


def _pixel_scores(truth, predicted, counted, found: Overlaps, labels: Labels) -> dict:
    t, p = truth[counted], predicted[counted]
    confusion = confusion_matrix(t, p, len(labels.classes))
    true, called = len(found.true_ids), len(found.predicted_ids)
    return {
        "pixels": int(t.size),
        "wrong_pixels": int(np.count_nonzero(t != p)),
        "true_objects": true,
        "predicted_objects": called,
        "missed": int(true > 0 and called == 0),
        "empty": int(true == 0),
        **{f"{CONFUSION}{i}_{j}": int(count) for (i, j), count in np.ndenumerate(confusion)},
        "pixel_error": pixel_error(t, p) if t.size else float("nan"),
        **fcn_scores(confusion),
    }


def _class_scores(truth, predicted, labels: Labels, spacing: tuple[float, ...]) -> dict:
    """Overlap and surface: the mean over foreground classes, and each class where there are several."""
    each = {}
    for index, name in enumerate(labels.classes[1:], start=1):
        masks = truth == index, predicted == index
        each[name] = dict(zip(("dice", "iou"), dice_and_iou(*masks), strict=True))
        # One pixel is what no labelling can be more exact than.
        each[name] |= surface_scores(*masks, spacing, tolerance=max(spacing))
    names = next(iter(each.values()))
    scores = {key: _mean([values[key] for values in each.values()]) for key in names}
    if len(each) > 1:
        scores |= {f"{key}_{name}": value for name, values in each.items() for key, value in values.items()}
    return scores


def _partition_scores(truth, predicted, counted, found: Overlaps, spacing: tuple[float, ...]) -> dict:
    splits, merges = variation_of_information(found)
    thinned = overlaps(truth[counted], thin_borders(predicted, spacing)[counted])
    scores = {
        "rand_error": rand_error(found),
        "adapted_rand_error": adapted_rand_error(found),
        "voi_split": splits,
        "voi_merge": merges,
        "v_rand": v_rand(thinned),
        "v_info": v_info(thinned),
    }
    if truth.ndim == 2:
        truth, predicted = separate_touching(truth) > 0, separate_touching(predicted) > 0
        scores["warping_error"] = _mean((warp(truth, predicted) != predicted)[counted])
    return scores


def _object_scores(found: Overlaps) -> dict:
    _, iou = match(found)
    true, predicted = len(found.true_ids), len(found.predicted_ids)
    split, merging = split_and_merging(found)
    error, relative = count_errors(found)
    scores = {
        "seg": segmentation_accuracy(found),
        "aji": aggregated_jaccard(found),
        "count_error": error,
        "relative_count_error": relative,
        "splits": int(split.sum()),
        "merges": int(merging.sum()),
    }
    panoptic = panoptic_scores(iou.sum(), int((iou > 0).sum()), true, predicted)
    scores |= {f"{key}_{THRESHOLDS[0]:.2f}": float(value) for key, value in panoptic.items()}
    for threshold in THRESHOLDS:
        hits = int((iou >= threshold).sum())
        scores[f"tp_{threshold:.2f}"] = hits
        detection = detection_scores(hits, true, predicted)
        scores |= {f"{key}_{threshold:.2f}": detection[key] for key in DETECTION}
    return scores


def _object_rows(found: Overlaps, truth, predicted, spacing: tuple[float, ...], image) -> list[dict]:
    """Every object: its partner, the best IoU it has with anybody, what became of it, and its measurements."""
    partner, _ = match(found)
    back = np.full(len(found.predicted_ids), -1)
    back[partner[partner >= 0]] = np.flatnonzero(partner >= 0)
    true_kinds, predicted_kinds = kinds(found, partner)
    true = {"id": found.true_ids, "pixels": found.true_sizes, "kind": true_kinds}
    called = {"id": found.predicted_ids, "pixels": found.predicted_sizes, "kind": predicted_kinds}
    true |= _partners(found, found.pair_true, partner, found.predicted_ids)
    called |= _partners(found, found.pair_predicted, back, found.true_ids)
    rows = []
    for side, columns, array in (("true", true, truth), ("predicted", called, predicted)):
        columns = {**columns, **measure(array, columns["id"], spacing, image)}
        values = zip(*(column.tolist() for column in columns.values()), strict=True)
        rows += [{"side": side, **dict(zip(columns, each, strict=True))} for each in values]
    return rows


def _partners(found: Overlaps, pair: np.ndarray, partner: np.ndarray, ids: np.ndarray) -> dict[str, np.ndarray]:
    best = np.zeros(len(partner))
    np.maximum.at(best, pair, found.pair_iou)
    return {"partner": np.array([int(ids[p]) if p >= 0 else "" for p in partner], object), "iou": best}


def _mean(values) -> float:
    """NaN if there are none, without a warning; NaN among them do not count."""
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")
