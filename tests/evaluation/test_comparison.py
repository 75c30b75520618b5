"""Experiments are compared on their common images; verdict and sentences follow from the tests."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from snakeseg.evaluation.comparison import NOT_SHOWN, compare, describe_pair, describe_pairs, spread_over_seeds
from snakeseg.evaluation.statistics import holm

RNG = np.random.default_rng(0)
GROUPS, GROUP_SIZE = 20, 2
BASE = RNG.uniform(0.5, 0.8, GROUPS * GROUP_SIZE)


def table(**experiments):
    """Make a table of the Dice of each image and experiment, in groups of two images and five folds."""
    tables = []
    for name, dice in experiments.items():
        index = np.arange(len(dice))
        tables.append(pd.DataFrame({
            "experiment": name.replace("__", ".seed-"), "subset": "validation", "fold": index % 5,
            "sample": [f"s{i:02d}" for i in index], "group": [f"g{i // GROUP_SIZE:02d}" for i in index],
            "status": "scored", "pixel_error": 1 - np.asarray(dice), "dice": dice,
        }))  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def row_of(metric, comparison):
    """Return the single row of a metric."""
    (row,) = comparison[comparison["metric"] == metric].to_dict("records")
    return row


@pytest.fixture
def noise():
    return np.random.default_rng(1).normal(0, 0.02, len(BASE))


def test_clear_difference_is_shown_in_the_direction_of_the_score(noise):
    comparison = compare(table(a=BASE, b=BASE + 0.05 + noise))
    row = row_of("dice", comparison)
    assert (row["A"], row["B"], row["verdict"]) == ("a", "b", "B better")
    assert row_of("pixel_error", comparison)["verdict"] == "B better"
    assert (row["images"], row["groups"]) == (40, 20)
    assert row["difference"] == pytest.approx(np.mean(-0.05 - noise))
    assert row["low"] < row["difference"] < row["high"] < 0
    means = (-0.05 - noise).reshape(GROUPS, GROUP_SIZE).mean(axis=1)
    assert row["p"] == row["p_holm"] == pytest.approx(stats.wilcoxon(means).pvalue)
    assert row["d_z"] == pytest.approx(means.mean() / means.std(ddof=1))
    assert row["rank_biserial"] < -0.9


def test_small_difference_is_reported_as_not_shown(noise):
    row = row_of("dice", compare(table(a=BASE, b=BASE + noise)))
    assert row["verdict"] == NOT_SHOWN
    equal = row_of("dice", compare(table(a=BASE, b=BASE)))
    assert (equal["p"], equal["difference"], equal["rank_biserial"], equal["verdict"]) == (1, 0, 0, NOT_SHOWN)
    assert describe_pair(equal).endswith("(p = 1, n = 40 images in 20 groups; difference +0)")


def test_intervals_of_differences_of_shares_end_at_minus_1():
    images = table(a=np.array([0.0, 0, 0.1, 0]), b=np.array([1.0, 1, 0.2, 1])).assign(hd95=lambda t: 100 * t["dice"])
    row, distance = (row_of(metric, compare(images)) for metric in ("dice", "hd95"))
    assert (row["groups"], row["low"]) == (2, -1)
    assert distance["low"] < -100


def test_p_values_are_corrected_over_the_pairs_of_one_score(noise):
    comparison = compare(table(a=BASE, b=BASE + 0.05 + noise, c=BASE - noise))
    dice = comparison[comparison["metric"] == "dice"]
    assert list(zip(dice["A"], dice["B"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
    np.testing.assert_allclose(dice["p_holm"], holm(dice["p"]))
    assert (dice["p_holm"] > dice["p"]).any()


def test_only_images_scored_in_all_experiments_are_compared(noise):
    images = table(a=BASE, b=BASE + noise, c=BASE + 0.1)
    images.loc[images["sample"].eq("s00") & images["experiment"].eq("a"), "status"] = "unreadable"
    images.loc[images["sample"].eq("s01") & images["experiment"].eq("b"), "dice"] = np.nan
    comparison = compare(images)
    assert (comparison.loc[comparison["metric"] == "dice", "images"] == 38).all()
    assert (comparison.loc[comparison["metric"] == "dice", "groups"] == 19).all()
    assert (comparison.loc[comparison["metric"] == "pixel_error", "images"] == 39).all()


def test_experiment_without_scores_is_left_out(noise):
    images = table(a=BASE, b=BASE + noise, c=BASE)
    images.loc[images["experiment"] == "c", "status"] = "unreadable"
    row = row_of("dice", compare(images))
    assert (row["A"], row["B"], row["images"]) == ("a", "b", 40)


def test_seeds_are_averaged_per_image(noise):
    row = row_of("dice", compare(table(a__0=BASE, a__1=BASE + 0.02, b=BASE + noise)))
    assert (row["A"], row["B"], row["seeds_A"], row["seeds_B"]) == ("a", "b", 2, 1)
    assert row["mean_A"] == pytest.approx(BASE.mean() + 0.01)
    assert "a (mean of 2 seeds)" in describe_pair(row)


def test_comparison_does_not_depend_on_the_order_of_images(noise):
    images = table(a=BASE, b=BASE + noise)
    shuffled = pd.concat([part.sample(frac=1, random_state=0) for _, part in images.groupby("experiment")])
    pd.testing.assert_frame_equal(compare(images), compare(shuffled))


def test_single_experiment_has_no_comparison():
    comparison = compare(table(a=BASE))
    assert len(comparison) == 0
    assert "verdict" in comparison


def test_images_of_one_group_have_no_interval(noise):
    row = row_of("dice", compare(table(a=BASE, b=BASE + noise).assign(group="g")))
    assert np.isnan(row["low"])
    assert np.isnan(row["d_z"])
    assert (row["p"], row["groups"], row["verdict"]) == (1, 1, NOT_SHOWN)
    assert "interval" not in describe_pair(row)
    assert "in 1 group;" in describe_pair(row)


def test_experiments_without_a_common_image_have_no_difference_shown():
    images = table(a=BASE, b=BASE)
    images = images[images["sample"].lt("s20") == images["experiment"].eq("a")]
    row = row_of("dice", compare(images))
    assert (row["images"], row["groups"], row["verdict"]) == (0, 0, NOT_SHOWN)


def test_sentences_state_verdict_p_and_n(noise):
    comparison = compare(table(a=BASE, b=BASE + 0.05 + noise, c=BASE + noise / 10))
    sentences = describe_pairs(comparison, "dice")["validation"]
    assert sentences[0].startswith("b is better than a in dice: 0.")
    assert "p < 0.001" in sentences[0]
    assert "n = 40 images in 20 groups" in sentences[0]
    assert sentences[1].startswith("no difference shown between a and c in dice (p = ")
    assert describe_pairs(comparison, "ap_0.50") == {}


def test_spread_over_folds_and_seeds_is_a_standard_deviation():
    images = table(a__0=BASE, a__1=BASE + 0.02, b=BASE)
    spread = spread_over_seeds(images).set_index(["experiment", "metric"])
    a, b = spread.loc[("a", "dice")], spread.loc[("b", "dice")]
    folds = [BASE[fold::5].mean() for fold in range(5)]
    assert (a["folds"], a["seeds"], b["folds"], b["seeds"]) == (5, 2, 5, 1)
    assert a["sd_folds"] == pytest.approx(np.std(folds, ddof=1))
    assert a["sd_seeds"] == pytest.approx(0.02 / 2**0.5)
    assert np.isnan(b["sd_seeds"])
    test = (
        spread_over_seeds(images.assign(subset="test", fold=np.nan))
        .set_index(["experiment", "metric"])
        .loc[("a", "dice")]
    )
    assert (test["folds"], test["seeds"]) == (0, 2)
