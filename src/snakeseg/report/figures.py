"""Figures of the report, each a PNG file."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot

# The same figure makes the same bytes.
SAVE = {"dpi": 100, "bbox_inches": "tight", "metadata": {"Software": None}}


def grid_of_pictures(path: Path, rows: list[list[tuple[str, np.ndarray]]]) -> None:
    """A grid of captioned RGB pictures."""
    columns = max(len(row) for row in rows)
    figure, axes = pyplot.subplots(len(rows), columns, figsize=(3.2 * columns, 3.4 * len(rows)), squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        for axis in line:
            axis.set_axis_off()
        for axis, (caption, picture) in zip(line, row, strict=False):
            axis.imshow(picture, cmap="magma", interpolation="nearest")
            axis.set_title(caption, fontsize=9)
    figure.tight_layout()
    _save(figure, path)


def learning_curves(path: Path, histories: dict[str, pd.DataFrame]) -> None:
    """Loss over steps of every model, as running means."""
    figure, axis = pyplot.subplots(figsize=(7, 3.6))
    for name, history in histories.items():
        window = max(1, len(history) // 40)
        axis.plot(history["step"], history["loss"].rolling(window, min_periods=1).mean(), label=name)
    axis.set(xlabel="training step", ylabel="weighted cross entropy", yscale="log")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    _save(figure, path)


def scores_over_thresholds(path: Path, summary: pd.DataFrame) -> None:
    """Pooled AP against the IoU threshold of a match."""
    figure, axis = pyplot.subplots(figsize=(5, 3.6))
    rows = summary[summary["metric"].str.startswith("ap_")]
    for (experiment, subset), part in rows.groupby(["experiment", "subset"]):
        axis.plot(part["metric"].str[3:].astype(float), part["pooled"], marker="o", label=f"{experiment}, {subset}")
    axis.set(xlabel="IoU threshold", ylabel="AP = TP / (TP + FP + FN)", ylim=(0, 1))
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    _save(figure, path)


def learning_rate_range(path: Path, found: pd.DataFrame, proposal: float, current: float) -> None:
    """Loss over rising learning rates, with the proposed rate and the one that is set."""
    figure, axis = pyplot.subplots(figsize=(6, 3.6))
    axis.plot(found["learning_rate"], found["loss"], label="loss of the same few patches")
    axis.axvline(proposal, color="C2", label=f"proposed: {proposal:.2g}")
    axis.axvline(current, color="C3", linestyle="--", label=f"set: {current:.2g}")
    axis.set(xlabel="learning rate", ylabel="loss", xscale="log")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    _save(figure, path)


def _save(figure, path: Path) -> None:
    figure.savefig(path, **SAVE)
    pyplot.close(figure)
