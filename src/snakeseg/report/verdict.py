"""The verdict of a run in sentences: what was trained, how good it is, what failed."""

import pandas as pd

from snakeseg.evaluation.comparison import format_count
from snakeseg.evaluation.summary import lower_is_better
from snakeseg.report.choices import Choices
from snakeseg.report.tables import readable_name
from snakeseg.settings import Config

# Below this number of images, the verdict warns that they are few (docs/how-to/judge-the-scores.md).
MIN_IMAGES = 10
# Explanations of scores.
MEANING = {
    "ap_0.50": "AP 0.50: matches (IoU 0.5 or more), divided by matches, missed and falsely predicted objects",
    "dice": "Dice: overlap of true and predicted pixels, from 0 (none) to 1 (identical)",
    "adapted_rand_error": "It is 0 (best) if the prediction groups all pixels into the same objects as the label",
}


def headline_part(summary: pd.DataFrame, metric: str) -> dict | None:
    """Return the headline row of the summary: the best experiment on test images, else on validation images.

    Parameters
    ----------
    summary : DataFrame
        From `evaluation.summary.summarise`.
    metric : str
        The score by which experiments are ranked.

    Returns
    -------
    dict or None
        None if no test or validation image has the score.
    """
    rows = summary[(summary["metric"] == metric) & (summary["n"] > 0)]
    for subset in ("test", "validation"):
        part = rows[rows["subset"] == subset].sort_values("mean", ascending=lower_is_better(metric), kind="stable")
        if len(part):
            return part.iloc[0].to_dict()
    return None


def verdict(rows: pd.DataFrame, summary: pd.DataFrame, metric: str, choices: Choices) -> dict[str, str]:
    """Return the sentences of the verdict on the predictions.

    Parameters
    ----------
    rows : DataFrame
        From `image_rows`.
    summary : DataFrame
        From `evaluation.summary.summarise`.
    metric : str
        The score by which experiments are ranked.
    choices : Choices
        Choices that were made on held-out images.

    Returns
    -------
    dict
        Sentences by topic: good (the mean score), failed and, if there are any, nothing (images in that mean with
        neither true nor predicted objects) and others (images that have no objects in the label, or no label).
    """
    states = rows["state"].value_counts()
    failed = _list_states(states, {"unreadable": "could not be scored", "missed": "missed all objects in the image"})
    number = states.get("unreadable", 0) + states.get("missed", 0)
    return {
        "good": _judge_score(summary, metric, rows["experiment"].nunique(), choices),
        **_nothing_to_find(rows, headline_part(summary, metric), metric),
        "failed": f"{format_count(number, 'prediction')} failed: {failed}." if failed else "No image failed.",
        **_others(rows),
    }


def describe_training(networks: dict[str, str], config: Config, trained: list[int], total: int) -> str:
    """Return a sentence about the trained networks and their training images.

    Parameters
    ----------
    networks : dict
        Networks in words, by experiment.
    config : Config
        The config of the run.
    trained : list of int
        Number of images that each fold trains on.
    total : int
        Number of images for training and validation together.
    """
    names = list(networks)
    one = f"a network ({networks[names[0]]}) was trained"
    text = one if len(names) == 1 else f"{len(names)} experiments ({', '.join(names)}) were trained"
    if len(trained) > 1:
        numbers = " to ".join(map(str, sorted({min(trained), max(trained)})))
        return f"In each of {config.folds} folds, {text} on {numbers} of {total} images; the others are for validation."
    held_out = total - trained[0]
    fold = f" (fold {config.fold} of folds 0 to {config.folds - 1})" if config.fold != "all" else ""
    validation = f"{held_out} more {'is' if held_out == 1 else 'are'} for validation{fold}"
    return f"{text[0].upper()}{text[1:]} on {format_count(trained[0], 'image')}; {validation}."


def _judge_score(summary: pd.DataFrame, metric: str, experiments: int, choices: Choices) -> str:
    """Return the sentence with the mean headline score, its meaning, and a warning if it is of few images."""
    headline = headline_part(summary, metric)
    if headline is None:
        return "No image has a score, so the quality of the predictions is unknown: label some test images."
    number, subset = int(headline["n"]), headline["subset"]
    images = format_count(number, f"{subset} image")
    meaning = f" {MEANING[metric]}." if metric in MEANING else ""
    few = f" {images} {'is' if number == 1 else 'are'} few: label {MIN_IMAGES} or more." if number < MIN_IMAGES else ""
    return f"{mean_score(headline, metric, experiments, choices)}{meaning}{few}"


def mean_score(headline: dict, metric: str, experiments: int, choices: Choices) -> str:
    """Return a sentence with the mean headline score, its number of images and its confidence interval.

    Parameters
    ----------
    headline : dict
        From `headline_part`.
    metric : str
        The score by which experiments are ranked.
    experiments : int
        Number of experiments.
    choices : Choices
        Choices that were made on held-out images.
    """
    number, subset, score = int(headline["n"]), headline["subset"], readable_name(metric)
    use = "not used in training" if subset == "test" else choices.describe_use(headline["experiment"])
    low, high = headline.get("low"), headline.get("high")
    interval = f" (95 % interval {low:.3f} to {high:.3f})" if low is not None and low == low else ""
    single = f"the mean {score} is"
    best = f"the best of {experiments} experiments is {headline['experiment']}, with a mean {score} of"
    mean = f"{best if experiments > 1 else single} {headline['mean']:.3f}{interval}"
    return f"On {format_count(number, f'{subset} image')}, {use}, {mean}."


def _nothing_to_find(rows: pd.DataFrame, headline: dict | None, metric: str) -> dict[str, str]:
    """Return a sentence about the images that the mean headline score counts as 1 because there is nothing to find."""
    if headline is None:
        return {}
    part = rows[(rows["experiment"] == headline["experiment"]) & (rows["subset"] == headline["subset"])]
    number = int((part["nothing"] & (part[metric] == 1)).sum())
    if not number:
        return {}
    verbs = ("has", "counts") if number == 1 else ("have", "count")
    why = "no objects in the label, none predicted"
    return {"nothing": f"{number} of these images {verbs[0]} nothing to find ({why}) and {verbs[1]} as 1."}


def _others(rows: pd.DataFrame) -> dict[str, str]:
    """Return sentences about images that have no objects in the label, and about those without a label."""
    numbers = rows.groupby("state")["sample"].nunique()
    texts = {"empty": "no objects in the label", "unlabelled": "no label: not scored"}
    sentences = [
        f"{format_count(numbers[state], 'image')} {'has' if numbers[state] == 1 else 'have'} {text}."
        for state, text in texts.items()
        if state in numbers
    ]
    return {"others": " ".join(sentences)} if sentences else {}


def _list_states(states: pd.Series, words: dict[str, str]) -> str:
    """List the numbers of images in states, such as "2 could not be scored, 1 missed all objects in the image"."""
    return ", ".join(f"{states[state]} {text}" for state, text in words.items() if states.get(state))
