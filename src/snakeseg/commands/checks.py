"""Subcommands that look at the data and report what they find."""

import json
from argparse import Namespace

import pandas as pd

from snakeseg.commands.inputs import read_json, rows_of
from snakeseg.errors import BadInputs, collect
from snakeseg.io.files import write_text
from snakeseg.io.sheet import parts_of, read_sheet
from snakeseg.io.tables import write_table
from snakeseg.progress import tell
from snakeseg.settings import Settings, read_settings

# Columns of the table of a successful check.
CHECKED = ("sample", "path", "shape", "channels", "type", "smallest", "largest", "spacing", "objects", "foreground")


def inspect(given: Namespace) -> None:
    """What was found in a batch's files, and all problems, as JSON; it never fails on them, `check` does."""
    from snakeseg.checks.inspect import inspect as inspect_rows

    settings = read_settings(given.settings)
    rows = rows_of(given, subset=["train", "test", "predict"])
    facts, problems = inspect_rows(rows, settings.spatial_dims, settings.labels)
    write_text(given.output, json.dumps({"facts": facts, "problems": problems}, indent=1) + "\n")


def check(given: Namespace) -> None:
    """A table of what was found in all files, or all problems at once; and what the run would do, in words."""
    from snakeseg.checks.findings.all import warning_lines

    settings, sheet = read_settings(given.settings), read_sheet(given.sheet, given.data)
    inspected = _inspected(given, settings, sheet)
    facts, problems = inspected
    estimate = [] if problems else _estimate(given, settings, sheet, inspected)
    warnings = [] if problems else warning_lines(sheet, inspected, settings)
    if given.json:
        print(json.dumps({"problems": problems, "warnings": warnings, "outlook": estimate}))
    elif not problems:
        tell("\n".join([*estimate, *warnings]))
    if problems:
        raise BadInputs(problems)
    write_table(given.output, facts[[name for name in CHECKED if name in facts]])


def _inspected(given: Namespace, settings: Settings, sheet: pd.DataFrame):
    """Read what `inspect` found in all batches, and check it together (with torch, which `inspect` does without)."""
    from snakeseg.checks.input import gather

    batches = [read_json(given.inspected / f"{batch}.json") for batch in sheet["batch"].unique()]
    return gather(batches, sheet, settings)


def _estimate(given: Namespace, settings: Settings, sheet: pd.DataFrame, inspected) -> list[str]:
    """Return what the run would do and take, nothing of a run without training; a lack of room is a problem more."""
    from snakeseg.training.estimate import estimate_run

    lines: list[str] = []
    if not settings.experiments:
        return lines
    parts = parts_of(sheet, settings.folds, settings.validation)
    in_order = inspected.facts.set_index("sample").loc[sheet["sample"]]
    estimate = estimate_run(parts, in_order, settings, given.trained, given.output.parent)
    collect(inspected.problems, lambda: lines.extend(estimate))
    return lines


def data_report(given: Namespace) -> None:
    """A page about the data, and tables of all images and all findings, in a folder; problems are among them."""
    from snakeseg.checks.findings.all import as_table, gather_findings
    from snakeseg.checks.findings.label_kind import trusted
    from snakeseg.checks.findings.object_sizes import experiments_of, overview
    from snakeseg.checks.findings.table import shown
    from snakeseg.report.data_page import DataReport, data_page

    settings, sheet = read_settings(given.settings), read_sheet(given.sheet, given.data)
    table, findings = gather_findings(sheet, _inspected(given, settings, sheet), settings)
    experiments = experiments_of(settings.experiments, settings.spatial_dims)
    objects = overview(trusted(table, settings.labels), settings.labels, experiments)
    output = given.output / "data-report.html"
    write_table(given.output / "data.tsv", shown(table))
    write_table(given.output / "findings.tsv", as_table(findings))
    report = DataReport(given.name, settings.spatial_dims, sheet, table, findings, objects)
    write_text(output, data_page(report, output))
    tell(output)
