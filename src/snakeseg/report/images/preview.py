"""The preview of `snakeseg init`: some images with the outlines of their labels."""

from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.errors import collect
from snakeseg.report.images.figures import grid_of_pictures
from snakeseg.report.images.pictures import Picture, draw_outlines, shrink, shrink_labels
from snakeseg.report.images.views import Views, middle_slice
from snakeseg.settings import Labels

# Pictures of a preview, pictures of a row, and pixels of a picture's longer side.
MAX_PICTURES, COLUMNS, SIDE_PIXELS = 8, 4, 480


def draw_preview(path: Path, sheet: pd.DataFrame, dims: int, labels: Labels) -> None:
    """Draw some labelled images and one without label, and write the figure as PNG; nothing if none can be read.

    Parameters
    ----------
    path : path
        The file to write.
    sheet : DataFrame
        Rows of a sample sheet: sample, image, label, subset.
    dims : int
        Number of spatial dimensions of the images, 2 or 3.
    labels : Labels
        Meaning of the labels.
    """
    labelled, unlabelled = sheet[sheet["label"] != ""], sheet[sheet["label"] == ""]
    count = min(len(labelled), MAX_PICTURES - bool(len(unlabelled)))
    spread = np.linspace(0, len(labelled) - 1, count).astype(int)
    samples = [*labelled.iloc[spread]["sample"], *unlabelled["sample"][:1]]
    views = Views(Path(), sheet, pd.DataFrame(columns=["sample"]), pd.DataFrame(), dims, labels)
    pictures = [picture for name in samples if (picture := collect([], lambda name=name: _picture(views, name)))]
    if pictures:
        grid_of_pictures(path, [pictures[start : start + COLUMNS] for start in range(0, len(pictures), COLUMNS)])


def _picture(views: Views, sample: str) -> Picture:
    """Return the picture of a sample with outlines; its caption states the subset and the number of objects."""
    view = views.view(sample)
    number = None if view.truth is None else len(np.unique(view.truth[view.truth > 0]))
    flat = middle_slice(view) if view.frame else view
    truth = None if flat.truth is None else _enlarge(shrink_labels(flat.truth, SIDE_PIXELS))
    noun = "piece" if views.labels.kind == "semantic" else "object"
    counted = {None: "no label", 1: f"1 {noun}"}.get(number, f"{number} {noun}s")
    caption = f"{sample}: {views.sources.loc[sample, 'subset']}, {counted}"
    return caption, draw_outlines(_enlarge(shrink(flat.picture, SIDE_PIXELS)), truth, None)


def _enlarge(array: np.ndarray) -> np.ndarray:
    """Repeat the pixels of a small picture, so that outlines do not hide it."""
    times = max(1, SIDE_PIXELS // max(array.shape[:2]))
    return array.repeat(times, axis=0).repeat(times, axis=1)
