"""Inputs of several subcommands: rows of the sheet, stores, JSON files."""

import json
from argparse import Namespace
from pathlib import Path

import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.io.input_checks import require_kind
from snakeseg.io.sheet import assign_folds, read_sheet
from snakeseg.settings import read_settings


def rows_of(args: Namespace, subset: list[str]) -> pd.DataFrame:
    """Read the rows of the sheet in these subsets, of one batch if --batch names it."""
    sheet = read_sheet(args.sheet, args.data)
    rows = sheet[sheet["subset"].isin(subset)]
    batch = getattr(args, "batch", None)
    return rows if batch is None else rows[rows["batch"] == batch]


def rows_of_part(args: Namespace) -> pd.DataFrame:
    """Read the rows that --fold holds out; without --fold, the test and predict rows of the batch."""
    if args.fold is None:
        return rows_of(args, subset=["test", "predict"])
    settings = read_settings(args.settings)
    rows = rows_of(args, subset=["train"])
    return rows[assign_folds(rows, settings.folds, settings.validation) == args.fold]


def stores_of(paths: list[Path], rows: pd.DataFrame) -> list[Path]:
    """Return the stores; a folder stands for those of the rows' batches, whose paths could exceed a command line."""
    names = [f"{batch}.zarr.zip" for batch in rows["batch"].unique()]
    return [store for path in paths for store in ([path / name for name in names] if path.is_dir() else [path])]


def read_json(path: Path | None) -> dict | None:
    """Read a JSON file of an earlier step; None without a path.

    Raises
    ------
    BadInput
        If there is no such file, or it is not JSON.
    """
    if path is None:
        return None
    require_kind(path, False, "a JSON file from an earlier step", "run snakemake again, which writes it")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        expected, remedy = "a JSON file from an earlier step", "delete it and run snakemake again, which writes it"
        raise BadInput(path, f"no JSON ({error})", expected, remedy) from error
