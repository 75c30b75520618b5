"""What several subcommands read: rows of the sheet, JSON."""

import json
from argparse import Namespace
from pathlib import Path

import pandas as pd

from snakeseg.io.sheet import assign_folds, read_sheet
from snakeseg.settings import read_sections


def rows_of(given: Namespace, subset: list[str]) -> pd.DataFrame:
    sheet = read_sheet(given.sheet, given.data)
    rows = sheet[sheet["subset"].isin(subset)]
    batch = getattr(given, "batch", None)
    return rows if batch is None else rows[rows["batch"] == batch]


def rows_of_part(given: Namespace) -> pd.DataFrame:
    """Rows that a fold holds out, or the test and predict rows of a batch."""
    if given.fold is None:
        return rows_of(given, subset=["test", "predict"])
    s = read_sections(given.settings)
    rows = rows_of(given, subset=["train"])
    return rows[assign_folds(rows, s["folds"], s["validation"]) == given.fold]


def read_json(path: Path | None) -> dict | None:
    return json.loads(path.read_text(encoding="utf-8")) if path else None
