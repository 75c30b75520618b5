"""Compare experiments pairwise on the same images, and measure the spread of scores over folds and seeds."""

from itertools import combinations, count

import pandas as pd

from snakeseg.evaluation.statistics import (
    group_means,
    holm,
    mean_confidence_interval,
    signed_rank,
    smallest_p,
    standardised_mean,
)
from snakeseg.evaluation.summary import clip_interval, headlines, lower_is_better

# Suffix of the name of an experiment that the workflow repeats with several seeds.
SEEDED = r"\.seed-\d+$"
# Family-wise significance level, over all pairs of experiments of one score.
SIGNIFICANCE_LEVEL = 0.05
NOT_SHOWN = "no difference shown"
# Numbers of groups in words.
NUMBER_WORDS = {6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}
PAIRS = ("subset", "metric", "A", "B", "seeds_A", "seeds_B", "images", "groups", "mean_A", "mean_B", "difference",
         "low", "high", "p", "p_holm", "rank_biserial", "d_z", "verdict")  # fmt: skip
SPREAD = ("experiment", "subset", "metric", "mean", "sd_folds", "folds", "sd_seeds", "seeds")


def compare(images: pd.DataFrame) -> pd.DataFrame:
    """Compare every pair of experiments by every headline score, on the images for which all experiments have it.

    Parameters
    ----------
    images : DataFrame
        One row per experiment and image: experiment, subset, sample, group, status, and the scores. Repeats of an
        experiment with several seeds are first averaged image by image.

    Returns
    -------
    DataFrame
        One row per subset, metric and pair (A, B); none for fewer than two experiments. seeds_A, seeds_B: numbers of
        averaged repeats. images, groups: numbers of images and groups. mean_A, mean_B: means over images. difference,
        low, high: difference A - B and its 95 % confidence interval. p: p-value of the Wilcoxon signed-rank test on
        differences of groups. p_holm: p corrected over all pairs of this subset and metric. rank_biserial, d_z: effect
        sizes over groups. verdict: "A better", "B better" or "no difference shown".
    """
    rows = []
    for subset, part in _scored(images).groupby("subset"):
        for metric in headlines(part):
            pairs = _compare_pairs(metric, *_score_table(part, metric))
            corrected = holm([pair["p"] for pair in pairs])
            for pair, p in zip(pairs, corrected, strict=True):
                rows.append({"subset": subset, **pair, "p_holm": p, "verdict": _direction(pair, p)})
    return pd.DataFrame(rows, columns=list(PAIRS))


def spread_over_seeds(images: pd.DataFrame) -> pd.DataFrame:
    """Compute the spread of the mean scores of each experiment over folds and over seeds.

    Parameters
    ----------
    images : DataFrame
        As for `compare`, with the column fold: the fold that holds the image out, NaN for test images.

    Returns
    -------
    DataFrame
        One row per experiment, subset and metric. mean: mean over images. sd_folds: standard deviation (n - 1) of the
        means of folds, each over all seeds. sd_seeds: that of the means of seeds, each over all folds. folds, seeds:
        their numbers. The deviation of fewer than two is NaN.
    """
    scored = _scored(images)
    rows = []
    for (experiment, subset), part in scored.groupby([_without_seed(scored["experiment"]), "subset"], sort=True):
        for metric in headlines(part):
            values = part[metric].astype(float)
            folds, seeds = (values.groupby(part[by]).mean().dropna() for by in ("fold", "experiment"))
            rows.append({
                "experiment": experiment, "subset": subset, "metric": metric, "mean": values.mean(),
                "sd_folds": folds.std(), "folds": len(folds), "sd_seeds": seeds.std(), "seeds": len(seeds),
            })  # fmt: skip
    return pd.DataFrame(rows, columns=list(SPREAD))


def describe_pair(pair, pairs: int = 1) -> str:
    """Describe the difference between two experiments in a sentence.

    Parameters
    ----------
    pair : mapping
        A row of `compare`, or any mapping with its columns.
    pairs : int
        Number of pairs over which its p-value is corrected.
    """
    size = f"n = {format_count(pair['images'], 'image')} in {format_count(pair['groups'], 'group')}"
    p = "p < 0.001" if pair["p_holm"] < 0.001 else f"p = {pair['p_holm']:.2g}"
    difference = f"{pair['difference']:+.3g}"
    if pair["low"] == pair["low"]:  # not NaN
        difference += f", 95 % interval {pair['low']:+.3g} to {pair['high']:+.3g}"
    names = {side: _name(pair[side], pair[f"seeds_{side}"]) for side in "AB"}
    numbers = f"({p}, {size}; difference {difference})"
    if pair["verdict"] == NOT_SHOWN:
        limit = _significance_limit(int(pair["groups"]), pairs)
        return f"{NOT_SHOWN} between {names['A']} and {names['B']} in {pair['metric']} {numbers}{limit}"
    better, worse = ("A", "B") if pair["verdict"] == "A better" else ("B", "A")
    means = f"{pair[f'mean_{better}']:.3g} against {pair[f'mean_{worse}']:.3g}"
    return f"{names[better]} is better than {names[worse]} in {pair['metric']}: {means} {numbers}"


def describe_pairs(pairs: pd.DataFrame, metric: str) -> dict[str, list[str]]:
    """Describe every pair of experiments by one score: lists of sentences by subset."""
    chosen = pairs[pairs["metric"] == metric]
    return {
        subset: [describe_pair(pair, len(part)) for pair in part.to_dict("records")]
        for subset, part in chosen.groupby("subset")
    }


def _significance_limit(groups: int, pairs: int) -> str:
    """State that no difference can be significant, if there are too few groups for any; otherwise return ""."""
    smallest = smallest_p(groups, pairs)
    if smallest <= SIGNIFICANCE_LEVEL:
        return ""
    needed = next(number for number in count(1) if smallest_p(number, pairs) <= SIGNIFICANCE_LEVEL)
    family = f" for {pairs} pairs of experiments" if pairs > 1 else ""
    return (
        f"; with fewer than {NUMBER_WORDS.get(needed, needed)} groups{family}, no difference can be significant,"
        f" however large (here, the smallest possible p is {smallest:.2g})"
    )


def format_count(number: int, noun: str) -> str:
    """Return a number and a noun, in the plural unless the number is 1: "1 image", "2 images"."""
    return f"{int(number)} {noun}{'' if number == 1 else 's'}"


def _name(experiment: str, seeds: int) -> str:
    return f"{experiment} (mean of {seeds} seeds)" if seeds > 1 else experiment


def _scored(images: pd.DataFrame) -> pd.DataFrame:
    return images[images["status"] == "scored"]


def _without_seed(names):
    return names.str.replace(SEEDED, "", regex=True)


def _score_table(part: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, pd.Series]:
    """Scores by (group, sample) and experiment, averaged over seeds, and the number of seeds of each experiment.

    Experiments without any score are dropped, then images that lack the score of a remaining experiment.
    """
    table = part.pivot(index=["group", "sample"], columns="experiment", values=metric).astype(float)
    table = table[part["experiment"].unique()].dropna(axis="columns", how="all").dropna()
    names = _without_seed(table.columns)
    return table.T.groupby(names, sort=False).mean().T, names.value_counts()


def _compare_pairs(metric: str, scores: pd.DataFrame, seeds: pd.Series) -> list[dict]:
    """Rows of `compare`, one per pair of experiments, without the columns that depend on the other pairs."""
    groups = scores.index.get_level_values("group").to_numpy()
    pairs = []
    for a, b in combinations(scores, 2):
        difference = scores[a] - scores[b]
        low, high, count = mean_confidence_interval(difference.to_numpy(), groups)
        low, high = clip_interval(metric, low, high, lowest=-1)
        means = group_means(difference.to_numpy(), groups)
        p, effect = signed_rank(means)
        pairs.append({
            "metric": metric, "A": a, "B": b, "seeds_A": seeds[a], "seeds_B": seeds[b],
            "images": len(scores), "groups": count, "mean_A": scores[a].mean(), "mean_B": scores[b].mean(),
            "difference": difference.mean(), "low": low, "high": high, "p": p, "rank_biserial": effect,
            "d_z": standardised_mean(means),
        })  # fmt: skip
    return pairs


def _direction(pair: dict, p: float) -> str:
    """Direction of a significant difference on which means and ranks agree, or "no difference shown"."""
    is_consistent = pair["difference"] * pair["rank_biserial"] > 0
    if not (is_consistent and p <= SIGNIFICANCE_LEVEL):
        return NOT_SHOWN
    return "A better" if (pair["difference"] > 0) != lower_is_better(pair["metric"]) else "B better"
