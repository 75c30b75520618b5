"""What a run comes to, in sentences: what was trained on what, how good it is, what failed."""

import pandas as pd

from snakeseg.evaluation.comparison import counted
from snakeseg.evaluation.summary import lower_is_better
from snakeseg.report.tables import title
from snakeseg.settings import Config

# Images below which a mean is hardly one.
FEW = 5
# What a score of 1 (of 0, where lower is better) would mean.
MEANING = {
    "ap_0.50": "the share of all true and predicted objects that match, with an IoU of 0.5 or more",
    "dice": "the overlap of true and predicted pixels",
    "adapted_rand_error": "0 if all pixels are grouped into objects as in the truth",
}


def headline_part(summary: pd.DataFrame, metric: str) -> dict | None:
    """The row of the summary that tells most: the best experiment on test images, else on validation images.

    Returns
    -------
    dict or None
        None if nothing has a score.
    """
    rows = summary[(summary["metric"] == metric) & (summary["n"] > 0)]
    for subset in ("test", "validation"):
        part = rows[rows["subset"] == subset].sort_values("mean", ascending=lower_is_better(metric), kind="stable")
        if len(part):
            return part.iloc[0].to_dict()
    return None


def verdict(
    rows: pd.DataFrame, summary: pd.DataFrame, networks: dict[str, str], config: Config, metric: str
) -> dict[str, str]:
    """The sentences: trained, good, failed and, where there are any to tell of, others.

    Parameters
    ----------
    rows : DataFrame
        From `image_rows`.
    summary : DataFrame
        One row per experiment, subset and metric.
    networks : dict
        By experiment, its network in words.
    config : Config
    metric : str
        The one to judge by.
    """
    states = rows["state"].value_counts()
    failed = _told(states, {"unreadable": "could not be scored", "missed": "missed (objects there, none found)"})
    others = _told(states, {"empty": "without any object", "unlabelled": "without a label, so without a score"})
    number = states.get("unreadable", 0) + states.get("missed", 0)
    return {
        "trained": _trained(rows, networks, config),
        "good": _good(summary, metric, len(networks), config.labels.kind == "semantic"),
        "failed": f"{counted(number, 'prediction')} failed: {failed}." if failed else "No prediction failed.",
        **({"others": f"{others}."} if others else {}),
    }


def _trained(rows: pd.DataFrame, networks: dict[str, str], config: Config) -> str:
    held = rows.loc[rows["subset"] == "validation", "sample"].nunique()
    names = list(networks)
    who = networks[names[0]] if len(names) == 1 else f"{len(names)} experiments ({', '.join(names)})"
    if config.fold != "all":
        number, of = config.fold, config.folds
        return f"Trained: {who}; {counted(held, 'image')} of fold {number} (of 0 to {of - 1}) held out for validation."
    if config.folds > 1:
        return f"Trained: {who}, in {config.folds} folds of {counted(held, 'image')}, each held out once."
    return f"Trained: {who}; {counted(held, 'image')} held out for validation."


def _good(summary: pd.DataFrame, metric: str, experiments: int, semantic: bool) -> str:
    best = headline_part(summary, metric)
    if best is None:
        return "No image has a score, so how good it is cannot be said."
    number = int(best["n"])
    what, these = "the pieces to keep" if semantic else "thresholds", "it" if number == 1 else "them"
    held_out = f"held out, though {what} were chosen on {these}"
    where = "never trained on" if best["subset"] == "test" else held_out
    low, high = best.get("low"), best.get("high")
    interval = f" (95 % interval {low:.3f} to {high:.3f})" if low is not None and low == low else ""
    best_of = f"the best of {experiments} experiments is {best['experiment']}, with a" if experiments > 1 else "the"
    meaning = f": {MEANING[metric]}" if metric in MEANING else ""
    images = counted(number, f"{best['subset']} image")
    few = f" So few images say little about others: label {FEW} or more to judge by." if number < FEW else ""
    is_of = "of" if experiments > 1 else "is"
    return f"On {images}, {where}, {best_of} mean {title(metric)} {is_of} {best['mean']:.3f}{interval}{meaning}.{few}"


def _told(states: pd.Series, words: dict[str, str]) -> str:
    return ", ".join(f"{states[state]} {text}" for state, text in words.items() if states.get(state))
