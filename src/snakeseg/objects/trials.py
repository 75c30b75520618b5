"""Try segmentation parameters on an image, and compute scores from the counts of any set of images."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from snakeseg.evaluation.counting import ScoredTruth, count_objects
from snakeseg.evaluation.metrics.contingency import Overlaps, keep_predicted
from snakeseg.evaluation.metrics.matching import match
from snakeseg.evaluation.metrics.partition import adapted_rand_error
from snakeseg.objects.segment import InstanceParameters, segment_unfiltered
from snakeseg.settings import Instances
from snakeseg.transforms.grow import grow_objects
from snakeseg.transforms.labels import drop_at_edge

# IoU thresholds of the score "ap".
AP_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
# Columns of counts: matches at each of these thresholds, then true objects, predicted objects, one minus the adapted
# Rand error, and 1 if that is defined.
COUNT_COLUMNS = len(AP_THRESHOLDS) + 4


def candidate_parameters(settings: Instances) -> Iterator[InstanceParameters]:
    """Yield every method at every foreground threshold, with every depth or core threshold of its seeds."""
    fixed = {"fill_holes": settings.fill_holes, "drop_at_edge": settings.drop_at_edge}
    for threshold in settings.thresholds:
        yield InstanceParameters("components", threshold, **fixed)
        for depth in settings.depths:
            yield from (InstanceParameters(method, threshold, depth, **fixed) for method in ("distance", "soft"))
        yield from (InstanceParameters("core", threshold, core, **fixed) for core in settings.cores)


def list_trials(settings: Instances) -> list[InstanceParameters]:
    """List every candidate with every growth and every minimum size."""
    return [
        replace(parameters, grow=pixels, smallest=smallest)
        for parameters in candidate_parameters(settings)
        for pixels in settings.grow
        for smallest in settings.smallest
    ]


def count_trials(
    foreground: np.ndarray, interior: np.ndarray, truth: ScoredTruth, settings: Instances
) -> Iterator[np.ndarray]:
    """Segment an image with all parameters, and count what scores are computed from.

    Parameters
    ----------
    foreground, interior : float arrays, shape (*spatial)
        Probabilities, as in `snakeseg.objects.segment.segment`.
    truth : ScoredTruth
    settings : Instances

    Yields
    ------
    float array, shape (trials, COUNT_COLUMNS)
        The trials of one of `candidate_parameters`, in the order of `list_trials`. What counts is decided as for
        scores; minimum sizes are compared with sizes in the whole image, as in `segment`.
    """
    for parameters in candidate_parameters(settings):
        objects = segment_unfiltered(foreground, interior, parameters)
        if parameters.drop_at_edge:
            objects = drop_at_edge(objects)
        counts = []
        for pixels in settings.grow:
            table, sizes = count_objects(truth, grow_objects(objects, pixels))
            counts += [_count(keep_predicted(table, sizes >= smallest)) for smallest in settings.smallest]
        yield np.array(counts)


def _count(table: Overlaps) -> list[float]:
    """Count one trial: see `COUNT_COLUMNS`."""
    _, iou = match(table)
    rand_score = 1 - adapted_rand_error(table)
    is_defined = rand_score == rand_score
    hits = [float((iou >= threshold).sum()) for threshold in AP_THRESHOLDS]
    sizes = [float(len(table.true_ids)), float(len(table.predicted_ids))]
    return [*hits, *sizes, rand_score if is_defined else 0.0, float(is_defined)]


def mean_ap(counts: np.ndarray) -> np.ndarray:
    """AP pooled over images and averaged over `AP_THRESHOLDS`, of each trial; `counts` are summed over images."""
    return _average_precisions(counts).mean(axis=1)


def _average_precisions(counts: np.ndarray) -> np.ndarray:
    """AP of each trial at each of `AP_THRESHOLDS`; 1 if there are neither true nor predicted objects."""
    hits, total = counts[:, : len(AP_THRESHOLDS)], counts[:, len(AP_THRESHOLDS) : -2].sum(axis=1, keepdims=True)
    return np.where(total > 0, hits / np.maximum(total - hits, 1), 1.0)


def _rand_score(counts: np.ndarray) -> np.ndarray:
    """One minus the mean adapted Rand error over images, of each trial; NaN if it is defined for no image."""
    with np.errstate(invalid="ignore"):
        return counts[:, -2] / counts[:, -1]


# Scores by which parameters are chosen: functions of the counts, shape (trials, COUNT_COLUMNS), summed over images.
# Higher is better.
SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ap_0.50": lambda counts: _average_precisions(counts)[:, 0],
    "ap": mean_ap,
    "adapted_rand_error": _rand_score,
}
