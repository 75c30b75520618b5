"""Table of all images: the columns of the sample sheet and the facts read from the files."""

import pandas as pd

from snakeseg.evaluation.target_scores import TARGET_COLUMNS

FACT_COLUMNS = (
    "sample", "subset", "part", "group", "path", "label", "shape", "channels", "type", "spacing", "smallest", "p1",
    "p50", "p99", "largest", "darkest", "brightest", "levels", "constant_channels", "values", "looks_like", "ids",
    "gaps", "split", "split_ids", "split_at", "objects", "extent_5", "extent_50", "extent_95", "specks", "speck_at",
    "holes", "hole_at", "touching", "foreground", "ignored", "elsewhere", "unknown", "doubt", "rounded", "inverted",
    "label_inverted",
    *TARGET_COLUMNS,
)  # fmt: skip
# Columns for the rules alone, which are not written to data.tsv: hashes, signatures, lists and dictionaries.
HIDDEN = ("pixels", "signature", "extents", "shares")


def build_facts_table(sheet: pd.DataFrame, facts: pd.DataFrame, parts: pd.Series) -> pd.DataFrame:
    """Join the sample sheet and the facts about its images, in the order of the sheet.

    Parameters
    ----------
    sheet : DataFrame
        From `read_sheet`.
    facts : DataFrame
        From `inspect_rows`; facts that could not be read are missing.
    parts : Series
        From `assign_parts`.

    Returns
    -------
    DataFrame
        One row per image with `FACT_COLUMNS`, share_NAME for every class, and `HIDDEN`; NaN for unknown facts.
    """
    rows = sheet[["sample", "subset", "group", "label"]].assign(part=parts)
    table = rows.merge(facts, on="sample", how="left", validate="one_to_one").reindex(columns=[*FACT_COLUMNS, *HIDDEN])
    shares = pd.DataFrame(
        [value if isinstance(value, dict) else {} for value in table["shares"]], table.index, dtype=float
    ).add_prefix("share_")
    return pd.concat([table, shares], axis=1)


def without_hidden_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without the columns `HIDDEN`."""
    return table.drop(columns=list(HIDDEN))
