"""The page's table of images: what became of each of them, the worst first; and what scores are called."""

from collections.abc import Iterable

import pandas as pd

from snakeseg.evaluation.summary import lower_is_better
from snakeseg.settings import Config

# What became of an image, and why it is told; in the order of the table.
STATES = {
    "unreadable": "could not be scored",
    "missed": "objects there, none found",
    "scored": "",
    "empty": "no objects there",
    "unlabelled": "no label",
}
SHOWN = ("ap_0.50", "ap_0.70", "ap_0.75", "ap_0.90", "pq_0.50", "precision_0.50", "recall_0.50", "f1_0.50", "seg",
         "splits", "merges", "dice", "iou", "mean_iu", "pixel_error", "hd95", "nsd", "adapted_rand_error",
         "v_rand", "v_info", "voi_split", "voi_merge")  # fmt: skip
# How names of scores begin that are about objects, which classes have none of.
OF_OBJECTS = ("ap_", "pq_", "precision_", "recall_", "f1_", "seg", "splits", "merges", "adapted_rand", "v_", "voi_")
MISSING = "\N{EN DASH}"
WORDS = {"ap": "AP", "iou": "IoU", "iu": "IU", "f1": "F1", "pq": "PQ", "voi": "VOI", "v": "V", "hd95": "HD95",
         "nsd": "NSD", "seg": "SEG", "dice": "Dice", "rand": "Rand"}  # fmt: skip


def about(config: Config, names: Iterable[str]) -> list[str]:
    """Those of the scores that say something about labels of this kind."""
    semantic = config.labels.kind == "semantic"
    return [name for name in names if not (semantic and name.startswith(OF_OBJECTS))]


def ranking(config: Config) -> str:
    """The score by which images are ranked from worst to best."""
    if config.labels.kind == "semantic":
        return "dice"
    chosen = config.instances.select_by
    return chosen if chosen in SHOWN else "ap_0.50"


def class_scores(config: Config) -> list[str]:
    """Scores of each class, where there are several besides the background."""
    classes = config.labels.classes[1:] if config.labels.kind == "semantic" else []
    return [f"{score}_{name}" for score in ("dice", "hd95") for name in classes] if len(classes) > 1 else []


def title(name: str) -> str:
    """The name of a score or a column, to be read.

    Examples
    --------
    >>> title("ap_0.50"), title("true_objects")
    ('AP 0.50', 'true objects')
    """
    return " ".join(WORDS.get(word, word) for word in str(name).split("_"))


def number(value) -> str:
    """A table's value: what has no number is a dash, and large numbers have no decimals.

    Examples
    --------
    >>> number(0.98765), number(65536), number("unet")
    ('0.988', '65,536', 'unet')
    """
    if value is None or value != value or value == "":
        return MISSING
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def whole(value) -> str:
    """As `number`, of a whole number that a table with gaps holds as a float."""
    return number(int(value)) if isinstance(value, float) and value == value else number(value)


def image_rows(images: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Images in the order of the page's table: failures first, then the worst by a score.

    Parameters
    ----------
    images : DataFrame
        As evaluated: experiment, subset, sample, status, reason, and the scores of those that have any.
    metric : str

    Returns
    -------
    DataFrame
        The same rows, with `state`, one of `STATES`, and a reason wherever it is not "scored".
    """
    state = images["status"].astype(str)
    for name in ("empty", "missed"):
        if name in images:
            state = state.mask((state == "scored") & (images[name] == 1), name)
    reason = images["reason"].where(images["reason"] != "", state.map(STATES))
    score = images[metric].astype(float) if metric in images else 0.0
    rows = images.assign(state=state, reason=reason, _score=score, _state=state.map(list(STATES).index))
    rows["_score"] *= -1 if lower_is_better(metric) else 1
    rows = rows.sort_values(["_state", "_score", "sample", "experiment"], kind="stable")
    return rows.drop(columns=["_state", "_score"])
