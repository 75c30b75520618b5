"""Collect all findings about the data of a run, most severe first."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from typing import NamedTuple

import pandas as pd

from snakeseg.checks.findings.finding import SEVERITIES, Finding
from snakeseg.checks.findings.label_kind import label_kind_findings, mask_contradicted_objects
from snakeseg.checks.findings.leakage import leakage_findings
from snakeseg.checks.findings.object_sizes import describe_experiments, size_findings
from snakeseg.checks.findings.per_dataset import dataset_findings
from snakeseg.checks.findings.per_image import image_findings
from snakeseg.checks.findings.table import build_facts_table
from snakeseg.checks.input import Inspected
from snakeseg.errors import BadInput
from snakeseg.io.file_names import file_and_number, split_file_names
from snakeseg.io.sheet import assign_parts
from snakeseg.settings import Settings

# The four parts of the text of a `BadInput`.
PROBLEM = re.compile(r"(?P<where>.*?): found (?P<found>.*); expected (?P<expected>.*?); (?P<remedy>[^;]*)", re.DOTALL)
# Maximum number of images for which a check compares all images before the run starts.
MAX_COMPARED_IMAGES = 2000
# Maximum number of samples that a warning line names.
MAX_SAMPLES_IN_WARNING = 3
REPORT_COMMAND = "snakemake data_report --cores all --configfile CONFIG"
FINDING_COLUMNS = ["severity", "topic", "samples", "at", "found", "means", "remedy"]


class Findings(NamedTuple):
    """Facts and findings about the data of a run.

    Attributes
    ----------
    table : DataFrame
        One row per image, from `findings.table.build_facts_table`.
    findings : list of Finding
        Most severe first.
    """

    table: pd.DataFrame
    findings: list[Finding]


def gather_findings(sheet: pd.DataFrame, inspected: Inspected, settings: Settings) -> Findings:
    """Collect all findings about the data of a run, including problems that stop the workflow.

    Parameters
    ----------
    sheet : DataFrame
        From `read_sheet`.
    inspected : Inspected
        From `checks.input.read_inspected`.
    settings : Settings
        Settings of the run.

    Returns
    -------
    Findings
        Table of images and sorted findings.
    """
    try:
        parts = assign_parts(sheet, settings.folds, settings.validation)
    except BadInput:  # The same error is among `inspected.problems`.
        parts = sheet["subset"]
    table = build_facts_table(sheet, inspected.facts, parts)
    problems = list(problem_findings(inspected.problems, sheet))
    return Findings(table, all_findings(table, problems, settings))


def warning_lines(sheet: pd.DataFrame, inspected: Inspected, settings: Settings) -> list[str]:
    """Format one line per topic of errors and warnings; notes are left to the data report.

    Parameters
    ----------
    sheet : DataFrame
        From `read_sheet`.
    inspected : Inspected
        From `checks.input.read_inspected`.
    settings : Settings
        Settings of the run.

    Returns
    -------
    list of str
        Lines for the terminal. With more than `MAX_COMPARED_IMAGES` images, a single line that names the command for
        the data report, because the comparison of all images would delay the run.
    """
    if len(sheet) > MAX_COMPARED_IMAGES:
        return [f"to search {len(sheet)} images for near-duplicates and label problems, run: {REPORT_COMMAND}"]
    of_topic: dict[str, list[Finding]] = {}
    for finding in gather_findings(sheet, inspected, settings).findings:
        if finding.severity != "note":
            of_topic.setdefault(finding.topic, []).append(finding)
    lines = []
    for topic, (first, *others) in of_topic.items():
        samples = f" ({', '.join(first.samples[:MAX_SAMPLES_IN_WARNING])})" if first.samples else ""
        more = f", and {len(others)} more of this kind" if others else ""
        lines.append(f"warning: {topic}: {first.found}{samples}{more}; {first.remedy}")
    return [*lines, f"to see all warnings with pictures, run: {REPORT_COMMAND}"] if lines else []


def all_findings(table: pd.DataFrame, problems: list[Finding], settings: Settings) -> list[Finding]:
    """Return problems and all other findings, most severe first.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.build_facts_table`.
    problems : list of Finding
        From `problem_findings`.
    settings : Settings
        Settings of the run.

    Returns
    -------
    list of Finding
        Sorted by severity; findings of equal severity keep the order of the checks.
    """
    labels = settings.labels
    networks = {name: experiment.network for name, experiment in settings.experiments.items()}
    meaning = list(label_kind_findings(table, labels))
    table = mask_contradicted_objects(table, labels)
    findings = [
        *problems,
        *meaning,
        *leakage_findings(table, settings.spatial_dims),
        *dataset_findings(table, settings, networks),
        *size_findings(table, labels, describe_experiments(settings.experiments, settings.spatial_dims)),
        *image_findings(table, labels),
    ]
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def problem_findings(problems: list[str], sheet: pd.DataFrame) -> Iterator[Finding]:
    """Convert problems that stop the workflow into findings of the samples whose files they name.

    Parameters
    ----------
    problems : list of str
        Texts of `BadInput`, one per problem.
    sheet : DataFrame
        From `read_sheet`.

    Yields
    ------
    Finding
        One error per problem; without samples if the problem names no file of the sheet.
    """
    samples_of = defaultdict(dict, {f"sample sheet, {name}": {name: None} for name in sheet["sample"]})
    for column in ("label", "image"):
        for cell, name in zip(sheet[column], sheet["sample"], strict=True):
            for file in split_file_names(cell) if cell else ():
                for path in (file, file_and_number(file)[0]):
                    samples_of[str(path)][name] = None
    for problem in problems:
        match = PROBLEM.fullmatch(problem)
        where, found, expected, remedy = (
            match.groups() if match else ("", problem, "", "look up this text in docs/how-to/troubleshooting.md")
        )
        yield Finding(
            "error", "Problems that stop the workflow", tuple(samples_of.get(where, ())),
            f"{where}: {found}" if where else found, f"expected {expected}" if expected else "", remedy,
        )  # fmt: skip


def as_table(findings: list[Finding]) -> pd.DataFrame:
    """Return findings as a table of `FINDING_COLUMNS`, one row per finding; samples are separated by spaces."""
    rows = [asdict(finding) | {"samples": " ".join(finding.samples)} for finding in findings]
    return pd.DataFrame(rows, columns=FINDING_COLUMNS)
