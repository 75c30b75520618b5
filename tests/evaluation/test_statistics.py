"""Confidence intervals have their coverage and tests their false positive rate, also in simulated experiments."""

import numpy as np
import pytest
from intervals import coverage, difference, normal, rejections, skewed
from scipy import stats

from snakeseg.evaluation.statistics import group_means, holm, mean_confidence_interval, signed_rank, standardised_mean


def test_holm_equals_a_published_example():
    """The first example is that of the Wikipedia article on Holm's method; p-values keep their order."""
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.5]).tolist() == [1, 1]
    assert holm([]).tolist() == []


def test_signed_rank_equals_that_of_scipy():
    differences = np.random.default_rng(0).normal(0.3, 1, 20)
    expected = stats.wilcoxon(differences)
    p, effect = signed_rank(differences)
    assert p == expected.pvalue
    assert 0 < effect == pytest.approx(1 - 2 * expected.statistic / (20 * 21 / 2))


def test_signed_rank_equals_results_by_hand():
    """Of 2^5 sign patterns, 2 are as extreme as five equal signs. Ranks 1 + 2 against 3 + 4 have an effect of -0.4."""
    assert signed_rank(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == (2 / 32, 1)
    assert signed_rank(np.array([0.1, 0.2, -0.3, -0.4]))[1] == pytest.approx(-0.4)


def test_zeros_and_rounding_errors_are_no_differences():
    assert signed_rank(np.zeros(9)) == (1, 0)
    assert signed_rank(np.full(9, 0.1 + 0.2) - 0.3) == (1, 0)
    tied = np.array([0.3 - 0.2, 0.2 - 0.1, 0.5 - 0.4, 0.7 - 0.6, 0.4 - 0.5])
    assert signed_rank(tied)[1] == pytest.approx(0.6)
    assert signed_rank(np.array([0.1, 0, 0.2, 0.3]))[0] == signed_rank(np.array([0.1, 0.2, 0.3]))[0]


def test_few_tied_differences_are_tested_exactly():
    """Six equal gains are significant at 5 %, five are not, as without ties."""
    assert signed_rank(np.full(6, 0.1))[0] == 2 / 64
    assert signed_rank(np.full(5, 0.1))[0] == 2 / 32


def test_standardised_mean_needs_a_spread():
    assert standardised_mean(np.array([1.0, 2.0, 3.0])) == pytest.approx(2)
    for values in ([0.1, 0.1], [0.1], []):
        assert np.isnan(standardised_mean(np.array(values)))


def test_group_means_do_not_depend_on_the_order():
    values, groups = np.array([1.0, 2.0, 6.0]), np.array(["b", "a", "b"])
    assert group_means(values, groups).tolist() == group_means(values[::-1], groups[::-1]).tolist() == [2, 3.5]


def test_interval_of_many_groups_equals_the_analytic_one():
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    low, high, groups = mean_confidence_interval(values, np.arange(400))
    half = stats.t.ppf(0.975, 399) * values.std(ddof=1) / 20
    assert groups == 400
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_interval_of_thousands_of_groups_has_the_analytic_width():
    values = np.random.default_rng(0).normal(0.5, 0.1, 5000)
    low, high, groups = mean_confidence_interval(values, np.arange(5000))
    assert groups == 5000
    assert high - low == pytest.approx(2 * 1.96 * 0.1 / 5000**0.5, rel=0.1)


def test_copies_within_groups_do_not_narrow_the_interval():
    """Ten copies of each image in its own group do not change the interval; in separate groups they narrow it."""
    values, groups = np.random.default_rng(0).uniform(size=20), np.arange(20)
    plain = mean_confidence_interval(values, groups)
    assert mean_confidence_interval(np.repeat(values, 10), np.repeat(groups, 10)) == pytest.approx(plain)
    low, high, _ = mean_confidence_interval(np.repeat(values, 10), np.arange(200))
    assert high - low < 0.5 * (plain[1] - plain[0])


def test_interval_is_repeatable_and_independent_of_order_and_scale():
    rng = np.random.default_rng(0)
    values, groups = rng.uniform(size=30), rng.integers(12, size=30)
    interval = mean_confidence_interval(values, groups)
    assert mean_confidence_interval(values, groups) == interval
    shuffled = rng.permutation(30)
    assert mean_confidence_interval(values[shuffled], groups[shuffled]) == pytest.approx(interval, rel=1e-9)
    low, high, _ = mean_confidence_interval(1e-6 * values + 7, groups)
    assert (low, high) == pytest.approx((7 + 1e-6 * interval[0], 7 + 1e-6 * interval[1]), rel=1e-12)
    low, high, _ = mean_confidence_interval(-values, groups)
    assert (-high, -low) == pytest.approx(interval[:2])


def test_too_few_groups_have_no_interval():
    for count in (0, 1):
        low, high, groups = mean_confidence_interval(np.arange(3.0 * count), np.zeros(3 * count))
        assert np.isnan([low, high]).all()
        assert groups == count


def test_equal_groups_have_no_interval():
    """Five perfect images do not prove that a sixth will be perfect."""
    low, high, groups = mean_confidence_interval(np.full(10, 0.1), np.arange(10) // 2)
    assert np.isnan([low, high]).all()
    assert groups == 5


def test_interval_without_spread_of_resamples_is_students():
    """This concerns two groups, and groups that are all equal but one."""
    for values in (np.array([0.2, 0.4]), np.array([0.9] * 19 + [0.5])):
        half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
        expected = (values.mean() - half, values.mean() + half, len(values))
        assert mean_confidence_interval(values, np.arange(len(values))) == pytest.approx(expected)


@pytest.mark.parametrize("scores", [normal, skewed, difference])
def test_intervals_have_their_nominal_coverage(scores):
    """Simulates 30 images in 20 groups 1000 times, for a mean score or the mean difference of two experiments."""
    assert 0.93 <= coverage(scores, groups=20, repeats=1000) <= 0.97


@pytest.mark.parametrize("groups", [5, 10, 50])
def test_intervals_of_differences_have_their_coverage_for_few_and_many_groups(groups):
    assert 0.93 <= coverage(difference, groups, repeats=1000) <= 0.98


@pytest.mark.parametrize("scores", [normal, skewed])
def test_false_positive_rate_is_at_most_5_percent(scores):
    """Simulates four equally good experiments (six pairs) on 20 groups 1000 times."""
    assert rejections(scores, groups=20, repeats=1000) <= 0.05
