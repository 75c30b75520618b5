"""Networks side by side: one row per experiment, and the same image through all of them."""

import json
import re
from pathlib import Path

import pandas as pd

from snakeseg.evaluation.comparison import SEEDED
from snakeseg.report.images.pictures import Picture

SCORES = ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu", "adapted_rand_error", "ap_0.50")
MEASURES = ("parameters", "gigaflops_per_megapixel", "seconds_per_megapixel", "checkerboard", "halo")


def comparison_rows(run: Path, summary: pd.DataFrame, starts: dict[str, str]) -> list[dict]:
    """What each experiment's network is, costs and scores.

    Parameters
    ----------
    run : path
        Folder of the run's results.
    summary : DataFrame
        From `evaluation.summary.summarise`.
    starts : dict
        The experiment that each one's weights came from.

    Returns
    -------
    list of dict
        experiment, network, `MEASURES`, tile_exact, subset, `SCORES`: pooled over the subset where that is defined,
        else means over its images; best mean IU first.
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
                **{name: float(values[name]) for name in SCORES if name in values},
            })  # fmt: skip
    return sorted(rows, key=lambda row: (row["subset"] != "validation", -row["mean_iu"], row["experiment"]))


def comparison_image(images: pd.DataFrame, metric: str) -> str | None:
    """The sample to show through all networks: of the scored validation images, the median one by the mean of all."""
    part = images[(images["subset"] == "validation") & (images["status"] == "scored")]
    if part.empty or metric not in part:
        return None
    means = part.groupby("sample")[metric].mean().sort_values(kind="stable")
    return str(means.index[len(means) // 2])


def rows_of(pictures: list[Picture], columns: int = 4) -> list[list[Picture]]:
    """Pictures broken into rows."""
    return [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
