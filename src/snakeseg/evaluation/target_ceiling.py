"""Scores of the training target of a network without a border class, which separates touching objects.

They show what the gap and objects in several pieces cost. A network can exceed them: it may keep such pieces together.
"""

import numpy as np
from scipy import ndimage

from snakeseg.evaluation.metrics.contingency import overlaps
from snakeseg.evaluation.metrics.matching import detection_scores, match
from snakeseg.transforms.grow import grow_objects
from snakeseg.transforms.labels import separate_touching

# IoU thresholds of the ceiling, and pixels by which the objects of the target are grown back.
CEILING_THRESHOLDS, GROWTHS = (0.5, 0.75, 0.9), (0, 1, 2)
# Columns of the ceilings in check.tsv.
CEILING_COLUMNS = tuple(f"ceiling_{pixels}_{threshold:.2f}" for pixels in GROWTHS for threshold in CEILING_THRESHOLDS)


def target_ceiling(objects: np.ndarray) -> dict[str, float]:
    """Score the training target of an image against its label, as if a network had predicted the target perfectly.

    Parameters
    ----------
    objects : int array, shape (*spatial)
        Objects of an instance label, 0 for background; objects may touch.

    Returns
    -------
    dict of float
        AP (true positives / (true positives + false positives + false negatives)) of the connected components of the
        target, by name: ceiling_G_T for each of `GROWTHS` and `CEILING_THRESHOLDS`, such as ceiling_1_0.90. Empty
        without objects.
    """
    if not objects.any():
        return {}
    components, _ = ndimage.label(separate_touching(objects) > 0)
    ceiling = {}
    for pixels in GROWTHS:
        table = overlaps(objects, grow_objects(components, pixels))
        _, iou = match(table)
        for threshold in CEILING_THRESHOLDS:
            hits = int((iou >= threshold).sum())
            scores = detection_scores(hits, len(table.true_ids), len(table.predicted_ids))
            ceiling[f"ceiling_{pixels}_{threshold:.2f}"] = float(scores["ap"])
    return ceiling
