"""Subcommands that check the input data and report on it."""

import json
from argparse import Namespace

import pandas as pd

from snakeseg.commands.inputs import read_json, rows_of
from snakeseg.errors import BadInputs, collect
from snakeseg.evaluation.target_scores import TARGET_COLUMNS
from snakeseg.io.files import write_text
from snakeseg.io.sheet import assign_parts, read_sheet
from snakeseg.io.tables import write_table
from snakeseg.progress import log
from snakeseg.settings import Settings, read_settings

# Columns of check.tsv.
CHECK_COLUMNS = (
    "sample", "path", "shape", "channels", "type", "smallest", "largest", "spacing", "objects", "foreground",
    *TARGET_COLUMNS,
)  # fmt: skip


def inspect(args: Namespace) -> None:
    """Write facts about the files of a batch and their problems as JSON; fail on no problem, unlike `check`."""
    from snakeseg.checks.inspect import inspect_rows as inspect_rows

    settings = read_settings(args.settings)
    rows = rows_of(args, subset=["train", "test", "predict"])
    facts, problems = inspect_rows(rows, settings.spatial_dims, settings.labels)
    write_text(args.output, json.dumps({"facts": facts, "problems": problems}, indent=1) + "\n")


def check(args: Namespace) -> None:
    """Write the table of facts about all files, and print an estimate of the run.

    Raises
    ------
    BadInputs
        With all problems at once, if there are any.
    """
    from snakeseg.checks.findings.all import warning_lines

    settings, sheet = read_settings(args.settings), read_sheet(args.sheet, args.data)
    inspected = _inspected(args, settings, sheet)
    facts, problems = inspected
    estimate = [] if problems else _estimate(args, settings, sheet, inspected)
    warnings = [] if problems else warning_lines(sheet, inspected, settings)
    if args.json:
        print(json.dumps({"problems": problems, "warnings": warnings, "estimate": estimate}))
    elif not problems:
        log("\n".join([*estimate, *warnings]))
    if problems:
        raise BadInputs(problems)
    write_table(args.output, facts[[name for name in CHECK_COLUMNS if name in facts]])


def _inspected(args: Namespace, settings: Settings, sheet: pd.DataFrame):
    """Read the results of `inspect` for all batches, and check them together (with torch, unlike `inspect`)."""
    from snakeseg.checks.input import read_inspected

    batches = [read_json(args.inspected / f"{batch}.json") for batch in sheet["batch"].unique()]
    return read_inspected(batches, sheet, settings)


def _estimate(args: Namespace, settings: Settings, sheet: pd.DataFrame, inspected) -> list[str]:
    """Return an estimate of the run in lines, none without training; add a problem if the disk is too small."""
    from snakeseg.training.estimate import estimate_run

    lines: list[str] = []
    if not settings.experiments:
        return lines
    parts = assign_parts(sheet, settings.folds, settings.validation)
    in_order = inspected.facts.set_index("sample").loc[sheet["sample"]]
    estimate = estimate_run(parts, in_order, settings, args.trained, args.output.parent)
    collect(inspected.problems, lambda: lines.extend(estimate))
    return lines


def data_report(args: Namespace) -> None:
    """Write the data report, and tables of all images and all findings, into a folder; problems do not make it fail."""
    from snakeseg.checks.findings.all import as_table, gather_findings
    from snakeseg.checks.findings.label_kind import mask_contradicted_objects
    from snakeseg.checks.findings.object_sizes import describe_experiments, overview
    from snakeseg.checks.findings.table import without_hidden_columns
    from snakeseg.report.data_page import DataReport, data_page

    settings, sheet = read_settings(args.settings), read_sheet(args.sheet, args.data)
    table, findings = gather_findings(sheet, _inspected(args, settings, sheet), settings)
    experiments = describe_experiments(settings.experiments, settings.spatial_dims)
    objects = overview(mask_contradicted_objects(table, settings.labels), settings.labels, experiments)
    output = args.output / "data-report.html"
    write_table(args.output / "data.tsv", without_hidden_columns(table))
    write_table(args.output / "findings.tsv", as_table(findings))
    report = DataReport(args.name, settings.spatial_dims, sheet, table, findings, objects)
    write_text(output, data_page(report, output))
    log(output)
