"""What several subcommands read: rows of the sheet, JSON."""

import json
from argparse import Namespace
from pathlib import Path

import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.io.files import require_kind
from snakeseg.io.sheet import assign_folds, read_sheet
from snakeseg.settings import read_settings


def rows_of(given: Namespace, subset: list[str]) -> pd.DataFrame:
    sheet = read_sheet(given.sheet, given.data)
    rows = sheet[sheet["subset"].isin(subset)]
    batch = getattr(given, "batch", None)
    return rows if batch is None else rows[rows["batch"] == batch]


def rows_of_part(given: Namespace) -> pd.DataFrame:
    """Rows that a fold holds out, or the test and predict rows of a batch."""
    if given.fold is None:
        return rows_of(given, subset=["test", "predict"])
    s = read_settings(given.settings)
    rows = rows_of(given, subset=["train"])
    return rows[assign_folds(rows, s.folds, s.validation) == given.fold]


def stores_of(paths: list[Path], rows: pd.DataFrame) -> list[Path]:
    """The stores; of a folder those of the rows' batches, since a command line does not hold many thousand paths."""
    names = [f"{batch}.zarr.zip" for batch in rows["batch"].unique()]
    return [store for path in paths for store in ([path / name for name in names] if path.is_dir() else [path])]


def read_json(path: Path | None) -> dict | None:
    if path is None:
        return None
    require_kind(path, False, "what an earlier step writes", "run that step")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInput(
            path, f"no JSON ({error})", "what an earlier step writes", "delete it, and run that step"
        ) from error
