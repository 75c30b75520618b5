"""Choose the segmentation parameters of a model on its validation images."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from snakeseg.evaluation.counting import mask_truth
from snakeseg.evaluation.metrics.calibration import reliability
from snakeseg.objects.components import candidate_filters, describe_filters, score_filters
from snakeseg.objects.cross_fit import GroupCounts, best_trial
from snakeseg.objects.label_files import foreground_and_interior, most_probable_classes
from snakeseg.objects.segment import InstanceParameters
from snakeseg.objects.trials import SCORES, candidate_parameters, count_trials, list_trials, mean_ap
from snakeseg.progress import progress
from snakeseg.settings import Instances, Labels
from snakeseg.transforms.labels import IGNORED, classes_and_objects
from snakeseg.transforms.resample import nearest

# Foreground and interior probabilities of an image, and its true objects.
Maps = tuple[tuple[np.ndarray, np.ndarray], np.ndarray]


class Sample(NamedTuple):
    """A held-out image.

    Parameters
    ----------
    name, group : str
        From the sample sheet.
    prediction : mapping
        "probabilities", shape (classes, *spatial), or "classes", shape (1, *spatial), as for `write_label_file`.
    label : integer array, shape (*spatial)
        As in the label file, possibly on another grid.
    """

    name: str
    group: str
    prediction: Mapping
    label: np.ndarray


def tune_parameters(samples: Iterable[Sample], labels: Labels, settings: Instances) -> dict:
    """Choose the segmentation parameters, or for semantic labels the component filter of each class.

    Parameters
    ----------
    samples : iterable of Sample
        The held-out images. One is held in memory at a time.
    labels : Labels
    settings : Instances

    Returns
    -------
    dict
        Content of `instances.json`: "chosen" and "trials" (parameters and their scores on all images), "select_by" (the
        score that is maximised), "calibration" for objects or "classes" for semantic labels, and "cross_fitted": the
        parameters chosen for each group on the other groups (see `GroupCounts.cross_fit`), which validation scores use.
    """
    if labels.kind == "semantic":
        return _tune_classes(samples, labels, settings)
    return _tune_objects(samples, labels, settings)


def _tune_classes(samples: Iterable[Sample], labels: Labels, settings: Instances) -> dict:
    """Compare predicted and true classes on the grid of the label."""
    counts, filters, names = GroupCounts(), candidate_filters(settings.smallest), labels.classes[1:]
    for sample in samples:
        predicted = most_probable_classes(sample.prediction, sample.label.shape)[:]
        truth = mask_truth(*classes_and_objects(sample.label, labels), not settings.drop_at_edge)
        dice = score_filters(predicted, truth.classes, len(names), filters)
        counts.add(sample.name, sample.group, np.stack([dice, np.ones_like(dice)]))

    def choose(sums: np.ndarray) -> dict[str, dict]:
        best = [best_trial(dice, np.zeros(len(filters))) for dice in sums[0] / sums[1]]
        return {name: asdict(filters[index]) for name, index in zip(names, best, strict=True)}

    total = counts.total()
    classes = describe_filters(total[0] / total[1], names, filters, choose(total))
    return {
        "chosen": {}, "trials": [], "select_by": "dice", "classes": classes, "cross_fitted": counts.cross_fit(choose),
    }  # fmt: skip


def _tune_objects(samples: Iterable[Sample], labels: Labels, settings: Instances) -> dict:
    """Compare probabilities and true objects on the grid of the probabilities."""
    counts = GroupCounts()
    calibration = reliability(_count_images(samples, labels, settings, counts))
    total, trials = counts.total(), list_trials(settings)

    def choose(sums: np.ndarray) -> dict:
        return asdict(trials[_best(sums, settings)])

    return {
        "select_by": settings.select_by, "chosen": choose(total), "trials": _with_scores(trials, total, settings),
        "calibration": calibration, "cross_fitted": counts.cross_fit(choose),
    }  # fmt: skip


def _count_images(
    samples: Iterable[Sample], labels: Labels, settings: Instances, counts: GroupCounts
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Add the counts of each image to `counts`, and yield its foreground probabilities and true foreground."""
    for sample in samples:
        foreground, interior = (lazy[:] for lazy in foreground_and_interior(sample.prediction["probabilities"]))
        classes, objects = classes_and_objects(nearest(sample.label, foreground.shape)[:], labels)
        truth = mask_truth(classes, objects, not settings.drop_at_edge)
        number = sum(1 for _ in candidate_parameters(settings))
        trials = count_trials(foreground, interior, truth, settings)
        trials = progress(trials, number, f"choosing segmentation parameters on {sample.name}")
        counts.add(sample.name, sample.group, np.concatenate([*trials]))
        yield foreground[classes != IGNORED], classes[classes != IGNORED] > 0


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
    chosen : InstanceParameters
        Of equal scores, that with the higher mean AP over IoU 0.5 to 0.9; of these, the first tried: the simpler
        method, the lower threshold, the smaller growth.
    trials : list of dict
        All combinations with their scores (higher is better).

    Raises
    ------
    ValueError
        If `settings.select_by` is not one of `SCORES`.
    """
    if settings.select_by not in SCORES:
        raise ValueError(f"instances.select_by {settings.select_by!r}; expected one of {list(SCORES)}")
    trials = list_trials(settings)
    total = sum(
        np.concatenate([*count_trials(*maps, mask_truth(truth > 0, truth, not settings.drop_at_edge), settings)])
        for maps, truth in pairs
    )
    return trials[_best(total, settings)], _with_scores(trials, total, settings)


def _best(counts: np.ndarray, settings: Instances) -> int:
    """Index of the best trial, given counts summed over images."""
    return best_trial(SCORES[settings.select_by](counts), mean_ap(counts))


def _with_scores(trials: Sequence[InstanceParameters], counts: np.ndarray, settings: Instances) -> list[dict]:
    """Return all trials with their scores."""
    scores = SCORES[settings.select_by](counts).tolist()
    return [{**asdict(parameters), "score": score} for parameters, score in zip(trials, scores, strict=True)]
