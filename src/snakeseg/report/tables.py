"""Tables of the report: states and order of the images, names of scores, numbers as text."""

from collections.abc import Iterable, Mapping

import pandas as pd

from snakeseg.evaluation.summary import lower_is_better
from snakeseg.settings import Config

# States of an image and the reason shown for each, in the order of the table.
STATES = {
    "unreadable": "could not be scored",
    "missed": "objects in the label, none predicted",
    "scored": "",
    "empty": "no objects in the label",
    "unlabelled": "no label",
}
# Scores that have a column in the tables.
SCORE_COLUMNS = (
    "ap_0.50", "ap_0.70", "ap_0.75", "ap_0.90", "pq_0.50", "precision_0.50", "recall_0.50", "f1_0.50", "seg",
    "splits", "merges", "dice", "iou", "mean_iu", "pixel_error", "hd95", "nsd", "adapted_rand_error",
    "v_rand", "v_info", "voi_split", "voi_merge",
)  # fmt: skip
# Prefixes of the scores of objects, which semantic labels do not have.
OBJECT_SCORES = ("ap_", "pq_", "precision_", "recall_", "f1_", "seg", "splits", "merges", "adapted_rand", "v_", "voi_")
# Scores of an image that are numbers of objects.
COUNTS = ("splits", "merges")
MISSING = "\N{EN DASH}"
# Text in place of the perfect score of an image with neither true nor predicted objects.
NOTHING = "nothing to find"
# How parts of the scores' names are written.
SPELLING = {"ap": "AP", "iou": "IoU", "iu": "IU", "f1": "F1", "pq": "PQ", "voi": "VOI", "v": "V", "hd95": "HD95",
            "nsd": "NSD", "seg": "SEG", "dice": "Dice", "rand": "Rand"}  # fmt: skip


def applicable_scores(config: Config, names: Iterable[str]) -> list[str]:
    """Return the scores that apply to the run's kind of labels: semantic labels have no scores of objects."""
    semantic = config.labels.kind == "semantic"
    return [name for name in names if not (semantic and name.startswith(OBJECT_SCORES))]


def ranking_metric(config: Config) -> str:
    """Return the score by which images are ranked: Dice for semantic labels, else `instances.select_by`."""
    if config.labels.kind == "semantic":
        return "dice"
    metric = config.instances.select_by
    return metric if metric in SCORE_COLUMNS else "ap_0.50"


def class_scores(config: Config) -> list[str]:
    """Return the names of the scores of single classes, if there are several besides the background."""
    classes = config.labels.classes[1:] if config.labels.kind == "semantic" else []
    return [f"{score}_{name}" for score in ("dice", "hd95") for name in classes] if len(classes) > 1 else []


def readable_name(name: str) -> str:
    """Return the name of a score or a column as the report writes it.

    Parameters
    ----------
    name : str
        Name of a score, or of a column of a table.

    Examples
    --------
    >>> readable_name("ap_0.50"), readable_name("true_objects")
    ('AP 0.50', 'true objects')
    """
    return " ".join(SPELLING.get(word, word) for word in str(name).split("_"))


def format_value(value) -> str:
    """Format a value of a table: three decimals, fewer for large numbers; a dash for missing values.

    Parameters
    ----------
    value : object
        A number, a text, or a missing value (None, NaN, "").

    Examples
    --------
    >>> format_value(0.98765), format_value(65536), format_value("unet")
    ('0.988', '65,536', 'unet')
    """
    if value is None or value != value or value == "":
        return MISSING
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def format_whole(value) -> str:
    """Format an integer that may be stored as a float, as pandas does in columns with gaps."""
    return format_value(int(value)) if isinstance(value, float) and value == value else format_value(value)


def format_score(row: Mapping, name: str) -> str:
    """Format a score of an image; "nothing to find" in place of 1 if there are neither true nor predicted objects.

    Parameters
    ----------
    row : mapping
        Row of `image_rows`.
    name : str
        The score.
    """
    value = row[name]
    if row["nothing"] and value == 1:
        return NOTHING
    return format_whole(value) if name in COUNTS else format_value(value)


def count_nothing(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Count the images with neither true nor predicted objects, by subset and experiment; without zeros."""
    counts: dict[str, dict[str, int]] = {}
    for (subset, experiment), number in rows[rows["nothing"]].groupby(["subset", "experiment"]).size().items():
        counts.setdefault(subset, {})[experiment] = int(number)
    return counts


def image_rows(images: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Sort the image table for the page: failures first, then the worst scores.

    Parameters
    ----------
    images : DataFrame
        From `evaluate`: experiment, subset, sample, status, reason, and scores of the scored images.
    metric : str
        The score to sort by.

    Returns
    -------
    DataFrame
        The same rows, with `state`, one of `STATES`, a reason for each state but "scored", and `nothing`, whether a
        scored image has neither true nor predicted objects.
    """
    state = images["status"].astype(str)
    for name in ("empty", "missed"):
        if name in images:
            state = state.mask((state == "scored") & (images[name] == 1), name)
    reason = images["reason"].where(images["reason"] != "", state.map(STATES))
    nothing = (state == "empty") & (images["predicted_objects"] == 0) if "predicted_objects" in images else False
    score = images[metric].astype(float) if metric in images else 0.0
    rows = images.assign(
        state=state, reason=reason, nothing=nothing, _score=score, _state=state.map(list(STATES).index)
    )
    rows["_score"] *= -1 if lower_is_better(metric) else 1
    rows = rows.sort_values(["_state", "_score", "sample", "experiment"], kind="stable")
    return rows.drop(columns=["_state", "_score"])
