"""What a table of scored images comes to: means with intervals, and of how many images each is."""

import numpy as np
import pandas as pd

from snakeseg.evaluation.metrics.matching import DETECTION, THRESHOLDS, detection_scores, panoptic_scores
from snakeseg.evaluation.metrics.overlap import CONFUSION, fcn_scores
from snakeseg.evaluation.statistics import mean_interval

COUNTS = ("pixels", "wrong_pixels", "true_objects", "predicted_objects", "splits", "merges")
# What experiments are compared by and what is told first; few, since every score more is another chance to be misled.
HEADLINES = ("pixel_error", "dice", "mean_iu", "hd95", "adapted_rand_error", "pq_0.50", "ap_0.50", "ap_0.75")
# How names of scores begin that are better the lower (or the nearer to 0); all others are better the higher.
LOWER = ("pixel_error", "adapted_rand_error", "rand_error", "voi_", "hd95", "assd", "warping_error", "count_error",
         "relative_count_error", "splits", "merges")  # fmt: skip
# How names of scores begin that may be above 1 or below 0; all others are shares.
UNBOUNDED = ("voi_", "hd95", "assd", "count_error", "relative_count_error", "splits", "merges")
SUBSETS = ("validation", "test", "predict")
COLUMNS = ("experiment", "subset", "metric", "n", "unscored", "missed", "empty", "mean", "low", "high", "groups",
           "median", "pooled")  # fmt: skip


def summarise(images: pd.DataFrame) -> pd.DataFrame:
    """One row per experiment, subset and metric.

    Parameters
    ----------
    images : DataFrame
        One row per experiment and image: experiment, subset, group, status, and the scores.

    Returns
    -------
    DataFrame
        experiment, subset, metric; n (images the mean is of), unscored, missed (objects there, none found), empty
        (no objects there); mean over images with its 95 % interval from low to high, which holds for images of other
        groups like these, and the number of groups; median over images; pooled over all pixels or objects of the
        subset. NaN where there is no such number.
    """
    rows = []
    for (experiment, subset), part in images.groupby(["experiment", "subset"], sort=True):
        scored = part[part["status"] == "scored"]
        counts = {
            "unscored": len(part) - len(scored),
            "missed": int(scored["missed"].sum()) if len(scored) else 0,
            "empty": int(scored["empty"].sum()) if len(scored) else 0,
        }
        pooled = _pooled(scored) if len(scored) else {}
        for metric in metric_columns(images):
            row = {"experiment": experiment, "subset": subset, "metric": metric, **counts, **_middle(scored, metric)}
            rows.append(row | {"pooled": pooled.get(metric, np.nan)})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _middle(scored: pd.DataFrame, metric: str) -> dict[str, float]:
    values = scored[metric].astype(float)
    there = values.notna()
    low, high, groups = mean_interval(values[there].to_numpy(), scored.loc[there, "group"].to_numpy())
    low, high = within(metric, low, high, lowest=0)
    mean, median = values.mean(), values.median()
    return {"n": there.sum(), "mean": mean, "low": low, "high": high, "groups": groups, "median": median}


def metric_columns(images: pd.DataFrame) -> list[str]:
    """Columns of the image table that are scores."""
    if "pixel_error" not in images:
        return []
    first = list(images.columns).index("pixel_error")
    return [name for name in images.columns[first:] if not name.startswith("tp_")]


def headlines(images: pd.DataFrame) -> list[str]:
    """Of `HEADLINES`, those that the image table has."""
    return [name for name in HEADLINES if name in images]


def lower_is_better(metric: str) -> bool:
    """The direction of a score."""
    return metric.startswith(LOWER)


def within(metric: str, low: float, high: float, lowest: float) -> tuple[float, float]:
    """An interval without what a share, or a difference of shares, cannot be; of others, only means are limited, by 0,
    unless they have a sign."""
    limits = lowest, 1.0
    if metric.startswith(UNBOUNDED):
        limits = (0.0 if lowest == 0 and "count_error" not in metric else -np.inf), np.inf
    return tuple(np.clip((low, high), *limits).tolist())


def _pooled(scored: pd.DataFrame) -> dict[str, float]:
    """Scores of all pixels or objects of the images together, where they can be told from counts."""
    total = {name: _sum(scored[name]) for name in COUNTS}
    true, predicted = total["true_objects"], total["predicted_objects"]
    pooled = {"pixel_error": total["wrong_pixels"] / total["pixels"] if total["pixels"] else np.nan}
    counts = [_sum(scored[name]) for name in scored if name.startswith(CONFUSION)]
    classes = round(len(counts) ** 0.5)
    pooled |= fcn_scores(np.reshape(counts, (classes, classes)))
    pooled |= {"splits": total["splits"], "merges": total["merges"], "count_error": predicted - true}
    pooled["seg"] = _sum(scored["seg"], scored["true_objects"]) / true if true else np.nan
    pooled["relative_count_error"] = (predicted - true) / true if true else np.nan
    lowest = f"{THRESHOLDS[0]:.2f}"
    iou, hits = _sum(scored[f"sq_{lowest}"], scored[f"tp_{lowest}"]), _sum(scored[f"tp_{lowest}"])
    pooled |= {f"{key}_{lowest}": value for key, value in panoptic_scores(iou, hits, true, predicted).items()}
    for threshold in THRESHOLDS:
        detection = detection_scores(_sum(scored[f"tp_{threshold:.2f}"]), true, predicted)
        pooled |= {f"{key}_{threshold:.2f}": detection[key] for key in DETECTION}
    return pooled


def _sum(values: pd.Series, weights: pd.Series | float = 1.0) -> float:
    """Of what is not NaN, each times its weight."""
    weights = weights.astype(float) if isinstance(weights, pd.Series) else weights
    return float((values.astype(float) * weights).sum())
