"""Pictures for the page's viewer, within a budget of bytes.

The rule: at most `MOST` samples have pictures, the first ones of the page's table (failures, then the worst scores).
The budget is dealt to them in equal shares, and what one leaves to those after it. Each sample gets the first of
`STEPS` at which its picture and all its layers fit its share; the last one, if none does.
"""

import os
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import numpy as np
from skimage.segmentation import find_boundaries

from snakeseg.io.file_names import file_and_number, files_of
from snakeseg.report.images.pictures import (
    CLASS_COLOURS,
    KIND_COLOURS,
    PREDICTION,
    TRUTH,
    Colour,
    jpeg_url,
    layer_url,
    shrink,
    shrink_labels,
)
from snakeseg.report.images.views import View, Views
from snakeseg.report.images.voxels import fitting_stack, size_of

BUDGET = 7_500_000
MOST = 300
# Pixels of the longer side, and JPEG quality.
STEPS = ((512, 80), (512, 50), (384, 60), (256, 70), (256, 45), (192, 60), (128, 60))
OPACITY = 130


def gallery(views: Views, samples: Iterable[str], page: Path) -> dict[str, dict]:
    """What the viewer needs to know of each sample, as JSON.

    Parameters
    ----------
    views : Views
    samples : iterable of str
        In the order of the page's table.
    page : path
        The page, which links start from.

    Returns
    -------
    dict
        By sample: picture, truth and, by experiment, prediction, errors (data URLs), counts of `KINDS`, file; width,
        height; grey_value, contrast; note; files. Of a volume, see `voxels.fitting_stack`. If it could not be read,
        only the note, and files.
    """
    chosen = list(dict.fromkeys(samples))[:MOST]
    made, left = {}, BUDGET
    for index, sample in enumerate(chosen):
        made[sample] = _entry(views, sample, left // (len(chosen) - index), page)
        left -= size_of(made[sample])
    return made


def class_colours(views: Views) -> dict[str, Colour]:
    """Colours of the classes on surfaces, by name; none if there is but one class, whose objects are coloured."""
    return dict(zip(views.labels.classes[1:], cycle(CLASS_COLOURS), strict=False)) if views.several else {}


def _entry(views: Views, sample: str, share: int, page: Path) -> dict:
    source = views.sources.loc[sample]
    first = {name: file_and_number(files_of(source[name])[0])[0] for name in ("image", "label") if source[name]}
    files = {name: link(path, page.parent) for name, path in first.items()}
    try:
        view = views.view(sample)
        made = fitting_stack(view, share) if view.frame else _fitting(view, share)
        for row in views.readable(sample):
            name = row["experiment"]
            made["shown"][name]["file"] = link(views.prediction(row), page.parent)
            made["shown"][name]["counts"] = views.counts(name, sample)
    except ValueError as error:
        return {"note": str(error), "files": files}
    return {**made, "grey_value": view.grey_value, "contrast": view.contrast, "note": view.note, "files": files}


def _fitting(view: View, share: int) -> dict:
    """The picture and its layers at the first step at which they fit."""
    for side, quality in STEPS:
        picture = shrink(view.picture, side)
        url = jpeg_url(picture, quality)
        if len(url) > share and side > STEPS[-1][0]:
            continue
        height, width = picture.shape[:2]
        made = {"width": width, "height": height, "picture": url, **_layers(view, side)}
        if size_of(made) <= share:
            break
    return made


def _layers(view: View, side: int) -> dict:
    """Outlines and errors, of which the longer side is at most so long."""
    return {
        "truth": None if view.truth is None else _outline(shrink_labels(view.truth, side), TRUTH),
        "shown": {
            name: {
                "prediction": _outline(shrink_labels(predicted, side), PREDICTION),
                "errors": _fills(view.errors[name], side) if name in view.errors else None,
            }
            for name, predicted in view.predicted.items()
        },
    }


def _outline(labels: np.ndarray, colour: Colour) -> str:
    return layer_url(find_boundaries(labels, mode="inner").astype(np.uint8), [colour], [255])


def _fills(codes: np.ndarray, side: int) -> str:
    return layer_url(shrink_labels(codes, side), list(KIND_COLOURS.values()), [OPACITY] * len(KIND_COLOURS))


def link(path: Path, start: Path) -> dict:
    """A file's name, and the way to it from a folder; none to what is outside of the working folder, which a page that
    is moved along with it could not follow."""
    if os.path.relpath(path).startswith(".."):
        return {"text": str(path)}
    return {"text": str(path), "href": quote(os.path.relpath(path, start))}
