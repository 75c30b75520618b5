"""Pictures for the viewer of a page, within a budget of bytes.

At most `MAX_SAMPLES` samples have pictures: the first ones of the page's table (failures, then the worst scores). Each
sample gets an equal share of the bytes that the samples before it left over. Its picture and layers have the first of
`PICTURE_SIZES` at which they fit into the share, or the last one if none fits.
"""

import os
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import numpy as np
from skimage.segmentation import find_boundaries

from snakeseg.io.file_names import file_and_number, split_file_names
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
from snakeseg.report.images.voxels import encode_volume, encoded_bytes

BUDGET_BYTES = 7_500_000
MAX_SAMPLES = 300
# Longer side in pixels, and JPEG quality.
PICTURE_SIZES = ((512, 80), (512, 50), (384, 60), (256, 70), (256, 45), (192, 60), (128, 60))
# Opacity of the objects' colours in the layer of errors, from 0 to 255.
ERROR_OPACITY = 130


def gallery(views: Views, samples: Iterable[str], page: Path) -> dict[str, dict]:
    """Return pictures and facts of each sample for the viewer, as plain data for JSON.

    Parameters
    ----------
    views : Views
        Reader of the images.
    samples : iterable of str
        Samples in the order of the page's table.
    page : path
        Path of the page, to which links are relative.

    Returns
    -------
    dict
        By sample: picture and truth (data URLs); shown, by experiment: prediction and errors (data URLs), counts
        (number of objects of each of `KINDS`) and file; width and height in pixels; mean_intensity and contrast (mean
        and standard deviation of the first channel); note; files. Volumes: see `voxels.encode_volume`. A sample that
        cannot be read has only note and files.
    """
    chosen = list(dict.fromkeys(samples))[:MAX_SAMPLES]
    entries, left = {}, BUDGET_BYTES
    for index, sample in enumerate(chosen):
        entries[sample] = _entry(views, sample, left // (len(chosen) - index), page)
        left -= encoded_bytes(entries[sample])
    return entries


def class_colours(views: Views) -> dict[str, Colour]:
    """Return the colours of classes on surfaces, by name; empty unless a volume has several classes.

    Parameters
    ----------
    views : Views
        Reader of the images.

    Returns
    -------
    dict
        (red, green, blue) by class, without the background.
    """
    if not views.has_several_classes:
        return {}
    return dict(zip(views.labels.classes[1:], cycle(CLASS_COLOURS), strict=False))


def _entry(views: Views, sample: str, share: int, page: Path) -> dict:
    """Return the gallery's entry of a sample, in at most `share` bytes if one of the sizes fits."""
    source = views.sources.loc[sample]
    first = {name: file_and_number(split_file_names(source[name])[0])[0] for name in ("image", "label") if source[name]}
    files = {name: link(path, page.parent) for name, path in first.items()}
    try:
        view = views.view(sample)
        encoded = encode_volume(view, share) if view.frame else _encode_plane(view, share)
        for row in views.readable(sample):
            name = row["experiment"]
            encoded["shown"][name]["file"] = link(views.prediction(row), page.parent)
            encoded["shown"][name]["counts"] = views.counts(name, sample)
    except ValueError as error:
        return {"note": str(error), "files": files}
    return {
        **encoded,
        "mean_intensity": view.mean_intensity,
        "contrast": view.contrast,
        "note": view.note,
        "files": files,
    }


def _encode_plane(view: View, share: int) -> dict:
    """Encode the picture and its layers at the first of `PICTURE_SIZES` at which they fit into `share` bytes."""
    for side, quality in PICTURE_SIZES:
        picture = shrink(view.picture, side)
        url = jpeg_url(picture, quality)
        if len(url) > share and side > PICTURE_SIZES[-1][0]:
            continue
        height, width = picture.shape[:2]
        encoded = {"width": width, "height": height, "picture": url, **_layers(view, side)}
        if encoded_bytes(encoded) <= share:
            break
    return encoded


def _layers(view: View, side: int) -> dict:
    """Encode outlines and errors with at most `side` pixels a side."""
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
    """Encode the outlines of objects as a layer."""
    return layer_url(find_boundaries(labels, mode="inner").astype(np.uint8), [colour], [255])


def _fills(codes: np.ndarray, side: int) -> str:
    """Encode codes of `KINDS` as a layer of colours."""
    return layer_url(shrink_labels(codes, side), list(KIND_COLOURS.values()), [ERROR_OPACITY] * len(KIND_COLOURS))


def link(path: Path, start: Path) -> dict:
    """Return the path of a file as text, and a relative link to it if it lies in the working folder.

    A link out of the working folder would break when the folder is moved.

    Parameters
    ----------
    path : path
        The file.
    start : path
        The folder of the page.

    Returns
    -------
    dict
        text and, if the file lies in the working folder, href.
    """
    if os.path.relpath(path).startswith(".."):
        return {"text": str(path)}
    return {"text": str(path), "href": quote(os.path.relpath(path, start))}
