"""The search for segmentation parameters finds known optima, and its scores equal those of the workflow's steps."""

from dataclasses import asdict
from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from snakeseg.evaluation.metrics.contingency import overlaps
from snakeseg.evaluation.metrics.matching import detection_scores, match
from snakeseg.evaluation.metrics.partition import adapted_rand_error
from snakeseg.evaluation.scores import score
from snakeseg.objects.segment import InstanceParameters, segment
from snakeseg.objects.trials import SCORES, candidate_parameters
from snakeseg.objects.tune import Sample, choose_parameters, tune_parameters
from snakeseg.settings import Instances, Labels

SMALL_GRID = {
    "thresholds": [0.3, 0.5, 0.7],
    "cores": [0.5, 0.9],
    "depths": [1.0, 3.0],
    "smallest": [0, 6],
    "grow": [0, 1],
}


def choose_by_foreground(pairs, settings):
    """Call `choose_parameters` for networks without a border class."""
    return choose_parameters([((f.astype(np.float32),) * 2, truth) for f, truth in pairs], settings)


def blobs(seed, shape=(40, 44)):
    """Return foreground probabilities, and true objects that resemble them."""
    rng = np.random.default_rng(seed)
    truth = ndimage.label(ndimage.gaussian_filter(rng.normal(size=shape), 3) > 0.05)[0]
    noise = ndimage.gaussian_filter(rng.normal(size=shape), 1)
    foreground = np.clip(0.7 * (truth > 0) + 0.15 + 0.5 * noise, 0, 1).astype(np.float16)
    return foreground, truth


def test_candidates_combine_methods_thresholds_and_depths():
    """Every method is tried at every threshold, with every depth or core threshold."""
    candidates = list(candidate_parameters(Instances(**SMALL_GRID)))
    assert len(set(candidates)) == len(candidates) == 3 + 3 * 2 * 2 + 3 * 2
    assert [p.method for p in candidates[:3]] == ["components", "distance", "soft"]


@pytest.mark.parametrize("select_by", SCORES)
def test_the_search_finds_the_right_threshold_and_size(select_by):
    """Cells have a probability above 0.6, the background between them 0.55, and specks have 2 pixels."""
    truth = np.zeros((20, 30), int)
    truth[3:10, 3:10], truth[3:10, 13:20] = 1, 2
    foreground = np.where(truth > 0, 0.9, 0.0)
    foreground[3:10, 10:13] = 0.55
    foreground[15, 3:5] = 0.9
    chosen, trials = choose_by_foreground(
        [(foreground, truth)], Instances(**{**SMALL_GRID, "select_by": select_by, "depths": [], "cores": []})
    )
    assert chosen.threshold == 0.7
    assert max(trial["score"] for trial in trials) == 1
    if select_by != "adapted_rand_error":  # which ignores pixels outside the true objects
        assert chosen == InstanceParameters("components", 0.7, smallest=6)


def test_the_search_splits_touching_cells():
    coordinates = np.indices((30, 50))
    squared_distances = [((coordinates - np.reshape(c, (2, 1, 1))) ** 2).sum(axis=0) for c in ((15, 15), (15, 29))]
    mask = np.minimum(*squared_distances) < 64
    truth = np.where(mask, 1 + (squared_distances[1] < squared_distances[0]), 0)
    chosen, _ = choose_by_foreground([(mask.astype(float), truth)], Instances(**{**SMALL_GRID, "cores": []}))
    assert chosen.method == "distance"


@pytest.mark.parametrize("select_by", SCORES)
def test_scores_of_the_search_equal_those_of_segment_and_metrics(select_by):
    """The metrics are computed over all images together."""
    pairs = [blobs(seed) for seed in range(3)]
    _, trials = choose_by_foreground(pairs, Instances(select_by=select_by, **SMALL_GRID))
    thresholds = {"ap_0.50": [0.5], "ap": [0.5, 0.6, 0.7, 0.8, 0.9]}.get(select_by)
    assert len(trials) == 2 * 2 * 21
    for trial in trials[::3]:
        parameters = InstanceParameters(**{key: value for key, value in trial.items() if key != "score"})
        segmented = [(truth, segment(foreground, foreground, parameters)) for foreground, truth in pairs]
        if thresholds is None:
            expected = 1 - np.mean([adapted_rand_error(overlaps(*pair)) for pair in segmented])
        else:
            tables = [overlaps(*pair) for pair in segmented]
            counts = [sum(len(s.true_ids) for s in tables), sum(len(s.predicted_ids) for s in tables)]
            hits = [sum((match(s)[1] >= t).sum() for s in tables) for t in thresholds]
            expected = np.mean([detection_scores(h, *counts)["ap"] for h in hits])
        assert trial["score"] == pytest.approx(expected, abs=1e-12)
    assert len({trial["score"] for trial in trials}) > 3


def test_the_first_of_the_best_parameters_is_chosen():
    pairs = [blobs(0), blobs(1)]
    chosen, trials = choose_by_foreground(pairs, Instances(**SMALL_GRID))
    best = max(trial["score"] for trial in trials)
    assert next(trial for trial in trials if trial["score"] == best) == {**asdict(chosen), "score": best}
    perfect = np.pad(np.ones((8, 8)), 4)
    assert choose_by_foreground([(perfect, perfect.astype(int))], Instances(**SMALL_GRID))[0] == InstanceParameters(
        "components", 0.3
    )


def test_every_image_affects_the_choice():
    """A second image of higher probabilities changes the chosen threshold."""
    truth = np.pad(np.ones((8, 8), int), 4)
    dim, hazy = np.where(truth, 0.6, 0.0), np.where(truth, 0.9, 0.4)
    settings = Instances(**SMALL_GRID)
    assert choose_by_foreground([(dim, truth)], settings)[0].threshold == 0.3
    assert choose_by_foreground([(dim, truth), (hazy, truth)], settings)[0].threshold == 0.5


def test_an_unknown_score_is_an_error():
    with pytest.raises(ValueError, match=r"instances.select_by 'iou'; expected one of"):
        choose_by_foreground([blobs(0)], Instances(select_by="iou"))


@pytest.mark.parametrize("drop", [False, True])
def test_tuning_scores_as_the_workflow_does(drop):
    """On the grid of the probabilities, with ignored pixels, objects at the edge, and sizes in the whole image."""
    foreground, truth = blobs(0)
    label = truth.repeat(2, 0).repeat(2, 1)
    label[:40] = 1000
    settings, labels = Instances(**SMALL_GRID, drop_at_edge=drop), Labels(ignore=1000)
    probabilities = np.stack([1 - foreground.astype(np.float32), foreground.astype(np.float32)])
    tuned = tune_parameters([Sample("a", "a", {"probabilities": probabilities}, label)], labels, settings)
    for trial in tuned["trials"]:
        parameters = InstanceParameters(**{key: value for key, value in trial.items() if key != "score"})
        predicted = segment(probabilities[1], probabilities[1], parameters)
        scores, _ = score(label[::2, ::2], predicted, labels, at_edge=not drop)
        assert trial["score"] == pytest.approx(scores["ap_0.50"], abs=1e-12)
    assert len({trial["score"] for trial in tuned["trials"]}) > 3
    assert sum(part["pixels"] for part in tuned["calibration"]["bins"]) == truth[20:].size


def test_predictions_in_ignored_regions_do_not_affect_the_choice():
    """Half of the cells have a probability of 0.52, those that the annotator ignored 0.55; the tuned AP was 0.5."""
    y, x = np.ogrid[:200, :200]
    truth, foreground = np.zeros((200, 200), int), np.full((200, 200), 0.02, np.float32)
    for number, (row, column) in enumerate(product(range(15, 100, 22), range(15, 200, 22)), start=1):
        disc = (y - row) ** 2 + (x - column) ** 2 <= 49
        truth[disc], foreground[disc] = number, 0.52 if number % 2 else 0.9
    truth[110:] = 255
    for row, column in product(range(120, 200, 18), range(10, 200, 18)):
        foreground[(y - row) ** 2 + (x - column) ** 2 <= 49] = 0.55
    prediction, labels = {"probabilities": np.stack([1 - foreground, foreground])}, Labels(ignore=255)
    tuned = tune_parameters([Sample("a", "a", prediction, truth)], labels, Instances())
    assert max(trial["score"] for trial in tuned["trials"]) == 1
    predicted = segment(foreground, foreground, InstanceParameters(**tuned["chosen"]))
    assert score(truth, predicted, labels)[0]["ap_0.50"] == 1


def test_growth_is_chosen_if_it_improves_the_outlines():
    """Two separated halves: AP at 0.5 is 1 with and without growth, so the mean over higher thresholds decides."""
    truth = np.zeros((30, 40), int)
    truth[5:25, 9:15], truth[5:25, 15:21] = 1, 2
    foreground = (truth > 0).astype(float)
    foreground[:, 14:16] = 0
    assert choose_by_foreground([(foreground, truth)], Instances())[0] == InstanceParameters("components", 0.3, grow=1)


def test_tuning_classes_chooses_a_filter_for_every_class():
    label = np.zeros((20, 30), np.uint8)
    label[3:10, 3:10] = 7
    classes = (label == 7).astype(np.uint8)
    classes[15, 20] = 1  # a speck
    labels = Labels("semantic", {"background": 0, "cell": 7})
    tuned = tune_parameters([Sample("a", "a", {"classes": classes[None]}, label)], labels, Instances(**SMALL_GRID))
    assert (tuned["chosen"], tuned["trials"], tuned["select_by"]) == ({}, [], "dice")
    assert tuned["classes"]["cell"]["chosen"] == {"smallest": 6, "largest_only": False}
