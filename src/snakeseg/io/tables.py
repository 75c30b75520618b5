"""Result tables as tab-separated text: six significant digits, `nan` for missing numbers."""

from pathlib import Path

import pandas as pd

from snakeseg.io.files import atomic_file

# Columns that are read as text, even if their values look like numbers: 007, 12e3, nan.
NAMES = ("experiment", "subset", "sample", "group", "reason", "A", "B")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table that `write_table` wrote."""
    columns = pd.read_csv(path, sep="\t", nrows=0).columns
    missing = {name: ["nan"] for name in columns if name not in NAMES}
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=missing, dtype=dict.fromkeys(NAMES, str))


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table atomically, without its index."""
    with atomic_file(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.6g", na_rep="nan", lineterminator="\n")
