"""Scores of objects in an image of 2048 x 2048 pixels with 5,000 of them, against StarDist's matching.

Both match the same pair of label images at ten IoU thresholds, in one run, after a first call to warm up. StarDist's
module is loaded by itself, since other parts of its package are compiled for NumPy 1. Memory is measured for ever more
objects in images of the same size, and told per pair of objects that overlap.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
from _verdict import best_seconds, peak_bytes, table, verdict
from weights import discs

from snakeseg.evaluation.metrics.contingency import overlaps
from snakeseg.evaluation.metrics.matching import THRESHOLDS, detection_scores, match, panoptic_scores
from snakeseg.evaluation.metrics.objects import (
    aggregated_jaccard,
    count_errors,
    segmentation_accuracy,
    split_and_merging,
)
from snakeseg.evaluation.scores import score
from snakeseg.settings import Labels

SIDE, OBJECTS, GOAL, SLOWEST_SCORE = 2048, 5000, 5.0, 10.0


def stardist_matching() -> ModuleType:
    path = Path(importlib.util.find_spec("stardist").origin).with_name("matching.py")
    spec = importlib.util.spec_from_file_location("stardist_matching", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scene(side: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """True discs, and the same moved by three pixels with one in ten lost and one in ten cut in two."""
    truth = discs(side, count)
    ids = np.arange(truth.max() + 1)
    predicted = np.roll(truth, 3, axis=1)
    predicted = np.where(ids % 10 == 1, 0, ids)[predicted]
    cut = (predicted % 10 == 2) & (np.arange(side) // 8 % 2 == 0)
    return truth, np.where(cut, predicted + count, predicted).astype(np.int32)


def matching(truth: np.ndarray, predicted: np.ndarray) -> list[dict]:
    """What StarDist's matching computes."""
    found = overlaps(truth, predicted)
    _, iou = match(found)
    sizes = len(found.true_ids), len(found.predicted_ids)
    rows = []
    for threshold in THRESHOLDS:
        hits = iou[iou >= threshold]
        rows.append(detection_scores(len(hits), *sizes) | panoptic_scores(hits.sum(), len(hits), *sizes))
    return rows


def all_scores(truth: np.ndarray, predicted: np.ndarray) -> None:
    """The same, and every other score of objects."""
    matching(truth, predicted)
    found = overlaps(truth, predicted)
    for each in (aggregated_jaccard, segmentation_accuracy, count_errors, split_and_merging):
        each(found)


def agree(ours: list[dict], theirs: tuple) -> bool:
    """To the single precision in which StarDist computes IoU."""
    names = {"precision": "precision", "recall": "recall", "f1": "f1", "ap": "accuracy", "pq": "panoptic_quality"}
    pairs = [(a[name], getattr(b, other)) for a, b in zip(ours, theirs, strict=True) for name, other in names.items()]
    return np.allclose(*zip(*pairs, strict=True), rtol=0, atol=1e-6)


def main() -> None:
    peer = stardist_matching()
    truth, predicted = scene(SIDE, OBJECTS)
    equal = agree(matching(truth, predicted), peer.matching(truth, predicted, THRESHOLDS))
    seconds = best_seconds(lambda: matching(truth, predicted))
    every = best_seconds(lambda: all_scores(truth, predicted))
    theirs = best_seconds(lambda: peer.matching(truth, predicted, THRESHOLDS), 3)
    grey = truth.astype(np.float32)
    whole = best_seconds(lambda: score(truth, predicted, Labels(), (1.0, 1.0), grey), 2)

    rows = []
    for count in (500, 5000, 50_000):
        pair = scene(SIDE, count)
        found = overlaps(*pair)
        rows.append({
            "objects": len(found.true_ids) + len(found.predicted_ids),
            "overlapping pairs": len(found.pair_true),
            "ms": best_seconds(lambda pair=pair: matching(*pair), 3) * 1e3,
            "MB": peak_bytes(lambda pair=pair: matching(*pair)) / 1e6,
            "MB of the table": sum(np.asarray(each).nbytes for each in found) / 1e6,
        })  # fmt: skip
    table(rows)
    sizes = [row["MB of the table"] * 1e6 / row["overlapping pairs"] for row in rows]
    ratio = theirs / seconds
    met = equal and ratio >= GOAL and whole < SLOWEST_SCORE and max(sizes) < 2 * min(sizes)
    verdict(
        "metrics", seconds, theirs, ratio, GOAL, met,
        equal=equal, all_object_scores=every, whole_image_scored=whole, bytes_per_pair=sizes,
    )  # fmt: skip


if __name__ == "__main__":
    main()
