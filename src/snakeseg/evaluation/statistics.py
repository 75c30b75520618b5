"""How sure a mean is, and whether a difference is one; by groups, since images of one group are not independent."""

from functools import lru_cache

import numpy as np
from numpy.random import Generator, Philox
from scipy import stats

COVERED = 0.95
# With these, the limit of an interval is a whole rank.
RESAMPLES = 3999
# More groups than that are merged into so many, so that memory does not grow; the interval hardly changes.
MOST = 1000
# Smaller differences of numbers of order one are rounding errors, which would break ties and look like spread.
DIGITS = 12
# A resample whose spread is so much smaller than that of the sample has none.
NO_SPREAD = 1e-6


def mean_interval(values: np.ndarray, groups: np.ndarray) -> tuple[float, float, int]:
    """The 95 % interval of a mean over images, and the number of groups it rests on.

    Parameters
    ----------
    values : float array, shape (images,)
    groups : array, shape (images,)
        Names. Groups, not images, are taken as drawn independently.

    Returns
    -------
    low, high : float
        NaN with fewer than two groups, which say nothing about others, and where all groups are equal, which says
        nothing about how unequal they could be.
    groups : int
    """
    sums, sizes = group_sums(values, groups)
    low, high = interval(*_merged(sums, sizes))
    return float(low), float(high), len(sizes)


def interval(sums: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric studentised bootstrap interval, 95 %, of means over images, resampled by group.

    Groups are drawn with replacement and all their images come along. The half width is the standard error times
    the 0.95 quantile, over resamples, of ``|mean* - mean| / error*``. Percentile and BCa intervals know nothing of how
    badly few groups tell their own spread, and Student's t nothing of skewed scores; of those that
    `benchmarks/intervals.py` simulates, this one promises too much least. Where resamples without any spread (few
    groups, or all but one or two of them equal) leave no such quantile, that of Student's t is taken.

    Parameters
    ----------
    sums : float array, shape (..., groups)
        Sum of each group's values.
    sizes : array, shape (groups,)
        Number of each group's values.

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
    rests = sums - mean[..., None] * sizes
    error = _mean_and_error(rests, sizes, np.ones((1, count)))[1]
    shifts, errors = _mean_and_error(rests, sizes, _resamples(count))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(errors > NO_SPREAD * error, np.abs(shifts) / errors, np.inf)
    rank = round(COVERED * (RESAMPLES + 1)) - 1
    quantile = np.partition(ratios, rank, axis=-1)[..., rank]
    quantile = np.where(np.isfinite(quantile), quantile, stats.t.ppf((1 + COVERED) / 2, count - 1))
    half = quantile * np.where(error > 10.0**-DIGITS, error, np.nan)[..., 0]
    return mean - half, mean + half


def _mean_and_error(sums: np.ndarray, sizes: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over images and their standard errors, both of shape (..., resamples), if groups are drawn so often.

    A mean over images is a ratio, of sums to sizes; its error is that of its linear approximation.
    """
    count, images = len(sizes), draws @ sizes
    mean = sums @ draws.T / images
    squares = (sums**2) @ draws.T - 2 * mean * ((sums * sizes) @ draws.T) + mean**2 * (draws @ sizes**2)
    return mean, np.sqrt(np.maximum(squares, 0) * count / (count - 1)) / images


@lru_cache(maxsize=4)
def _resamples(count: int) -> np.ndarray:
    """How often each of `count` groups is drawn, shape (RESAMPLES, count); the same for all scores of one sample."""
    drawn = Generator(Philox(key=count)).integers(count, size=(RESAMPLES, count))
    cells = (drawn + count * np.arange(RESAMPLES)[:, None]).ravel()
    return np.bincount(cells, minlength=RESAMPLES * count).reshape(RESAMPLES, count).astype(float)


def _merged(sums: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Groups dealt at random, but always alike, into no more than `MOST` larger ones."""
    if len(sizes) <= MOST:
        return sums, sizes
    index = Generator(Philox(key=len(sizes))).permutation(len(sizes)) % MOST
    return np.bincount(index, sums), np.bincount(index, sizes)


def group_sums(values: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of each group's values, in the order of the groups' names, both of shape (groups,)."""
    names, index = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    return np.bincount(index, values, len(names)), np.bincount(index, minlength=len(names))


def group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The mean of each group's values, shape (groups,)."""
    sums, sizes = group_sums(values, groups)
    return sums / sizes


def signed_rank(differences: np.ndarray) -> tuple[float, float]:
    """Wilcoxon's signed-rank test that differences are symmetric about zero, and its effect size.

    Zeros are left out, as Wilcoxon did. p is exact up to 50 differences without ties and up to 13 with ties,
    else by the normal approximation with corrections for ties and continuity.

    Parameters
    ----------
    differences : float array, shape (groups,)

    Returns
    -------
    p : float
        Two-sided; 1 where nothing differs.
    rank_biserial : float
        Ranks of positive differences minus those of negative ones, over all ranks: -1 to 1 (Kerby 2014).
    """
    rounded = np.round(differences, DIGITS)
    changed = rounded[rounded != 0]
    if not len(changed):
        return 1.0, 0.0
    ranks = stats.rankdata(np.abs(changed))
    p = stats.wilcoxon(changed, correction=True).pvalue
    return float(p), float((np.sign(changed) * ranks).sum() / ranks.sum())


def standardised_mean(differences: np.ndarray) -> float:
    """Cohen's d_z: mean over standard deviation (n - 1); NaN where there is no deviation."""
    deviation = np.std(np.round(differences, DIGITS), ddof=1) if len(differences) > 1 else 0.0
    return float(np.mean(differences) / deviation) if deviation else float("nan")


def holm(p: list[float]) -> np.ndarray:
    """p-values of one family, adjusted so that the chance of any false rejection stays below the level (Holm 1979).

    The k-th smallest of m is multiplied by m - k + 1, and none is smaller than the one before.
    """
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return adjusted[np.argsort(order, kind="stable")]
