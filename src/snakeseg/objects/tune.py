"""Choose the segmentation parameters of a model on its validation images."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from snakeseg.evaluation.metrics.calibration import reliability
from snakeseg.evaluation.metrics.contingency import keep_predicted, overlaps
from snakeseg.evaluation.metrics.matching import detection_scores, match
from snakeseg.evaluation.metrics.partition import adapted_rand_error
from snakeseg.objects.components import choose_filters
from snakeseg.objects.label_files import foreground_and_interior, most_probable_classes
from snakeseg.objects.segment import InstanceParameters, segment_unfiltered
from snakeseg.progress import progress
from snakeseg.settings import Instances, Labels
from snakeseg.transforms.labels import IGNORED, classes_and_objects
from snakeseg.transforms.resample import nearest

# True and predicted objects of an image.
Pair = tuple[np.ndarray, np.ndarray]
# Foreground and interior probabilities of an image, and its true objects.
Maps = tuple[tuple[np.ndarray, np.ndarray], np.ndarray]
# The prediction of an image (as for `write_label_file`), and its label as in the label file.
Sample = tuple[Mapping, np.ndarray]


def tune_parameters(samples: Iterable[Sample], labels: Labels, settings: Instances) -> dict:
    """Choose the segmentation parameters, or for semantic labels the component filter of each class.

    Parameters
    ----------
    samples : iterable of (mapping, integer array)
        Prediction and label of each validation image. The mapping holds "probabilities", shape (classes, *spatial),
        or "classes", shape (1, *spatial); the label has shape (*spatial), possibly on another grid.
    labels : Labels
    settings : Instances

    Returns
    -------
    dict
        Content of `instances.json`: "chosen" and "trials" (parameters and their scores), "select_by" (the score that
        is maximised), and "calibration" for objects or "classes" for semantic labels.
    """
    if labels.kind == "semantic":
        return _tune_classes(samples, labels, settings)
    return _tune_objects(samples, labels, settings)


def _tune_classes(samples: Iterable[Sample], labels: Labels, settings: Instances) -> dict:
    """Compare predicted and true classes on the grid of the label."""
    pairs = (
        (most_probable_classes(prediction, label.shape)[:], classes_and_objects(label, labels)[0])
        for prediction, label in samples
    )
    classes = choose_filters(pairs, labels.classes, settings.smallest)
    return {"chosen": {}, "trials": [], "select_by": "dice", "classes": classes}


def _tune_objects(samples: Iterable[Sample], labels: Labels, settings: Instances) -> dict:
    """Compare probabilities and true objects on the grid of the probabilities."""
    maps, truths = [], []
    for prediction, label in samples:
        foreground, interior = (lazy[:] for lazy in foreground_and_interior(prediction["probabilities"]))
        maps.append((foreground, interior))
        truths.append(classes_and_objects(nearest(label, foreground.shape)[:], labels))
    pairs = [(pair, objects) for pair, (_, objects) in zip(maps, truths, strict=True)]
    chosen, trials = choose_parameters(pairs, settings)
    scored_masks = [classes != IGNORED for classes, _ in truths]
    calibration = reliability(
        (foreground[is_scored], classes[is_scored] > 0)
        for (foreground, _), (classes, _), is_scored in zip(maps, truths, scored_masks, strict=True)
    )
    return {
        "select_by": settings.select_by, "chosen": asdict(chosen), "trials": trials, "calibration": calibration,
    }  # fmt: skip


def candidate_parameters(settings: Instances) -> Iterator[InstanceParameters]:
    """Yield every method at every foreground threshold, with every depth or core threshold of its seeds."""
    fixed = {"fill_holes": settings.fill_holes, "drop_at_edge": settings.drop_at_edge}
    for threshold in settings.thresholds:
        yield InstanceParameters("components", threshold, **fixed)
        for depth in settings.depths:
            yield from (InstanceParameters(method, threshold, depth, **fixed) for method in ("distance", "soft"))
        yield from (InstanceParameters("core", threshold, core, **fixed) for core in settings.cores)


def choose_parameters(pairs: Sequence[Maps], settings: Instances) -> tuple[InstanceParameters, list[dict]]:
    """Choose the parameters with the best score by exhaustive search.

    Parameters
    ----------
    pairs : sequence of ((foreground, interior), truth)
        Probabilities (float) and true objects (int) of the validation images, arrays of shape (*spatial).
    settings : Instances
        The values to try, and the score to maximise.

    Returns
    -------
    chosen : Parameters
        Of equal scores, the first tried: the simpler method, the lower threshold.
    trials : list of dict
        All combinations with their scores (higher is better).

    Raises
    ------
    ValueError
        If `settings.select_by` is not one of `SCORES`.
    """
    if settings.select_by not in SCORES:
        raise ValueError(f"instances.select_by {settings.select_by!r}; expected one of {list(SCORES)}")
    score = SCORES[settings.select_by]
    trials = []
    candidates = list(candidate_parameters(settings))
    for parameters in progress(candidates, len(candidates), "choosing segmentation parameters"):
        segmentations = [(truth, segment_unfiltered(*maps, parameters)) for maps, truth in pairs]
        values = score(segmentations, settings.smallest)
        for smallest, value in zip(settings.smallest, values, strict=True):
            trials.append({**asdict(replace(parameters, smallest=smallest)), "score": value})
    best = max(trials, key=lambda trial: trial["score"])
    return InstanceParameters(**{key: value for key, value in best.items() if key != "score"}), trials


def _mean_ap(segmentations: Sequence[Pair], sizes: Sequence[int], thresholds: Sequence[float]) -> list[float]:
    """AP pooled over images and averaged over IoU thresholds, for each minimum size of an object in pixels."""
    tables = [overlaps(truth, predicted) for truth, predicted in segmentations]
    values = []
    for smallest in sizes:
        kept = [keep_predicted(table, table.predicted_sizes >= smallest) for table in tables]
        true_objects = sum(len(table.true_ids) for table in kept)
        predicted_objects = sum(len(table.predicted_ids) for table in kept)
        iou = np.concatenate([match(table)[1] for table in kept])
        hits = [int((iou >= threshold).sum()) for threshold in thresholds]
        values.append(float(np.mean([detection_scores(h, true_objects, predicted_objects)["ap"] for h in hits])))
    return values


def _rand_score(segmentations: Sequence[Pair], sizes: Sequence[int]) -> list[float]:
    """One minus the mean adapted Rand error over images, for each minimum size of an object in pixels."""
    tables = [overlaps(truth, predicted) for truth, predicted in segmentations]
    return [
        1 - float(np.nanmean([adapted_rand_error(keep_predicted(t, t.predicted_sizes >= smallest)) for t in tables]))
        for smallest in sizes
    ]


SCORES: dict[str, Callable[[Sequence[Pair], Sequence[int]], list[float]]] = {
    "ap_0.50": lambda segmentations, sizes: _mean_ap(segmentations, sizes, [0.5]),
    "ap": lambda segmentations, sizes: _mean_ap(segmentations, sizes, [0.5, 0.6, 0.7, 0.8, 0.9]),
    "adapted_rand_error": _rand_score,
}
