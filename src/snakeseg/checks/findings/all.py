"""All findings about the data of a run, worst first."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from typing import NamedTuple

import pandas as pd

from snakeseg.checks.findings.finding import SEVERITIES, Finding
from snakeseg.checks.findings.label_kind import meaning_findings, trusted
from snakeseg.checks.findings.leakage import leakage_findings
from snakeseg.checks.findings.object_sizes import experiments_of, size_findings
from snakeseg.checks.findings.per_dataset import whole_findings
from snakeseg.checks.findings.per_image import single_findings
from snakeseg.checks.findings.table import table_of
from snakeseg.checks.input import Inspected
from snakeseg.errors import BadInput
from snakeseg.io.file_names import file_and_number, files_of
from snakeseg.io.sheet import parts_of
from snakeseg.settings import Settings

# How `BadInput` puts a problem.
PROBLEM = re.compile(r"(?P<where>.*?): found (?P<found>.*); expected (?P<expected>.*?); (?P<remedy>[^;]*)", re.DOTALL)
# Rows beyond which comparing all images would keep a run waiting; samples that a warning names.
MOST_ROWS, NAMED = 2000, 3
COLUMNS = ["severity", "topic", "samples", "at", "found", "means", "remedy"]


class Findings(NamedTuple):
    """A table with a row for each image (from `table_of`), and all that deserves a look, worst first."""

    table: pd.DataFrame
    findings: list[Finding]


def gather_findings(sheet: pd.DataFrame, inspected: Inspected, settings: Settings) -> Findings:
    """Collect all findings about the data of a run, problems among them.

    Parameters
    ----------
    sheet : DataFrame
        From `read_sheet`.
    inspected : Inspected
    settings : Settings
    """
    try:
        parts = parts_of(sheet, settings.folds, settings.validation)
    except BadInput:  # which is among the problems
        parts = sheet["subset"]
    table = table_of(sheet, inspected.facts, parts)
    problems = list(problem_findings(inspected.problems, sheet))
    return Findings(table, all_findings(table, problems, settings))


def warning_lines(sheet: pd.DataFrame, inspected: Inspected, settings: Settings) -> list[str]:
    """Return the first of each kind of what will cost something, in words; the data report has all of it."""
    if len(sheet) > MOST_ROWS:
        return ["look-alikes and label oddities of so many images: snakemake data_report"]
    of_topic: dict[str, list[Finding]] = {}
    for finding in gather_findings(sheet, inspected, settings).findings:
        if finding.severity != "note":
            of_topic.setdefault(finding.topic, []).append(finding)
    lines = []
    for topic, (first, *others) in of_topic.items():
        named = f" ({', '.join(first.samples[:NAMED])})" if first.samples else ""
        more = f", and {len(others)} more" if others else ""
        lines.append(f"warning: {topic}: {first.found}{named}{more}; {first.remedy}")
    return [*lines, "all warnings with pictures: snakemake data_report"] if lines else []


def all_findings(table: pd.DataFrame, problems: list[Finding], settings: Settings) -> list[Finding]:
    """Return problems and whatever else deserves a look, worst first.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.table_of`.
    problems : list of Finding
        From `problem_findings`.
    settings : Settings
    """
    labels = settings.labels
    networks = {name: experiment.network for name, experiment in settings.experiments.items()}
    meaning = list(meaning_findings(table, labels))
    table = trusted(table, labels)
    found = [
        *problems,
        *meaning,
        *leakage_findings(table, settings.spatial_dims),
        *whole_findings(table, labels, settings.prepare, networks),
        *size_findings(table, labels, experiments_of(settings.experiments, settings.spatial_dims)),
        *single_findings(table, labels),
    ]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def problem_findings(problems: list[str], sheet: pd.DataFrame) -> Iterator[Finding]:
    """Problems that stop the workflow, as findings of the rows whose files they name."""
    rows = defaultdict(dict, {f"sample sheet, {name}": {name: None} for name in sheet["sample"]})
    for column in ("label", "image"):
        for cell, name in zip(sheet[column], sheet["sample"], strict=True):
            for file in files_of(cell) if cell else ():
                for named in (file, file_and_number(file)[0]):
                    rows[str(named)][name] = None
    for problem in problems:
        parts = PROBLEM.fullmatch(problem)
        where, found, expected, remedy = parts.groups() if parts else ("", problem, "", "mend it")
        yield Finding(
            "error", "Problems that stop the workflow", tuple(rows.get(where, ())),
            f"{where}: {found}" if where else found, f"expected {expected}" if expected else "", remedy,
        )  # fmt: skip


def as_table(findings: list[Finding]) -> pd.DataFrame:
    """One row per finding: `COLUMNS`; samples are separated by spaces."""
    rows = [asdict(finding) | {"samples": " ".join(finding.samples)} for finding in findings]
    return pd.DataFrame(rows, columns=COLUMNS)
