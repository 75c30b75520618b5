"""Subcommands from predictions to the report: scores, summary, comparison, report."""

import json
from argparse import Namespace
from pathlib import Path

import pandas as pd

from snakeseg.commands.inputs import rows_of_part
from snakeseg.io.files import atomic_folder
from snakeseg.io.sheet import read_sheet
from snakeseg.io.tables import read_table, write_table
from snakeseg.progress import log
from snakeseg.settings import read_config, read_settings


def evaluate(args: Namespace) -> None:
    """Write tables of scored images and objects into a folder."""
    from snakeseg.evaluation.evaluate import evaluate_rows, score_table

    settings, rows = read_settings(args.settings), rows_of_part(args)
    at_edge = not settings.instances.drop_at_edge
    images, objects = evaluate_rows(rows, args.predictions, settings.spatial_dims, settings.labels, at_edge)
    with atomic_folder(args.output, "images.tsv") as folder:
        for name, scores in (("images", images), ("objects", objects)):
            write_table(folder / f"{name}.tsv", score_table(scores, rows, args.experiment, args.fold))


def summarise(args: Namespace) -> None:
    """Write the concatenated score tables and their summary."""
    from snakeseg.evaluation.summary import summarise as summary_of

    folders = _table_folders(args)
    gathered = {}
    for name in ("images", "objects"):
        tables = [read_table(folder / f"{name}.tsv") for folder in folders]
        gathered[name] = pd.concat([t for t in tables if len(t)] or tables[:1], ignore_index=True)
        write_table(args.output / f"{name}.tsv", gathered[name])
    write_table(args.output / "summary.tsv", summary_of(gathered["images"]))


def _table_folders(args: Namespace) -> list[Path]:
    """Return the folders from `evaluate` of all experiments: one per fold, then one per batch."""
    sheet = read_sheet(args.sheet)
    batches = sheet["batch"][sheet["subset"] != "train"].unique()
    folders = [f"validation/{name}/fold-{fold}" for name in args.experiments for fold in args.folds]
    folders += [f"predictions/{name}/{batch}" for name in args.experiments for batch in batches]
    return [args.tables / folder for folder in folders]


def compare(args: Namespace) -> None:
    """Write the tests of all pairs of experiments, and the spread over folds and seeds."""
    from snakeseg.evaluation.comparison import compare as comparison_of
    from snakeseg.evaluation.comparison import spread_over_seeds

    images = read_table(args.images)
    write_table(args.output / "comparison.tsv", comparison_of(images))
    write_table(args.output / "spread.tsv", spread_over_seeds(images))


def report(args: Namespace) -> None:
    """Write the report page, its figures and the provenance."""
    from snakeseg.report.page import write_report

    config = read_config(json.loads(args.settings))
    write_report(args.run, read_sheet(args.sheet, args.data), config, args.output)
    log(args.output)
