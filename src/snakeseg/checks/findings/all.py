"""All findings about the data of a run, worst first."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict

import pandas as pd

from snakeseg.checks.findings.finding import SEVERITIES, Finding
from snakeseg.checks.findings.label_kind import meaning_findings, trusted
from snakeseg.checks.findings.leakage import leakage_findings
from snakeseg.checks.findings.object_sizes import size_findings
from snakeseg.checks.findings.per_dataset import whole_findings
from snakeseg.checks.findings.per_image import single_findings
from snakeseg.io.file_names import file_and_number, files_of
from snakeseg.settings import Labels, Network, Prepare

# How `BadInput` puts a problem.
PROBLEM = re.compile(r"(?P<where>.*?): found (?P<found>.*); expected (?P<expected>.*?); (?P<remedy>[^;]*)", re.DOTALL)
COLUMNS = ["severity", "topic", "samples", "at", "found", "means", "remedy"]


def all_findings(
    table: pd.DataFrame, problems: list[Finding], dims: int, labels: Labels, prepare: Prepare,
    networks: dict[str, Network], experiments: list[dict],
) -> list[Finding]:  # fmt: skip
    """Problems and whatever else deserves a look, worst first.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.table_of`.
    problems : list of Finding
        From `problem_findings`.
    dims : int
    labels : Labels
    prepare : Prepare
    networks : dict
        The network of every experiment.
    experiments : list of dict
        From `findings.sizes.experiments_of`.
    """
    meaning = list(meaning_findings(table, labels))
    table = trusted(table, labels)
    found = [
        *problems,
        *meaning,
        *leakage_findings(table, dims),
        *whole_findings(table, labels, prepare, networks),
        *size_findings(table, labels, experiments),
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
