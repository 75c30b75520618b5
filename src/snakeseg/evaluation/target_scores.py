"""Scores of the training target of a network without a border class, which separates touching objects.

They show what the gap and objects in several pieces cost. A network can exceed them: it may keep such pieces together.
"""

import numpy as np
import pandas as pd
from scipy import ndimage

from snakeseg.evaluation.metrics.contingency import overlaps
from snakeseg.evaluation.metrics.matching import detection_scores, match
from snakeseg.transforms.grow import grow_objects
from snakeseg.transforms.labels import separate_touching

# IoU thresholds of the scores, and pixels by which the objects of the target are grown back.
TARGET_THRESHOLDS, GROWTHS = (0.5, 0.75, 0.9), (0, 1, 2)
# Columns of these scores in check.tsv.
TARGET_COLUMNS = tuple(f"target_{pixels}_{threshold:.2f}" for pixels in GROWTHS for threshold in TARGET_THRESHOLDS)
# Scores that are computed for the target, and their columns in check.tsv by pixels of growth.
SCORES_OF_TARGET = {f"ap_{threshold:.2f}": f"target_{{}}_{threshold:.2f}" for threshold in TARGET_THRESHOLDS}


def score_target(objects: np.ndarray) -> dict[str, float]:
    """Score the training target of an image against its label, as if a network had predicted the target perfectly.

    Parameters
    ----------
    objects : int array, shape (*spatial)
        Objects of an instance label, 0 for background; objects may touch.

    Returns
    -------
    dict of float
        AP (true positives / (true positives + false positives + false negatives)) of the connected components of the
        target, by name: target_G_T for each of `GROWTHS` and `TARGET_THRESHOLDS`, such as target_1_0.90. Empty
        without objects.
    """
    if not objects.any():
        return {}
    components, _ = ndimage.label(separate_touching(objects) > 0)
    scores_of_target = {}
    for pixels in GROWTHS:
        table = overlaps(objects, grow_objects(components, pixels))
        _, iou = match(table)
        for threshold in TARGET_THRESHOLDS:
            hits = int((iou >= threshold).sum())
            scores = detection_scores(hits, len(table.true_ids), len(table.predicted_ids))
            scores_of_target[f"target_{pixels}_{threshold:.2f}"] = float(scores["ap"])
    return scores_of_target


def mean_target_scores(facts: pd.DataFrame, samples: set[str], growth: int, border: int) -> dict[str, float]:
    """Return the mean scores of an experiment's training target over some images.

    Parameters
    ----------
    facts : DataFrame
        Content of check.tsv.
    samples : set of str
        Images to average over.
    growth : int
        Pixels by which the experiment's objects are grown (`grow` in instances.json).
    border : int
        Width of the experiment's border class, which replaces the gap between touching objects.

    Returns
    -------
    dict of float
        Mean by name of the score. Empty with a border class, for labels without such scores, and for runs of
        versions that did not compute it.
    """
    rows = facts[facts["sample"].isin(samples)]
    columns = {score: column.format(min(growth, max(GROWTHS))) for score, column in SCORES_OF_TARGET.items()}
    if border or not set(columns.values()) <= set(facts):
        return {}
    means = {score: float(rows[column].mean()) for score, column in columns.items()}
    return {} if any(mean != mean for mean in means.values()) else means
