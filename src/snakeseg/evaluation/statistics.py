"""Confidence intervals of means and tests of differences, by groups: images of one group are not independent."""

from functools import lru_cache

import numpy as np
from numpy.random import Generator, Philox
from scipy import stats

CONFIDENCE = 0.95
# Number of bootstrap resamples; CONFIDENCE * (RESAMPLES + 1) is a whole rank.
RESAMPLES = 3999
# More groups are merged at random into this number of groups, to bound memory; the interval hardly changes.
MAX_GROUPS = 1000
# Decimal digits of scores of order one that are significant; rounding errors would break ties and count as spread.
DIGITS = 12
# Standard error of a resample, relative to that of the sample, below which the resample has no spread.
MIN_RELATIVE_ERROR = 1e-6


def mean_confidence_interval(values: np.ndarray, groups: np.ndarray) -> tuple[float, float, int]:
    """Compute the 95 % confidence interval of a mean over images.

    Parameters
    ----------
    values : float array, shape (images,)
    groups : array, shape (images,)
        Name of each image's group. Groups, not images, are treated as independent.

    Returns
    -------
    low, high : float
        NaN with fewer than two groups, or if all groups are equal, since the spread is then unknown.
    groups : int
        Number of groups.
    """
    sums, sizes = group_sums(values, groups)
    low, high = bootstrap_interval(*_merged(sums, sizes))
    return float(low), float(high), len(sizes)


def bootstrap_interval(sums: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute symmetric studentised bootstrap 95 % confidence intervals of means over images, resampled by group.

    Groups are drawn with replacement, together with all their images. The half width is the standard error times the
    0.95 quantile, over resamples, of ``|mean* - mean| / error*``. Percentile and BCa intervals ignore that few groups
    estimate their spread poorly, and Student's t interval ignores skewed scores; of the intervals that
    `benchmarks/intervals.py` simulates, this one has the smallest undercoverage. If too many resamples have no spread
    (few groups, or all but one or two of them equal), the quantile of Student's t distribution is used.

    Parameters
    ----------
    sums : float array, shape (..., groups)
        Sum of the values of each group.
    sizes : array, shape (groups,)
        Number of values of each group.

    Returns
    -------
    low, high : float array, shape (...)
        NaN with fewer than two groups, or without any spread.

    References
    ----------
    Hall 1988, On symmetric bootstrap confidence intervals, J R Stat Soc B 50. Davison and Hinkley 1997, Bootstrap
    Methods and their Application, sections 2.4, 3.8 and 5.2.
    """
    count = len(sizes)
    if count < 2:
        return (np.full(sums.shape[:-1], np.nan),) * 2
    mean = sums.sum(axis=-1) / sizes.sum()
    residuals = sums - mean[..., None] * sizes
    error = _mean_and_error(residuals, sizes, np.ones((1, count)))[1]
    shifts, errors = _mean_and_error(residuals, sizes, _resamples(count))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(errors > MIN_RELATIVE_ERROR * error, np.abs(shifts) / errors, np.inf)
    rank = round(CONFIDENCE * (RESAMPLES + 1)) - 1
    quantile = np.partition(ratios, rank, axis=-1)[..., rank]
    quantile = np.where(np.isfinite(quantile), quantile, stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
    half_width = quantile * np.where(error > 10.0**-DIGITS, error, np.nan)[..., 0]
    return mean - half_width, mean + half_width


def _mean_and_error(sums: np.ndarray, sizes: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over images of each resample and their standard errors, both of shape (..., resamples).

    `draws` holds how often each resample draws each group, shape (resamples, groups). A mean over images is a ratio of
    sums to sizes; its standard error is that of its linear approximation.
    """
    count, images = len(sizes), draws @ sizes
    mean = sums @ draws.T / images
    squares = (sums**2) @ draws.T - 2 * mean * ((sums * sizes) @ draws.T) + mean**2 * (draws @ sizes**2)
    return mean, np.sqrt(np.maximum(squares, 0) * count / (count - 1)) / images


@lru_cache(maxsize=4)
def _resamples(count: int) -> np.ndarray:
    """Number of times that each resample draws each of `count` groups, shape (RESAMPLES, count); deterministic."""
    drawn = Generator(Philox(key=count)).integers(count, size=(RESAMPLES, count))
    cells = (drawn + count * np.arange(RESAMPLES)[:, None]).ravel()
    return np.bincount(cells, minlength=RESAMPLES * count).reshape(RESAMPLES, count).astype(float)


def _merged(sums: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge groups into at most `MAX_GROUPS`, at random with a fixed seed."""
    if len(sizes) <= MAX_GROUPS:
        return sums, sizes
    index = Generator(Philox(key=len(sizes))).permutation(len(sizes)) % MAX_GROUPS
    return np.bincount(index, sums), np.bincount(index, sizes)


def group_sums(values: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum and the number of the values of each group, in order of the groups' names, shapes (groups,)."""
    names, index = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    return np.bincount(index, values, len(names)), np.bincount(index, minlength=len(names))


def group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the mean of the values of each group, in order of the groups' names, shape (groups,)."""
    sums, sizes = group_sums(values, groups)
    return sums / sizes


def signed_rank(differences: np.ndarray) -> tuple[float, float]:
    """Compute Wilcoxon's signed-rank test that differences are symmetric about zero, and its effect size.

    Zero differences are discarded, as by Wilcoxon. p is exact for at most 50 differences without ties or 13 with ties;
    otherwise it is the normal approximation, corrected for ties and continuity.

    Parameters
    ----------
    differences : float array, shape (groups,)

    Returns
    -------
    p : float
        Two-sided p-value; 1 if all differences are zero.
    rank_biserial : float
        Sum of the ranks of positive differences minus that of negative differences, over the sum of all ranks: -1 to 1.

    References
    ----------
    Wilcoxon 1945, Individual comparisons by ranking methods. Kerby 2014, The simple difference formula: an approach to
    teaching nonparametric correlation.
    """
    rounded = np.round(differences, DIGITS)
    nonzero = rounded[rounded != 0]
    if not len(nonzero):
        return 1.0, 0.0
    ranks = stats.rankdata(np.abs(nonzero))
    p = stats.wilcoxon(nonzero, correction=True).pvalue
    return float(p), float((np.sign(nonzero) * ranks).sum() / ranks.sum())


def standardised_mean(differences: np.ndarray) -> float:
    """Compute Cohen's d_z: the mean over the standard deviation (n - 1); NaN if the deviation is zero."""
    deviation = np.std(np.round(differences, DIGITS), ddof=1) if len(differences) > 1 else 0.0
    return float(np.mean(differences) / deviation) if deviation else float("nan")


def holm(p: list[float]) -> np.ndarray:
    """Adjust the p-values of a family of tests by the Holm-Bonferroni method, which bounds the family-wise error rate.

    The k-th smallest of m p-values is multiplied by m - k + 1, and raised to the adjusted value before it if smaller.

    Parameters
    ----------
    p : list of float

    Returns
    -------
    float array, shape (tests,)
        Adjusted p-values in the order of `p`, at most 1.

    References
    ----------
    Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return adjusted[np.argsort(order, kind="stable")]


def smallest_p(groups: int, tests: int = 1) -> float:
    """Return the smallest p-value of `signed_rank` that groups can reach, adjusted by `holm` in a family of tests.

    It is reached if all differences have the same sign: two of the 2^n equally likely patterns of signs are as extreme.

    Parameters
    ----------
    groups : int
        Number of differences n.
    tests : int
        Number of tests in the family.

    Returns
    -------
    float
        At most 1.
    """
    return min(1.0, tests * 2.0 ** (1 - groups))
