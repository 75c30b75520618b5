"""The summary table has means, numbers of images and confidence intervals."""

import numpy as np
import pandas as pd
import pytest

from snakeseg.evaluation.scores import score
from snakeseg.evaluation.summary import clip_interval, headlines, lower_is_better, metric_columns, summarise
from snakeseg.settings import Labels

TRUTH = np.array([[1, 1, 1, 1, 0], [0, 0, 0, 0, 0], [5, 5, 5, 5, 0]])
PREDICTED = np.array([[2, 2, 2, 0, 0], [0, 0, 0, 0, 0], [0, 0, 9, 9, 9]])  # IoU 3/4 and 2/5
EMPTY = np.zeros_like(TRUTH)


@pytest.fixture
def images():
    """Scores of one experiment: perfect, partly wrong, small and empty, missed, and unlabelled images."""
    pairs = [(TRUTH, TRUTH), (TRUTH, PREDICTED), (EMPTY[:1], EMPTY[:1]), (TRUTH, EMPTY)]
    rows = [{"status": "scored", **score(truth, predicted, Labels())[0]} for truth, predicted in pairs]
    table = pd.DataFrame([*rows, {"status": "unlabelled"}])
    for name, value in (("group", list("vwxyz")), ("subset", "test"), ("experiment", "x")):
        table.insert(0, name, value)
    return table


def test_summary_has_means_and_counts(images):
    """Mean and median are over images, pooled scores over objects or pixels."""
    summary = summarise(images).set_index("metric")
    row = summary.loc["ap_0.50"]
    assert (row["n"], row["unscored"], row["missed"], row["empty"], row["groups"]) == (4, 1, 1, 1, 4)
    assert row["mean"] == pytest.approx((1 + 1 / 3 + 1 + 0) / 4)
    assert 0 <= row["low"] < row["mean"] < row["high"] == 1
    assert row["median"] == pytest.approx(2 / 3)
    assert row["pooled"] == pytest.approx(3 / (6 + 4 - 3))
    assert summary.loc["pixel_error", "pooled"] == pytest.approx((4 + 8) / 50)
    assert (summary.loc["adapted_rand_error", "n"], summary.loc["adapted_rand_error", "groups"]) == (3, 3)
    assert summary.loc["pq_0.50", "pooled"] == pytest.approx((2 + 0.75) / (3 + 3 / 2 + 1 / 2))
    assert summary.loc["seg", "pooled"] == pytest.approx((2 + 0.75 + 0) / 6)
    assert (summary.loc["count_error", "pooled"], summary.loc["relative_count_error", "pooled"]) == (-2, -1 / 3)
    assert np.isnan(summary.loc["dice", "pooled"])


def test_images_of_one_group_have_a_mean_and_no_interval(images):
    row = summarise(images.assign(group="g")).set_index("metric").loc["ap_0.50"]
    assert (row["n"], row["groups"]) == (4, 1)
    assert np.isnan(row["low"])
    assert np.isnan(row["high"])


def test_experiments_and_subsets_have_rows_of_their_own(images):
    both = pd.concat([images, images.assign(experiment="y"), images.assign(subset="validation")])
    summary = summarise(both)
    assert len(summary.groupby(["experiment", "subset"])) == 3
    assert (summary.loc[summary["metric"] == "ap_0.50", "n"] == 4).all()


def test_experiment_without_scores_has_a_row_with_n_0(images):
    other = images.assign(experiment="y", status="unreadable")
    summary = summarise(pd.concat([images, other])).set_index(["experiment", "metric"])
    row = summary.loc[("y", "ap_0.50")]
    assert (row["n"], row["unscored"], row["groups"]) == (0, 5, 0)
    assert np.isnan(row["mean"])


def test_metric_columns_are_scores_only():
    columns = ["sample", "status", "pixel_error", "dice", "tp_0.50", "ap_0.50"]
    assert metric_columns(pd.DataFrame(columns=columns)) == ["pixel_error", "dice", "ap_0.50"]
    assert headlines(pd.DataFrame(columns=columns)) == ["pixel_error", "dice", "ap_0.50"]
    assert metric_columns(pd.DataFrame(columns=["sample", "status"])) == []


@pytest.mark.parametrize(
    "metric", ["pixel_error", "adapted_rand_error", "voi_merge", "hd95", "assd_cell", "warping_error"]
)
def test_errors_are_better_when_lower(metric):
    assert lower_is_better(metric)


@pytest.mark.parametrize("metric", ["dice", "iou_cell", "mean_iu", "ap_0.50", "pq", "v_rand", "v_info", "nsd"])
def test_scores_are_better_when_higher(metric):
    assert not lower_is_better(metric)


@pytest.mark.parametrize(
    ("metric", "lowest", "expected"),
    [
        ("dice", 0, (0, 1)),
        ("dice", -1, (-1, 1)),
        ("hd95", 0, (0, 5)),
        ("hd95", -1, (-5, 5)),
        ("count_error", 0, (-5, 5)),
        ("relative_count_error", 0, (-5, 5)),
    ],
)
def test_intervals_are_clipped_to_possible_scores(metric, lowest, expected):
    assert clip_interval(metric, -5, 5, lowest) == expected
