"""Figures of the reports, drawn with Matplotlib and written as PNG."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot

matplotlib.rcdefaults()  # ignore a matplotlibrc in the working folder, which could start LaTeX

# Options of `savefig`; without the metadata, the same figure gives the same bytes.
SAVE_OPTIONS = {"dpi": 100, "bbox_inches": "tight", "metadata": {"Software": None}}


def grid_of_pictures(path: Path, rows: list[list[tuple[str, np.ndarray]]]) -> None:
    """Draw pictures in a grid, each with its caption.

    Parameters
    ----------
    path : path
        The PNG file to write.
    rows : list of list of (caption, picture)
        Pictures are arrays (y, x, 3) in RGB, or (y, x).
    """
    columns = max(len(row) for row in rows)
    figure, axes = pyplot.subplots(len(rows), columns, figsize=(3.2 * columns, 3.4 * len(rows)), squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        for axis in line:
            axis.set_axis_off()
        for axis, (caption, picture) in zip(line, row, strict=False):
            axis.imshow(picture, cmap="magma", interpolation="auto")  # "nearest" would drop parts of outlines
            axis.set_title(caption, fontsize=9)
    figure.tight_layout()
    _save(figure, path)


def draw_range_test(path: Path, losses: pd.DataFrame, proposal: float, current: float) -> None:
    """Draw the loss over rising learning rates, with the proposed and the configured learning rate.

    Parameters
    ----------
    path : path
        The PNG file to write.
    losses : DataFrame
        learning_rate and loss.
    proposal, current : float
        Learning rates.

    References
    ----------
    Smith LN (2017). Cyclical learning rates for training neural networks. WACV 2017.
    """
    figure, axis = pyplot.subplots(figsize=(6, 3.6))
    axis.plot(losses["learning_rate"], losses["loss"], label="loss of the same few patches")
    axis.axvline(proposal, color="C2", label=f"proposed: {proposal:.2g}")
    axis.axvline(current, color="C3", linestyle="--", label=f"configured: {current:.2g}")
    axis.set(xlabel="learning rate", ylabel="loss", xscale="log")
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)
    _save(figure, path)


def _save(figure, path: Path) -> None:
    figure.savefig(path, **SAVE_OPTIONS)
    pyplot.close(figure)
