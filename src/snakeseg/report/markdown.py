"""The summary of a run in Markdown, for a lab notebook."""

import json
import re
from importlib import resources
from pathlib import Path

import pandas as pd
from jinja2 import Environment

from snakeseg.evaluation.summary import HEADLINES, SUBSETS
from snakeseg.report.tables import applicable_scores
from snakeseg.settings import Config

# Characters that Markdown would interpret.
SPECIAL_CHARACTERS = re.compile(r"([\\`*_{}\[\]<>|~#$&])")


def render_markdown(
    run: Path,
    sheet: pd.DataFrame,
    config: Config,
    summary: pd.DataFrame,
    notes: dict[str, list[str]],
    nothing: dict[str, dict[str, int]],
) -> str:
    """Return a summary in Markdown: training data, headline scores with intervals, differences between experiments.

    Parameters
    ----------
    run : path
        Folder of the run's results.
    sheet : DataFrame
        The sample sheet, from `read_sheet`.
    config : Config
        The config of the run.
    summary : DataFrame
        From `evaluation.summary.summarise`.
    notes : dict
        Sentences on the scores by subset, from `RunResults.notes`.
    nothing : dict
        From `report.tables.count_nothing`.

    Raises
    ------
    OSError
        If the measures of a network are missing.
    """
    template = Environment(finalize=escape, trim_blocks=True, lstrip_blocks=True).from_string(
        resources.files("snakeseg.report").joinpath("templates/summary.md.j2").read_text(encoding="utf-8")
    )
    experiments = summary["experiment"].unique()
    networks = {
        name: json.loads((run / "models" / name / "measures.json").read_text(encoding="utf-8"))["network"]
        for name in experiments
    }
    wanted = applicable_scores(config, HEADLINES)
    headlines = [name for name in wanted if (summary.loc[summary["metric"] == name, "n"] > 0).any()]
    parts = dict(list(summary.groupby("subset")))
    return template.render(
        config=config,
        images=sheet["subset"].value_counts().to_dict(),
        groups=sheet.groupby("subset")["group"].nunique().to_dict(),
        networks=networks,
        headlines=headlines,
        parts={subset: list(_table_lines(parts[subset], headlines)) for subset in SUBSETS if subset in parts},
        intervals=[subset for subset, part in parts.items() if part["low"].notna().any()],
        notes=notes,
        nothing=nothing,
    )


def escape(value):
    """Escape text so that Markdown shows it unchanged, on one line; return other values unchanged.

    Examples
    --------
    a_b | *c* becomes a\\_b \\| \\*c\\*.
    """
    return SPECIAL_CHARACTERS.sub(r"\\\1", " ".join(value.split())) if isinstance(value, str) else value


def _table_lines(part: pd.DataFrame, headlines: list[str]):
    """Yield the table of one subset, line by line: experiment, numbers of images, scores."""
    for experiment, rows in part.groupby("experiment"):
        rows = rows.set_index("metric")
        first = rows.iloc[0]
        counts = (rows["n"].max(), first["missed"], first["empty"], first["unscored"])
        yield [experiment, *map(str, counts), *(_format_mean(rows.loc[name]) for name in headlines)]


def _format_mean(row: pd.Series) -> str:
    """Format a mean score with its 95 % interval, or a dash."""
    if not row["n"]:
        return "-"
    return f"{row['mean']:.3f}" + (f" ({row['low']:.3f} to {row['high']:.3f})" if row["low"] == row["low"] else "")
