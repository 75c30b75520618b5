"""Ceilings of the scores: what a perfect prediction of the training target would score."""

import pandas as pd

from snakeseg.evaluation.target_ceiling import CEILING_THRESHOLDS, GROWTHS

# Scores that have a ceiling, and their columns in check.tsv by pixels of growth.
CEILED_SCORES = {f"ap_{threshold:.2f}": f"ceiling_{{}}_{threshold:.2f}" for threshold in CEILING_THRESHOLDS}


def mean_ceiling(facts: pd.DataFrame, samples: set[str], growth: int, border: int) -> dict[str, float]:
    """Return the mean ceilings of the scores of an experiment over some images.

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
        Ceiling by name of the score. Empty with a border class, for labels that have no ceiling, and for runs of
        versions that did not compute it.
    """
    rows = facts[facts["sample"].isin(samples)]
    columns = {score: column.format(min(growth, max(GROWTHS))) for score, column in CEILED_SCORES.items()}
    if border or not set(columns.values()) <= set(facts):
        return {}
    means = {score: float(rows[column].mean()) for score, column in columns.items()}
    return {} if any(mean != mean for mean in means.values()) else means
