"""Figures of the report, each a PNG file."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot

matplotlib.rcdefaults()  # not what a file in the working folder says, which may start LaTeX

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
            axis.imshow(picture, cmap="magma", interpolation="auto")  # nearest would lose parts of outlines
            axis.set_title(caption, fontsize=9)
    figure.tight_layout()
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
