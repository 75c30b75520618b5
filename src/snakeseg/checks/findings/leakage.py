"""Findings about near-duplicate images: in different parts (training, validation, test) or in different groups."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from snakeseg.checks.findings.finding import Finding
from snakeseg.checks.image_facts import decoded
from snakeseg.checks.near_duplicates import connected_components, find_near_duplicates

# Minimum correlation of the signatures of near-duplicates. It lies above that of neighbouring sections of a stack and
# of brains of different patients (at most 0.91), and below that of an image with itself after a change of gamma
# (docs/how-to/check-your-data.md).
MIN_REPORTED_CORRELATION = 0.95
# Maximum number of samples that a finding names.
MAX_SAMPLES_IN_FINDING = 6


def leakage_findings(table: pd.DataFrame, dims: int) -> Iterator[Finding]:
    """Detect near-duplicate images.

    Identical images in two parts are not reported here: `checks.input.check_input` reports them as errors.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.build_facts_table`; rows of the subset "predict" are ignored.
    dims : int
        Number of spatial axes, 2 or 3.

    Yields
    ------
    Finding
        At most one for each set of near-duplicates.
    """
    table = table[(table["subset"] != "predict") & table["signature"].notna()].reset_index(drop=True)
    if table.empty:
        return
    pairs, correlations = find_near_duplicates(
        np.stack([decoded(text) for text in table["signature"]]), dims, MIN_REPORTED_CORRELATION
    )
    component = connected_components(pairs, len(table))
    firsts, _ = pairs.T
    linked = component[firsts]
    sets = table[np.isin(component, linked)].groupby(component[np.isin(component, linked)])
    for number, set_correlations in pd.Series(correlations).groupby(linked, sort=False):
        yield from _findings_of_set(sets.get_group(number), set_correlations)


def _findings_of_set(duplicates: pd.DataFrame, correlations: pd.Series) -> Iterator[Finding]:
    """Judge one set of near-duplicates by the parts and groups of its images."""
    identical = duplicates["pixels"].nunique() == 1
    images = [f"{row.sample} ({row.part})" for row in duplicates.head(MAX_SAMPLES_IN_FINDING).itertuples()]
    images += [f"{len(duplicates) - MAX_SAMPLES_IN_FINDING} more"] if len(duplicates) > MAX_SAMPLES_IN_FINDING else []
    found = ", ".join(images) + ("" if identical else f": correlation {_format_range(correlations)}")
    samples = tuple(duplicates["sample"])
    if identical and duplicates["part"].nunique() == 1:
        yield Finding(
            "warning", "Identical images", samples, found, "each copy counts in training and in the scores",
            "remove all of these rows but one, or correct a path in the column image",
        )  # fmt: skip
    elif duplicates["part"].nunique() > 1 and not identical:
        yield Finding(
            "warning", "Near-duplicate images in different parts", samples, found,
            "if they show the same specimen, the scores measure memorisation, not performance on new images",
            "compare the images: if they show the same specimen, give them the same group (training and validation) "
            "or remove one of the rows (test)",
        )  # fmt: skip
    elif duplicates["group"].nunique() > 1 and not identical:
        yield Finding(
            "note", "Near-duplicate images in different groups", samples, found,
            "other folds could separate them: the model would be trained on one and scored on the other",
            "give them the same group",
        )  # fmt: skip


def _format_range(values: pd.Series) -> str:
    """Format the smallest and the largest value; one number if both are equal to three digits."""
    return " to ".join(dict.fromkeys(f"{value:.3f}" for value in (values.min(), values.max())))
