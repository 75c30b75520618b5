"""Do 95 % intervals cover, and do corrected tests stay quiet where there is nothing? On simulated experiments.

Images come in groups, alternately of one and of two; half of the spread is between groups, half within. Coverage is
that of the mean score, or of the mean difference of two experiments, over images of all groups that could have been
drawn. Ours is told beside Student's t on groups, the percentile and the BCa bootstrap (Efron 1987).
"""

from itertools import combinations

import numpy as np
from _verdict import table, verdict
from scipy import stats
from scipy.special import expit

from snakeseg.evaluation.statistics import RESAMPLES, bootstrap_interval, holm, signed_rank

GROUPS, REPEATS, CHUNK = (5, 10, 20, 50), 10_000, 200
EXPERIMENTS, LEVEL = 4, 0.05
# Coverage may be 0.02 off for 30 images in 20 groups, unless some groups fail altogether; false differences may be more
# than 5 % by what so many repeats leave open.
USUAL, GOAL = 20, 0.02
OPEN = 3 * (LEVEL * (1 - LEVEL) / REPEATS) ** 0.5


def normal(rng, shape) -> np.ndarray:
    """Scores about 0.8, shape (repeats, groups, images)."""
    return 0.8 + 0.05 * _noise(rng, shape)


def skewed(rng, shape) -> np.ndarray:
    """Scores between 0 and 1, most above 0.9, some far below."""
    return expit(2.5 + 0.9 * _noise(rng, shape))


def failing(rng, shape) -> np.ndarray:
    """Scores about 0.9, but one group in ten fails altogether."""
    fails = rng.random((*shape[:2], 1)) < 0.1
    return expit(2.5 + 0.5 * _noise(rng, shape)) * np.where(fails, 0.1, 1)


def difference(rng, shape) -> np.ndarray:
    """Differences of two skewed scores of the same images: hard images are hard for both."""
    hard = 0.8 * _noise(rng, shape)
    return expit(2.7 + hard + 0.4 * _noise(rng, shape)) - expit(2.4 + hard + 0.4 * _noise(rng, shape))


SCORES = (normal, skewed, failing, difference)


def _noise(rng, shape) -> np.ndarray:
    return rng.normal(size=(*shape[:2], 1)) + rng.normal(size=shape)


def sums_of(draw, rng, repeats: int, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of groups' scores, shape (repeats, groups), and their numbers of images, shape (groups,)."""
    sizes = 1 + np.arange(groups) % 2
    return (draw(rng, (repeats, groups, 2)) * (np.arange(2) < sizes[:, None])).sum(axis=-1), sizes


def coverage(draw, groups: int, repeats: int, method=bootstrap_interval) -> float:
    """Share of repeats whose interval has the true mean in it."""
    truth = draw(np.random.default_rng(1), (20, 10**5, 1)).mean()
    rng, hits = np.random.default_rng(groups), 0
    for _ in range(repeats // CHUNK):
        low, high = method(*sums_of(draw, rng, CHUNK, groups))
        hits += np.count_nonzero((low <= truth) & (truth <= high))
    return hits / (repeats // CHUNK * CHUNK)


def rejections(draw, groups: int, repeats: int, experiments: int = EXPERIMENTS) -> float:
    """Share of repeats in which any pair of equally good experiments is said to differ."""
    rng, false = np.random.default_rng([groups, experiments, SCORES.index(draw)]), 0
    for _ in range(repeats):
        sums, sizes = sums_of(draw, rng, experiments, groups)
        means = sums / sizes
        p = [signed_rank(means[a] - means[b])[0] for a, b in combinations(range(experiments), 2)]
        false += holm(p).min() <= LEVEL
    return false / repeats


def student(sums, sizes):
    """Student's t with the linearised error of a ratio."""
    mean = sums.sum(axis=-1) / sizes.sum()
    rests, count = sums - mean[:, None] * sizes, len(sizes)
    half = stats.t.ppf(0.975, count - 1) * np.sqrt((rests**2).sum(axis=-1) * count / (count - 1)) / sizes.sum()
    return mean - half, mean + half


def percentile(sums, sizes):
    return np.quantile(_resampled(sums, sizes), (0.025, 0.975), axis=0)


def bca(sums, sizes):
    """Bias-corrected and accelerated, the acceleration from leaving out groups."""
    means, mean = np.sort(_resampled(sums, sizes), axis=0), sums.sum(axis=-1) / sizes.sum()
    without = (sums.sum(axis=-1, keepdims=True) - sums) / (sizes.sum() - sizes)
    rests = without.mean(axis=-1, keepdims=True) - without
    bend = (rests**3).sum(axis=-1) / (6 * (rests**2).sum(axis=-1) ** 1.5)
    bias = stats.norm.ppf((means < mean).mean(axis=0) + (means == mean).mean(axis=0) / 2)
    z = [bias + stats.norm.ppf(level) for level in (0.025, 0.975)]
    ranks = [stats.norm.cdf(bias + one / (1 - bend * one)) * (RESAMPLES - 1) for one in z]
    return [means[rank.round().astype(int), np.arange(len(sums))] for rank in ranks]


def _resampled(sums, sizes) -> np.ndarray:
    """Means of resamples, shape (RESAMPLES, repeats)."""
    drawn = np.random.default_rng(0).multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), RESAMPLES)
    return drawn @ sums.T / (drawn @ sizes)[:, None]


def main() -> None:
    methods = {"ours": bootstrap_interval, "Student": student, "percentile": percentile, "BCa": bca}
    rows = [
        {"scores": draw.__name__, "groups": groups, "images": groups * 3 // 2}
        | {name: coverage(draw, groups, REPEATS, method) for name, method in methods.items()}
        for draw in SCORES
        for groups in GROUPS
    ]
    table(rows)
    print()
    false = [
        {"scores": draw.__name__, "groups": groups}
        | {f"{n} experiments": rejections(draw, groups, REPEATS, n) for n in (2, EXPERIMENTS)}
        for draw in (normal, skewed)
        for groups in GROUPS
    ]
    table(false)
    usual = [row for row in rows if row["groups"] == USUAL and row["scores"] != "failing"]
    ours, peer = (max(abs(row[name] - 0.95) for row in usual) for name in ("ours", "percentile"))
    most = max(row[f"{EXPERIMENTS} experiments"] for row in false)
    met = ours <= GOAL and most <= LEVEL + OPEN
    verdict("intervals", ours, peer, ours / peer, GOAL, met, false_differences=most)


if __name__ == "__main__":
    main()
