"""Subcommands from predictions to the report."""

import json
from argparse import Namespace
from pathlib import Path

import pandas as pd

from snakeseg.commands.inputs import rows_of_part
from snakeseg.io.files import atomic_folder
from snakeseg.io.sheet import read_sheet
from snakeseg.io.tables import read_table, write_table
from snakeseg.progress import tell
from snakeseg.settings import read_config, read_settings


def evaluate(given: Namespace) -> None:
    """Two tables, of images and of objects, in a folder."""
    from snakeseg.evaluation.evaluate import evaluate_rows, score_table

    settings, rows = read_settings(given.settings), rows_of_part(given)
    at_edge = not settings.instances.drop_at_edge
    images, objects = evaluate_rows(rows, given.predictions, settings.spatial_dims, settings.labels, at_edge)
    with atomic_folder(given.output, "images.tsv") as folder:
        for name, scores in (("images", images), ("objects", objects)):
            write_table(folder / f"{name}.tsv", score_table(scores, rows, given.experiment, given.fold))


def summarise(given: Namespace) -> None:
    """The gathered tables and their summary."""
    from snakeseg.evaluation.summary import summarise as summary_of

    folders = _table_folders(given)
    gathered = {}
    for name in ("images", "objects"):
        tables = [read_table(folder / f"{name}.tsv") for folder in folders]
        gathered[name] = pd.concat([t for t in tables if len(t)] or tables[:1], ignore_index=True)
        write_table(given.output / f"{name}.tsv", gathered[name])
    write_table(given.output / "summary.tsv", summary_of(gathered["images"]))


def _table_folders(given: Namespace) -> list[Path]:
    """Return the folders from `evaluate`, of all experiments: one per fold, then one per batch."""
    sheet = read_sheet(given.sheet)
    batches = sheet["batch"][sheet["subset"] != "train"].unique()
    folders = [f"validation/{name}/fold-{fold}" for name in given.experiments for fold in given.folds]
    folders += [f"predictions/{name}/{batch}" for name in given.experiments for batch in batches]
    return [given.tables / folder for folder in folders]


def compare(given: Namespace) -> None:
    """The table of pairs, and that of the spread over folds and seeds."""
    from snakeseg.evaluation.comparison import compare as comparison_of
    from snakeseg.evaluation.comparison import spread

    images = read_table(given.images)
    write_table(given.output / "comparison.tsv", comparison_of(images))
    write_table(given.output / "spread.tsv", spread(images))


def report(given: Namespace) -> None:
    """The page, its figures and the provenance."""
    from snakeseg.report.page import write_report

    config = read_config(json.loads(given.settings))
    write_report(given.run, read_sheet(given.sheet, given.data), config, given.output)
    tell(given.output)
