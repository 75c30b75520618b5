"""Scores of predicted label files against true ones: per image and per object."""

from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.io.raster import read_label, suffix_of
from snakeseg.labels import IGNORED, classes_and_objects
from snakeseg.metrics.matching import THRESHOLDS, Overlaps, detection_scores, match, overlaps
from snakeseg.metrics.overlap import (
    adapted_rand_error,
    confusion_matrix,
    dice_and_iou,
    fcn_scores,
    pixel_error,
    variation_of_information,
)
from snakeseg.settings import Labels
from snakeseg.summary import CONFUSION, DETECTION


def evaluate_rows(rows: pd.DataFrame, folder: Path, dims: int, labels: Labels) -> tuple[list[dict], list[dict]]:
    """Score every row's prediction in a folder.

    Returns
    -------
    images : list of dict
        One per row: sample, group, status (scored, unlabelled, unreadable), reason, and the scores.
    objects : list of dict
        One per true or predicted object: its size, partner and IoU.
    """
    images, objects = [], []
    for row in rows.itertuples():
        image = {"sample": row.sample, "group": row.group, "status": "scored", "reason": ""}
        if not row.label:
            images.append({**image, "status": "unlabelled", "reason": "no label in the sample sheet"})
            continue
        try:
            truth = read_label(row.label, dims).array
            found = folder / f"{row.sample}{suffix_of(Path(row.image))}"
            predicted = read_label(found, dims).array
            if predicted.shape != truth.shape:
                raise BadInput(found, f"shape {predicted.shape}", f"{truth.shape}, as its label", "predict it again")
            scores, found = score(truth, predicted, labels)
        except ValueError as error:
            images.append({**image, "status": "unreadable", "reason": str(error)})
            continue
        images.append({**image, **scores})
        objects += [{"sample": row.sample, **entry} for entry in found]
    return images, objects


def score(truth: np.ndarray, predicted: np.ndarray, labels: Labels) -> tuple[dict, list[dict]]:
    """Scores of one image.

    Parameters
    ----------
    truth : integer array, shape (*spatial)
        As in the label file; pixels it ignores do not count.
    predicted : integer array, shape (*spatial)
        As written by the workflow: classes (their values in the label files) or object ids.
    labels : Labels

    Returns
    -------
    scores : dict
    objects : list of dict
    """
    true_classes, true_objects = classes_and_objects(truth, labels)
    if labels.kind == "semantic":
        classes, predicted_objects = classes_and_objects(predicted, labels)
    else:
        classes, predicted_objects = (predicted > 0).astype(np.uint8), predicted.astype(np.int64)
    counted = true_classes != IGNORED
    predicted_objects = np.where(counted, predicted_objects, 0)
    t, p = true_classes[counted], classes[counted]
    found = overlaps(true_objects, predicted_objects)
    splits, merges = variation_of_information(true_objects, predicted_objects)
    confusion = confusion_matrix(t, p, len(labels.classes))
    scores = {
        "pixels": int(t.size),
        "wrong_pixels": int(np.count_nonzero(t != p)),
        "true_objects": len(found.true_ids),
        "predicted_objects": len(found.predicted_ids),
        "missed": int(len(found.true_ids) > 0 and len(found.predicted_ids) == 0),
        "empty": int(len(found.true_ids) == 0),
        **{f"{CONFUSION}{i}_{j}": int(count) for (i, j), count in np.ndenumerate(confusion)},
        "pixel_error": pixel_error(t, p) if t.size else float("nan"),
        **fcn_scores(confusion),
        **_class_scores(t, p, labels),
        "adapted_rand_error": adapted_rand_error(true_objects, predicted_objects),
        "voi_split": splits,
        "voi_merge": merges,
    }
    for threshold in THRESHOLDS:
        hits = int((match(found, threshold) >= 0).sum())
        scores[f"tp_{threshold:.2f}"] = hits
        detection = detection_scores(hits, len(found.true_ids), len(found.predicted_ids))
        scores.update({f"{key}_{threshold:.2f}": detection[key] for key in DETECTION})
    return scores, _object_rows(found)


def _class_scores(truth: np.ndarray, predicted: np.ndarray, labels: Labels) -> dict:
    """Dice and IoU: the mean over foreground classes, and each class where there are several."""
    names = labels.classes[1:]
    each = [dice_and_iou(truth == index, predicted == index) for index in range(1, len(names) + 1)]
    scores = {"dice": float(np.mean([d for d, _ in each])), "iou": float(np.mean([i for _, i in each]))}
    if len(names) > 1:
        for name, (dice, iou) in zip(names, each, strict=True):
            scores |= {f"dice_{name}": dice, f"iou_{name}": iou}
    return scores


def _object_rows(found: Overlaps) -> list[dict]:
    """Every object with its partner at IoU 0.5 and the best IoU it has with anybody."""
    partner = match(found, 0.5)
    back = np.full(len(found.predicted_ids), -1)
    back[partner[partner >= 0]] = np.flatnonzero(partner >= 0)
    true, predicted = (found.true_ids, found.true_sizes), (found.predicted_ids, found.predicted_sizes)
    return [
        *_one_side("true", *true, found.pair_true, found.pair_iou, partner, found.predicted_ids),
        *_one_side("predicted", *predicted, found.pair_predicted, found.pair_iou, back, found.true_ids),
    ]


def _one_side(side: str, ids, sizes, pair, pair_iou, partner, partner_ids) -> list[dict]:
    best = np.zeros(len(ids))
    np.maximum.at(best, pair, pair_iou)
    return [
        {
            "side": side,
            "id": int(ids[i]),
            "size": int(sizes[i]),
            "partner": int(partner_ids[partner[i]]) if partner[i] >= 0 else "",
            "iou": best[i],
        }
        for i in range(len(ids))
    ]
