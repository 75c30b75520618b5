"""The short version of the page, for a notebook."""

import json
import re
from importlib import resources
from pathlib import Path

import pandas as pd
from jinja2 import Environment

from snakeseg.evaluation.summary import HEADLINES, SUBSETS
from snakeseg.report.tables import about
from snakeseg.settings import Config

MARKS = re.compile(r"([\\`*_{}\[\]<>|~#$&])")


def render_markdown(
    run: Path, sheet: pd.DataFrame, config: Config, summary: pd.DataFrame, said: dict[str, list[str]]
) -> str:
    """What was trained on what, how many images have scores, headline scores with intervals, and who is better.

    Parameters
    ----------
    run : path
        Folder of the run's results.
    sheet : DataFrame
        From `read_sheet`.
    config : Config
    summary : DataFrame
        From `evaluation.summary.summarise`.
    said : dict
        From `evaluation.comparison.sentences`.
    """
    template = Environment(finalize=escape, trim_blocks=True, lstrip_blocks=True).from_string(
        resources.files("snakeseg.report").joinpath("templates/summary.md.j2").read_text(encoding="utf-8")
    )
    experiments = summary["experiment"].unique()
    networks = {
        name: json.loads((run / "models" / name / "measures.json").read_text(encoding="utf-8"))["network"]
        for name in experiments
    }
    wanted = about(config, HEADLINES)
    headlines = [name for name in wanted if (summary.loc[summary["metric"] == name, "n"] > 0).any()]
    parts = dict(list(summary.groupby("subset")))
    return template.render(
        config=config,
        images=sheet["subset"].value_counts().to_dict(),
        groups=sheet.groupby("subset")["group"].nunique().to_dict(),
        networks=networks,
        headlines=headlines,
        parts={subset: list(_lines(parts[subset], headlines)) for subset in SUBSETS if subset in parts},
        intervals=[subset for subset, part in parts.items() if part["low"].notna().any()],
        said=said,
    )


def escape(value):
    """Text that Markdown shows as it is, on one line; other values as they are.

    Examples
    --------
    a_b | *c* becomes a\\_b \\| \\*c\\*.
    """
    return MARKS.sub(r"\\\1", " ".join(value.split())) if isinstance(value, str) else value


def _lines(part: pd.DataFrame, headlines: list[str]):
    """Cells of the table of one subset: an experiment, its counts, its scores."""
    for experiment, rows in part.groupby("experiment"):
        rows = rows.set_index("metric")
        first = rows.iloc[0]
        counts = (rows["n"].max(), first["missed"], first["empty"], first["unscored"])
        yield [experiment, *map(str, counts), *(_score(rows.loc[name]) for name in headlines)]


def _score(row: pd.Series) -> str:
    if not row["n"]:
        return "-"
    return f"{row['mean']:.3f}" + (f" ({row['low']:.3f} to {row['high']:.3f})" if row["low"] == row["low"] else "")
