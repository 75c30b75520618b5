"""Summarise the scores of images: means with confidence intervals and the number of images, medians, pooled scores."""

import numpy as np
import pandas as pd

from snakeseg.evaluation.metrics.matching import DETECTION, THRESHOLDS, detection_scores, panoptic_scores
from snakeseg.evaluation.metrics.overlap import CONFUSION, fcn_scores
from snakeseg.evaluation.statistics import mean_confidence_interval

COUNTS = ("pixels", "wrong_pixels", "true_objects", "predicted_objects", "splits", "merges")
# Scores that compare experiments and head the report. They are few: each further one is another chance of a false
# finding.
HEADLINES = ("pixel_error", "dice", "mean_iu", "hd95", "adapted_rand_error", "pq_0.50", "ap_0.50", "ap_0.75")
# Prefixes of the names of scores that are better if lower (or nearer to 0); all others are better if higher.
LOWER_IS_BETTER = (
    "pixel_error", "adapted_rand_error", "rand_error", "voi_", "hd95", "assd", "warping_error", "count_error",
    "relative_count_error", "splits", "merges",
)  # fmt: skip
# Prefixes of the names of scores that may be above 1 or below 0; all others are fractions.
UNBOUNDED = ("voi_", "hd95", "assd", "count_error", "relative_count_error", "splits", "merges")
SUBSETS = ("validation", "test", "predict")
SUMMARY_COLUMNS = (
    "experiment", "subset", "metric", "n", "unscored", "missed", "empty", "mean", "low", "high", "groups", "median",
    "pooled",
)  # fmt: skip


def summarise(images: pd.DataFrame) -> pd.DataFrame:
    """Summarise the scores of images by experiment, subset and metric.

    Parameters
    ----------
    images : DataFrame
        One row per experiment and image: experiment, subset, group, status, and the scores.

    Returns
    -------
    DataFrame
        One row per experiment, subset and metric. n: number of images with this score. unscored: number of images
        without scores. missed: images with true but no predicted objects. empty: images without true objects. mean,
        low, high: mean over images and its 95 % confidence interval for images of other groups. groups: number of
        groups. median: median over images. pooled: score of all pixels or objects of the subset together. NaN if
        undefined.
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
            row = {"experiment": experiment, "subset": subset, "metric": metric, **counts}
            rows.append(row | _mean_and_median(scored, metric) | {"pooled": pooled.get(metric, np.nan)})
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _mean_and_median(scored: pd.DataFrame, metric: str) -> dict[str, float]:
    """Mean over images with its confidence interval, and median."""
    values = scored[metric].astype(float)
    is_defined = values.notna()
    low, high, groups = mean_confidence_interval(
        values[is_defined].to_numpy(), scored.loc[is_defined, "group"].to_numpy()
    )
    low, high = clip_interval(metric, low, high, lowest=0)
    mean, median = values.mean(), values.median()
    return {"n": is_defined.sum(), "mean": mean, "low": low, "high": high, "groups": groups, "median": median}


def metric_columns(images: pd.DataFrame) -> list[str]:
    """Return the names of the columns of the image table that are scores."""
    if "pixel_error" not in images:
        return []
    first = list(images.columns).index("pixel_error")
    return [name for name in images.columns[first:] if not name.startswith("tp_")]


def headlines(images: pd.DataFrame) -> list[str]:
    """Return the names of `HEADLINES` that are columns of the image table."""
    return [name for name in HEADLINES if name in images]


def lower_is_better(metric: str) -> bool:
    """Return True if lower values of a score are better."""
    return metric.startswith(LOWER_IS_BETTER)


def clip_interval(metric: str, low: float, high: float, lowest: float) -> tuple[float, float]:
    """Clip an interval to the possible values of a score.

    Parameters
    ----------
    metric : str
    low, high : float
    lowest : {0, -1}
        0 for a mean, -1 for a difference of means. Fractions are clipped to `lowest`..1; means of unbounded scores to 0
        or more, except signed ones (count errors); differences of unbounded scores not at all.

    Returns
    -------
    low, high : float
    """
    limits = lowest, 1.0
    if metric.startswith(UNBOUNDED):
        limits = (0.0 if lowest == 0 and "count_error" not in metric else -np.inf), np.inf
    return tuple(np.clip((low, high), *limits).tolist())


def _pooled(scored: pd.DataFrame) -> dict[str, float]:
    """Scores of all pixels or objects of the images together, for the scores that are functions of counts."""
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
    """Weighted sum that ignores NaN."""
    weights = weights.astype(float) if isinstance(weights, pd.Series) else weights
    return float((values.astype(float) * weights).sum())
