"""One row per image: what the sheet says and what its files hold."""

import pandas as pd

COLUMNS = (
    "sample", "subset", "part", "group", "path", "label", "shape", "channels", "type", "spacing", "smallest", "p1",
    "p50", "p99", "largest", "darkest", "brightest", "levels", "constant_channels", "values", "looks_like", "ids",
    "gaps", "split", "split_ids", "split_at", "objects", "extent_5", "extent_50", "extent_95", "specks", "speck_at",
    "holes", "hole_at", "touching", "foreground", "ignored", "elsewhere",
)  # fmt: skip
# What is no number or word, for the rules alone.
HIDDEN = ("pixels", "signature", "extents", "shares")


def table_of(sheet: pd.DataFrame, facts: pd.DataFrame, parts: pd.Series) -> pd.DataFrame:
    """Sheet and facts side by side, in the order of the sheet.

    Parameters
    ----------
    sheet : DataFrame
        From `read_sheet`.
    facts : DataFrame
        From `inspect`; whatever could not be read is missing.
    parts : Series
        From `parts_of`.

    Returns
    -------
    DataFrame
        `COLUMNS`, share_NAME for every class, and `HIDDEN`; NaN where nothing is known.
    """
    rows = sheet[["sample", "subset", "group", "label"]].assign(part=parts)
    table = rows.merge(facts, on="sample", how="left", validate="one_to_one").reindex(columns=[*COLUMNS, *HIDDEN])
    shares = pd.DataFrame(
        [value if isinstance(value, dict) else {} for value in table["shares"]], table.index, dtype=float
    ).add_prefix("share_")
    return pd.concat([table, shares], axis=1)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Without what is for the rules alone."""
    return table.drop(columns=list(HIDDEN))
