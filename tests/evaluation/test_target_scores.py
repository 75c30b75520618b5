"""Scores of a training target that separates touching objects."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from snakeseg.evaluation.scores import score
from snakeseg.evaluation.target_scores import mean_target_scores, score_target
from snakeseg.settings import Labels
from snakeseg.transforms.grow import grow_objects
from snakeseg.transforms.labels import separate_touching


def dense_cells(count, shape=(128, 128)):
    """Return a label without background: every pixel belongs to the nearest of random centres."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    distances = [(rows - y) ** 2 + (columns - x) ** 2 for y, x in rng.integers(0, shape[0], (count, 2))]
    return np.argmin(distances, axis=0).astype(np.int32) + 1


def test_the_target_is_the_score_of_the_target():
    """The same numbers from `score` of the separated and grown components."""
    label = dense_cells(40)
    components = ndimage.label(separate_touching(label) > 0)[0]
    target_scores = score_target(label)
    assert len(target_scores) == 9
    for pixels in (0, 1, 2):
        scores, _ = score(label, grow_objects(components, pixels), Labels())
        for threshold in (0.5, 0.75, 0.9):
            assert target_scores[f"target_{pixels}_{threshold:.2f}"] == pytest.approx(scores[f"ap_{threshold:.2f}"])


def test_growing_by_a_pixel_gives_back_what_separating_took():
    """Of dense cells of 20 pixels, almost none reaches an IoU of 0.9 in the target, and almost all do after growing."""
    target_scores = score_target(dense_cells(40))
    assert target_scores["target_0_0.90"] < 0.1
    assert target_scores["target_1_0.90"] > 0.9


def test_objects_far_apart_have_a_perfect_target():
    label = np.kron(np.arange(1, 10).reshape(3, 3), np.pad(np.ones((6, 6), int), 3))
    assert set(score_target(label).values()) == {1.0}
    assert score_target(np.zeros((5, 5), int)) == {}


def test_means_are_those_of_the_scored_images_and_of_the_chosen_growth():
    columns = [f"target_{pixels}_{threshold}" for pixels in (0, 1, 2) for threshold in ("0.50", "0.75", "0.90")]
    facts = pd.DataFrame([[0.1 * i for i in range(9)], [0.5] * 9, [np.nan] * 9], columns=columns)
    facts.insert(0, "sample", ["a", "b", "c"])
    assert mean_target_scores(facts, {"a"}, 1, 0) == pytest.approx({"ap_0.50": 0.3, "ap_0.75": 0.4, "ap_0.90": 0.5})
    assert mean_target_scores(facts, {"a", "b"}, 5, 0)["ap_0.50"] == pytest.approx(0.55)
    assert mean_target_scores(facts, {"a"}, 1, 2) == mean_target_scores(facts, {"c"}, 0, 0) == {}
    assert mean_target_scores(facts[["sample"]], {"a"}, 0, 0) == {}
