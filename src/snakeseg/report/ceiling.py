"""Scores of the training target: what it would score, taken as a prediction."""

import pandas as pd

from snakeseg.evaluation.target_ceiling import CEILING_THRESHOLDS, GROWTHS

# Scores that are computed for the target, and their columns in check.tsv by pixels of growth.
CEILED_SCORES = {f"ap_{threshold:.2f}": f"ceiling_{{}}_{threshold:.2f}" for threshold in CEILING_THRESHOLDS}


def mean_ceiling(facts: pd.DataFrame, samples: set[str], growth: int, border: int) -> dict[str, float]:
    """Return the mean scores of an experiment's training target over some images.

    Parameters
    ----------
    facts : DataFrame
        Content of check.tsv.
    samples : set of str
        Images to average over.
    growth : int
        Pixels by which the experiment's objects are grown (`grow` in instances.json).
    border : int
        Width of the experiment's border class, which replaces the gap between touching objects.

    Returns
    -------
    dict of float
        Mean by name of the score. Empty with a border class, for labels without such scores, and for runs of
        versions that did not compute it.
    """
    rows = facts[facts["sample"].isin(samples)]
    columns = {score: column.format(min(growth, max(GROWTHS))) for score, column in CEILED_SCORES.items()}
    if border or not set(columns.values()) <= set(facts):
        return {}
    means = {score: float(rows[column].mean()) for score, column in columns.items()}
    return {} if any(mean != mean for mean in means.values()) else means
