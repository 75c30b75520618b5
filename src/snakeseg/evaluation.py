"""Scores of predicted label files against true ones: per image, per object, pooled."""

from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.io.raster import open_image, read_label, require_same_shape, suffix_of
from snakeseg.io.sheet import spacing_of
from snakeseg.metrics.matching import THRESHOLDS, detection_scores, panoptic_scores
from snakeseg.metrics.overlap import fcn_scores
from snakeseg.scoring import CONFUSION, DETECTION, score
from snakeseg.settings import Labels

COUNTS = ("pixels", "wrong_pixels", "true_objects", "predicted_objects", "splits", "merges")
# Grey values of larger images are not read: brightness of objects would need more memory than all scores.
MOST_PIXELS = 2**26


def evaluate_rows(rows: pd.DataFrame, folder: Path, dims: int, labels: Labels) -> tuple[list[dict], list[dict]]:
    """Score every row's prediction in a folder.

    Returns
    -------
    images : list of dict
        One per row: sample, group, status (scored, unlabelled, unreadable), reason, and the scores.
    objects : list of dict
        One per true or predicted object: its partner, IoU, and measurements. Those of grey values are left out for
        images of more than `MOST_PIXELS`.
    """
    images, objects = [], []
    for row in rows.itertuples():
        image = {"sample": row.sample, "group": row.group, "status": "scored", "reason": ""}
        if not row.label:
            images.append({**image, "status": "unlabelled", "reason": "no label in the sample sheet"})
            continue
        try:
            scores, found = _score_row(row, folder, dims, labels)
        except ValueError as error:
            images.append({**image, "status": "unreadable", "reason": str(error)})
            continue
        images.append({**image, **scores})
        objects += [{"sample": row.sample, **entry} for entry in found]
    return images, objects


def _score_row(row, folder: Path, dims: int, labels: Labels) -> tuple[dict, list[dict]]:
    truth, image = read_label(row.label, dims), open_image(row.image, dims)
    path = folder / f"{row.sample}{suffix_of(Path(row.image))}"
    predicted = read_label(path, dims).array
    if predicted.shape != truth.array.shape:
        found, expected = f"shape {predicted.shape}", f"{truth.array.shape}, as its label"
        raise BadInput(path, found, expected, "predict it again")
    require_same_shape(image, truth)
    few = predicted.size <= MOST_PIXELS
    grey = image.array[:1][0] if few else None
    return score(truth.array, predicted, labels, spacing_of(row.spacing, image.spacing), grey)


def summarise(images: pd.DataFrame) -> pd.DataFrame:
    """One row per experiment, subset and metric.

    Returns
    -------
    DataFrame
        experiment, subset, metric; n (images the mean is of), unscored, missed (objects there, none found), empty
        (no objects there); mean and median over images; pooled over all pixels or objects of the subset.
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
            values = scored[metric].astype(float).dropna()
            rows.append({
                "experiment": experiment, "subset": subset, "metric": metric, "n": len(values), **counts,
                "mean": values.mean(), "median": values.median(), "pooled": pooled.get(metric, np.nan),
            })  # fmt: skip
    columns = ["experiment", "subset", "metric", "n", "unscored", "missed", "empty", "mean", "median", "pooled"]
    return pd.DataFrame(rows, columns=columns)


def metric_columns(images: pd.DataFrame) -> list[str]:
    """Columns of the image table that are scores."""
    if "pixel_error" not in images:
        return []
    first = list(images.columns).index("pixel_error")
    return [name for name in images.columns[first:] if not name.startswith("tp_")]


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
