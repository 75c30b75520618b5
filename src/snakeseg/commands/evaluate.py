"""Subcommands from predictions to the report."""

import json
import sys
from argparse import Namespace

import pandas as pd

from snakeseg.commands.inputs import rows_of_part
from snakeseg.io.files import atomic_folder
from snakeseg.io.sheet import read_sheet
from snakeseg.io.tables import read_table, write_table
from snakeseg.settings import complete_config, read_settings


def evaluate(given: Namespace) -> None:
    """Two tables, of images and of objects, in a folder."""
    from snakeseg.evaluation.evaluate import evaluate_rows

    s = read_settings(given.settings)
    rows = rows_of_part(given)
    at_edge = not s.instances.drop_at_edge
    images, objects = evaluate_rows(rows, given.predictions, s.spatial_dims, s.labels, at_edge)
    subset = dict(zip(rows["sample"], rows["subset"].replace("train", "validation"), strict=True))
    with atomic_folder(given.output, "images.tsv") as folder:
        for name, table in (("images", images), ("objects", objects)):
            table = pd.DataFrame(table, columns=None if table else ["sample"])
            table.insert(0, "fold", given.fold)
            table.insert(0, "subset", table["sample"].map(subset))
            table.insert(0, "experiment", given.experiment)
            write_table(folder / f"{name}.tsv", table)


def summarise(given: Namespace) -> None:
    """The gathered tables and their summary."""
    from snakeseg.evaluation.summary import summarise as summary_of

    sheet = read_sheet(given.sheet)
    batches = sheet["batch"][sheet["subset"] != "train"].unique()
    folders = [f"validation/{name}/fold-{fold}" for name in given.experiments for fold in given.folds]
    folders += [f"predictions/{name}/{batch}" for name in given.experiments for batch in batches]
    gathered = {}
    for name in ("images", "objects"):
        tables = [read_table(given.tables / folder / f"{name}.tsv") for folder in folders]
        gathered[name] = pd.concat([t for t in tables if len(t)] or tables[:1], ignore_index=True)
        write_table(given.output / f"{name}.tsv", gathered[name])
    write_table(given.output / "summary.tsv", summary_of(gathered["images"]))


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

    config = complete_config(json.loads(given.settings))
    write_report(given.run, read_sheet(given.sheet, given.data), config, given.output)
    print(given.output, file=sys.stderr)
