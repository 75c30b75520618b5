"""Images that look alike: across training, validation and test, or in groups of their own."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from snakeseg.checks.findings.finding import Finding
from snakeseg.checks.image_facts import decoded
from snakeseg.checks.near_duplicates import components, near_duplicates

# Correlation of signatures from which two images are taken for one: between what neighbours in a stack have, or other
# patients' brains (0.91 at most), and what an image has with itself after a change of gamma (docs/how-to).
LEAST = 0.95
NAMED = 6


def leakage_findings(table: pd.DataFrame, dims: int) -> Iterator[Finding]:
    """A finding for each set of look-alikes; those of equal pixels in two parts are errors that `check` reports.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.table_of`; rows to predict alone take no part.
    dims : int
    """
    table = table[(table["subset"] != "predict") & table["signature"].notna()].reset_index(drop=True)
    if table.empty:
        return
    pairs, found = near_duplicates(np.stack([decoded(text) for text in table["signature"]]), dims, LEAST)
    component = components(pairs, len(table))
    firsts, _ = pairs.T
    linked = component[firsts]
    sets = table[np.isin(component, linked)].groupby(component[np.isin(component, linked)])
    for number, correlations in pd.Series(found).groupby(linked, sort=False):
        yield from _of_set(sets.get_group(number), correlations)


def _of_set(alike: pd.DataFrame, correlations: pd.Series) -> Iterator[Finding]:
    """What is wrong with a set of look-alikes, if anything is."""
    same = alike["pixels"].nunique() == 1
    named = [f"{row.sample} ({row.part})" for row in alike.head(NAMED).itertuples()]
    named += [f"{len(alike) - NAMED} more"] if len(alike) > NAMED else []
    found = ", ".join(named) + ("" if same else f": correlation {_range(correlations)}")
    samples = tuple(alike["sample"])
    if same and alike["part"].nunique() == 1:
        yield Finding(
            "warning", "The same image twice", samples, found, "it counts as often in training and in scores",
            "drop all rows but one, or correct a path",
        )  # fmt: skip
    elif alike["part"].nunique() > 1 and not same:
        yield Finding(
            "warning", "Look-alikes in two parts", samples, found,
            "if they show the same thing, scores tell how well it is remembered, not how well new images will do",
            "look at both: if they are one, give them one group (training and validation), or drop one (test)",
        )  # fmt: skip
    elif alike["group"].nunique() > 1 and not same:
        yield Finding(
            "note", "Look-alikes in several groups", samples, found,
            "other folds would part them, and one would be trained on what the other is scored by",
            "give them one group",
        )  # fmt: skip


def _range(values: pd.Series) -> str:
    return " to ".join(dict.fromkeys(f"{value:.3f}" for value in (values.min(), values.max())))
