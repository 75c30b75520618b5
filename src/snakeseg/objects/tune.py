"""Choice of how objects are cut out of probabilities, on validation images only."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from snakeseg.evaluation.metrics.calibration import reliability
from snakeseg.evaluation.metrics.contingency import overlaps, without_small
from snakeseg.evaluation.metrics.matching import detection_scores, match
from snakeseg.evaluation.metrics.partition import adapted_rand_error
from snakeseg.objects import components
from snakeseg.objects.label_files import foreground_and_interior, likeliest
from snakeseg.objects.segment import Parameters, split
from snakeseg.progress import progress
from snakeseg.settings import Instances, Labels
from snakeseg.transforms.labels import IGNORED, classes_and_objects
from snakeseg.transforms.resample import nearest

Pair = tuple[np.ndarray, np.ndarray]
Maps = tuple[tuple[np.ndarray, np.ndarray], np.ndarray]

# What was predicted of an image (as `write_label_file` takes it), and its label as in the file.
Sample = tuple[Mapping, np.ndarray]


def tune_parameters(samples: Iterable[Sample], labels: Labels, settings: Instances) -> dict:
    """Choose what is kept of each class, or how objects are cut out of probabilities.

    Parameters
    ----------
    samples : iterable of (mapping, integer array)
        What was predicted of each validation image, and its label.
    labels : Labels
    settings : Instances

    Returns
    -------
    dict
        For `instances.json`: chosen and trials (of objects, or for each of the classes), the score that chose
        (select_by), and with objects how reliable their probabilities are (calibration).
    """
    if labels.kind == "semantic":
        return _tune_classes(samples, labels, settings)
    return _tune_objects(samples, labels, settings)


def _tune_classes(samples: Iterable[Sample], labels: Labels, settings: Instances) -> dict:
    """Compare predicted and true classes on the grid of the label."""
    pairs = (
        (likeliest(predicted, label.shape)[:], classes_and_objects(label, labels)[0]) for predicted, label in samples
    )
    classes = components.choose(pairs, labels.classes, settings.smallest)
    return {"chosen": {}, "trials": [], "select_by": "dice", "classes": classes}


def _tune_objects(samples: Iterable[Sample], labels: Labels, settings: Instances) -> dict:
    """Compare probabilities and true objects on the grid of the probabilities."""
    maps, truths = [], []
    for predicted, label in samples:
        foreground, interior = (each[:] for each in foreground_and_interior(predicted["probabilities"]))
        maps.append((foreground, interior))
        truths.append(classes_and_objects(nearest(label, foreground.shape)[:], labels))
    pairs = [(pair, objects) for pair, (_, objects) in zip(maps, truths, strict=True)]
    chosen, trials = choose(pairs, settings)
    known = [classes != IGNORED for classes, _ in truths]
    calibration = reliability(
        (foreground[k], classes[k] > 0) for (foreground, _), (classes, _), k in zip(maps, truths, known, strict=True)
    )
    return {
        "select_by": settings.select_by, "chosen": asdict(chosen), "trials": trials, "calibration": calibration,
    }  # fmt: skip


def candidates(settings: Instances) -> Iterator[Parameters]:
    """Every method at every foreground threshold, with every depth, or higher threshold, of its seeds."""
    fixed = {"fill_holes": settings.fill_holes, "drop_at_edge": settings.drop_at_edge}
    for threshold in settings.thresholds:
        yield Parameters("components", threshold, **fixed)
        for depth in settings.depths:
            yield from (Parameters(method, threshold, depth, **fixed) for method in ("distance", "soft"))
        yield from (Parameters("core", threshold, core, **fixed) for core in settings.cores)


def choose(pairs: Sequence[Maps], settings: Instances) -> tuple[Parameters, list[dict]]:
    """The parameters with the best score, by exhaustive search.

    Parameters
    ----------
    pairs : sequence of ((foreground, interior), truth)
        Probabilities and true objects of the validation images, arrays of shape (*spatial).
    settings : Instances
        What to try, and by which score to judge.

    Returns
    -------
    chosen : Parameters
        Of equals, the first tried: the simpler method, the lower threshold.
    trials : list of dict
        Every combination with its score (higher is better).
    """
    if settings.select_by not in SCORES:
        raise ValueError(f"instances.select_by {settings.select_by!r}; expected one of {list(SCORES)}")
    score = SCORES[settings.select_by]
    trials = []
    tried = list(candidates(settings))
    for parameters in progress(tried, len(tried), "choosing object parameters"):
        found = [(truth, split(*maps, parameters)) for maps, truth in pairs]
        values = score(found, settings.smallest)
        for smallest, value in zip(settings.smallest, values, strict=True):
            trials.append({**asdict(replace(parameters, smallest=smallest)), "score": value})
    best = max(trials, key=lambda trial: trial["score"])
    return Parameters(**{key: value for key, value in best.items() if key != "score"}), trials


def _mean_ap(found: Sequence[Pair], sizes: Sequence[int], thresholds: Sequence[float]) -> list[float]:
    """Pooled AP, averaged over IoU thresholds, for each smallest size."""
    shared = [overlaps(truth, predicted) for truth, predicted in found]
    values = []
    for smallest in sizes:
        kept = [without_small(each, smallest) for each in shared]
        true_objects = sum(len(each.true_ids) for each in kept)
        predicted_objects = sum(len(each.predicted_ids) for each in kept)
        iou = np.concatenate([match(each)[1] for each in kept])
        hits = [int((iou >= threshold).sum()) for threshold in thresholds]
        values.append(float(np.mean([detection_scores(h, true_objects, predicted_objects)["ap"] for h in hits])))
    return values


def _rand(found: Sequence[Pair], sizes: Sequence[int]) -> list[float]:
    """One minus the mean adapted Rand error, for each smallest size."""
    shared = [overlaps(truth, predicted) for truth, predicted in found]
    return [
        1 - float(np.nanmean([adapted_rand_error(without_small(each, smallest)) for each in shared]))
        for smallest in sizes
    ]


SCORES: dict[str, Callable[[Sequence[Pair], Sequence[int]], list[float]]] = {
    "ap_0.50": lambda found, sizes: _mean_ap(found, sizes, [0.5]),
    "ap": lambda found, sizes: _mean_ap(found, sizes, [0.5, 0.6, 0.7, 0.8, 0.9]),
    "adapted_rand_error": _rand,
}
