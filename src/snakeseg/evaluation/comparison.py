"""Experiments against each other: image by image, pair by pair."""

from itertools import combinations

import pandas as pd

from snakeseg.evaluation.statistics import group_means, holm, mean_interval, signed_rank, standardised_mean
from snakeseg.evaluation.summary import headlines, lower_is_better, within

# How the workflow names an experiment's repeats.
SEEDED = r"\.seed-\d+$"
# Chance of a difference claimed where there is none, over all pairs of one score.
LEVEL = 0.05
NOT_SHOWN = "no difference shown"
PAIRS = ("subset", "metric", "A", "B", "seeds_A", "seeds_B", "images", "groups", "mean_A", "mean_B", "difference",
         "low", "high", "p", "p_holm", "rank_biserial", "d_z", "verdict")  # fmt: skip
SPREAD = ("experiment", "subset", "metric", "mean", "sd_folds", "folds", "sd_seeds", "seeds")


def compare(images: pd.DataFrame) -> pd.DataFrame:
    """Every pair of experiments by every headline score, on the images that all experiments have it for.

    Parameters
    ----------
    images : DataFrame
        One row per experiment and image: experiment, subset, sample, group, status, and the scores. Repeats of one
        experiment with several seeds are averaged image by image before anything else.

    Returns
    -------
    DataFrame
        subset, metric, A, B; seeds_A, seeds_B (repeats that were averaged); images, groups; mean_A, mean_B, and their
        difference A - B with its 95 % interval from low to high, over images; p of the Wilcoxon signed-rank test on
        differences of groups, and p_holm, corrected over all pairs of this subset and metric; rank_biserial and d_z,
        the size of the effect over groups; verdict: "A better", "B better" or "no difference shown". No rows where
        there are fewer than two experiments.
    """
    rows = []
    for subset, part in _scored(images).groupby("subset"):
        for metric in headlines(part):
            pairs = _pairs(metric, *_by_image(part, metric))
            corrected = holm([pair["p"] for pair in pairs])
            for pair, p in zip(pairs, corrected, strict=True):
                rows.append({"subset": subset, **pair, "p_holm": p, "verdict": _verdict(pair, p)})
    return pd.DataFrame(rows, columns=list(PAIRS))


def spread(images: pd.DataFrame) -> pd.DataFrame:
    """How far mean scores of an experiment lie apart between folds, and between seeds.

    Parameters
    ----------
    images : DataFrame
        As for `compare`, with the column fold: the one that held the image out, NaN for test images.

    Returns
    -------
    DataFrame
        experiment, subset, metric, mean; sd_folds and sd_seeds: standard deviations (n - 1) of the means of folds,
        each over all seeds, and of the means of seeds, each over all folds; folds and seeds: how many. NaN of fewer
        than two.
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


def sentence(pair) -> str:
    """A row of `compare` in words; takes any mapping of its columns."""
    size = f"n = {counted(pair['images'], 'image')} in {counted(pair['groups'], 'group')}"
    p = "p < 0.001" if pair["p_holm"] < 0.001 else f"p = {pair['p_holm']:.2g}"
    by = f"{pair['difference']:+.3g}"
    if pair["low"] == pair["low"]:
        by += f", 95 % interval {pair['low']:+.3g} to {pair['high']:+.3g}"
    names = {side: _name(pair[side], pair[f"seeds_{side}"]) for side in "AB"}
    if pair["verdict"] == NOT_SHOWN:
        return f"{NOT_SHOWN} between {names['A']} and {names['B']} in {pair['metric']} ({p}, {size}; difference {by})"
    better, worse = ("A", "B") if pair["verdict"] == "A better" else ("B", "A")
    means = f"{pair[f'mean_{better}']:.3g} against {pair[f'mean_{worse}']:.3g}"
    return f"{names[better]} is better than {names[worse]} in {pair['metric']}: {means} ({p}, {size}; difference {by})"


def sentences(pairs: pd.DataFrame, metric: str) -> dict[str, list[str]]:
    """Every pair by one score in words, by subset."""
    chosen = pairs[pairs["metric"] == metric]
    return {subset: [sentence(pair) for pair in part.to_dict("records")] for subset, part in chosen.groupby("subset")}


def counted(number: int, noun: str) -> str:
    """Return a number and a noun, in the plural unless the number is 1: "1 image", "2 images"."""
    return f"{int(number)} {noun}{'' if number == 1 else 's'}"


def _name(experiment: str, seeds: int) -> str:
    return f"{experiment} (mean of {seeds} seeds)" if seeds > 1 else experiment


def _scored(images: pd.DataFrame) -> pd.DataFrame:
    return images[images["status"] == "scored"]


def _without_seed(names):
    return names.str.replace(SEEDED, "", regex=True)


def _by_image(part: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, pd.Series]:
    """Scores by (group, sample) and experiment, and how many seeds each is a mean of; an experiment that has none is
    left out, and an image that one of the others has none for."""
    table = part.pivot(index=["group", "sample"], columns="experiment", values=metric).astype(float)
    table = table[part["experiment"].unique()].dropna(axis="columns", how="all").dropna()
    names = _without_seed(table.columns)
    return table.T.groupby(names, sort=False).mean().T, names.value_counts()


def _pairs(metric: str, scores: pd.DataFrame, seeds: pd.Series) -> list[dict]:
    """What can be said of each pair without knowing of the others."""
    groups = scores.index.get_level_values("group").to_numpy()
    pairs = []
    for a, b in combinations(scores, 2):
        difference = scores[a] - scores[b]
        low, high, count = mean_interval(difference.to_numpy(), groups)
        low, high = within(metric, low, high, lowest=-1)
        means = group_means(difference.to_numpy(), groups)
        p, effect = signed_rank(means)
        pairs.append({
            "metric": metric, "A": a, "B": b, "seeds_A": seeds[a], "seeds_B": seeds[b],
            "images": len(scores), "groups": count, "mean_A": scores[a].mean(), "mean_B": scores[b].mean(),
            "difference": difference.mean(), "low": low, "high": high, "p": p, "rank_biserial": effect,
            "d_z": standardised_mean(means),
        })  # fmt: skip
    return pairs


def _verdict(pair: dict, p: float) -> str:
    """Who is better, if the test says that somebody is and the means over images agree on whom."""
    agree = pair["difference"] * pair["rank_biserial"] > 0
    if not (agree and p <= LEVEL):
        return NOT_SHOWN
    return "A better" if (pair["difference"] > 0) != lower_is_better(pair["metric"]) else "B better"
