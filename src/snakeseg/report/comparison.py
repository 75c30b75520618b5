"""Compare the networks of a run: a table with one row per experiment and subset, and one image for all of them."""

import json
import re
from pathlib import Path

import pandas as pd

from snakeseg.evaluation.comparison import SEEDED
from snakeseg.report.images.pictures import Picture

COMPARED_SCORES = (
    "pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu", "adapted_rand_error", "ap_0.50",
)  # fmt: skip
MEASURES = ("parameters", "gigaflops_per_megapixel", "seconds_per_megapixel", "checkerboard", "halo")


def comparison_rows(run: Path, summary: pd.DataFrame, starts: dict[str, str]) -> list[dict]:
    """Return network, cost and scores of each experiment and subset.

    Parameters
    ----------
    run : path
        Folder of the run's results.
    summary : DataFrame
        From `evaluation.summary.summarise`.
    starts : dict
        For each experiment that starts from another one's weights, the name of that other one.

    Returns
    -------
    list of dict
        experiment, network, `MEASURES`, tile_exact, subset, start_from, `COMPARED_SCORES`: pooled over the subset where
        that is defined, else means over its images. Validation first, then by falling mean IU.

    Raises
    ------
    OSError
        If the measures of a network are missing.
    """
    rows = []
    for experiment in sorted(summary["experiment"].unique()):
        measured = json.loads((run / "models" / experiment / "measures.json").read_text(encoding="utf-8"))
        part = summary[summary["experiment"] == experiment]
        for subset in ("validation", "test"):
            scores = part[part["subset"] == subset].set_index("metric")
            if scores.empty or not scores["n"].max():
                continue
            values = scores["pooled"].fillna(scores["mean"])
            rows.append({
                "experiment": experiment, **measured, "subset": subset,
                "start_from": starts.get(re.sub(SEEDED, "", experiment), ""),
                **{name: float(values[name]) for name in COMPARED_SCORES if name in values},
            })  # fmt: skip
    return sorted(rows, key=lambda row: (row["subset"] != "validation", -row["mean_iu"], row["experiment"]))


def comparison_image(images: pd.DataFrame, metric: str) -> str | None:
    """Choose the image that is shown for all networks: the validation image with the median mean score.

    Parameters
    ----------
    images : DataFrame
        Image table: experiment, subset, sample, status, and scores.
    metric : str
        The score, of which the mean over experiments is taken.

    Returns
    -------
    str or None
        The sample; None if no validation image has the score.
    """
    part = images[(images["subset"] == "validation") & (images["status"] == "scored")]
    if part.empty or metric not in part:
        return None
    means = part.groupby("sample")[metric].mean().sort_values(kind="stable")
    return str(means.index[len(means) // 2])


def split_into_rows(pictures: list[Picture], columns: int = 4) -> list[list[Picture]]:
    """Split a list of pictures into rows of at most `columns`."""
    return [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
