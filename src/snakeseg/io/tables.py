"""Result tables: tab-separated text, numbers to six digits, `nan` where there is none."""

from pathlib import Path

import pandas as pd

from snakeseg.io.files import atomic_file

# Names stay text, also those that look like numbers: 007, 12e3, nan.
NAMES = ("experiment", "subset", "sample", "group", "reason", "A", "B")


def read_table(path: str | Path) -> pd.DataFrame:
    """A table as `write_table` left it."""
    columns = pd.read_csv(path, sep="\t", nrows=0).columns
    missing = {name: ["nan"] for name in columns if name not in NAMES}
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=missing, dtype=dict.fromkeys(NAMES, str))


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table atomically."""
    with atomic_file(path) as beside:
        table.to_csv(beside, sep="\t", index=False, float_format="%.6g", na_rep="nan", lineterminator="\n")
