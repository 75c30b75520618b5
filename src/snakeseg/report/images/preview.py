"""A picture sheet: some images with the outlines of their labels, as they were understood."""

from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.errors import collect
from snakeseg.report.images.figures import grid_of_pictures
from snakeseg.report.images.pictures import Picture, outlines, shrink, shrink_labels
from snakeseg.report.images.views import Views, across
from snakeseg.settings import Labels

SHOWN, COLUMNS, SIDE = 8, 4, 480


def draw(path: Path, sheet: pd.DataFrame, dims: int, labels: Labels) -> None:
    """Write it as PNG: labelled images, and one of those to predict."""
    labelled, others = sheet[sheet["label"] != ""], sheet[sheet["label"] == ""]
    count = min(len(labelled), SHOWN - bool(len(others)))
    chosen = [*labelled.iloc[np.linspace(0, len(labelled) - 1, count).astype(int)]["sample"], *others["sample"][:1]]
    views = Views(Path(), sheet, pd.DataFrame(columns=["sample"]), pd.DataFrame(), dims, labels)
    pictures = [picture for name in chosen if (picture := collect([], lambda name=name: _picture(views, name)))]
    if pictures:
        grid_of_pictures(path, [pictures[start : start + COLUMNS] for start in range(0, len(pictures), COLUMNS)])


def _picture(views: Views, sample: str) -> Picture:
    view = views.view(sample)
    objects = None if view.truth is None else len(np.unique(view.truth[view.truth > 0]))
    flat = across(view) if view.frame else view
    truth = None if flat.truth is None else _enlarged(shrink_labels(flat.truth, SIDE))
    what = "piece" if views.labels.kind == "semantic" else "object"
    told = {None: "no label", 1: f"1 {what}"}.get(objects, f"{objects} {what}s")
    caption = f"{sample}: {views.sources.loc[sample, 'subset']}, {told}"
    return caption, outlines(_enlarged(shrink(flat.picture, SIDE)), truth, None)


def _enlarged(array: np.ndarray) -> np.ndarray:
    """Small pictures in larger pixels, so that outlines leave something to be seen."""
    times = max(1, SIDE // max(array.shape[:2]))
    return array.repeat(times, axis=0).repeat(times, axis=1)
