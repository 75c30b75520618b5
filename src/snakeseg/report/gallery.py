"""Pictures for the page's viewer, within a budget of bytes.

The rule: at most `MOST` samples have pictures, the first ones of the page's table (failures, then the worst scores).
The budget is dealt to them in equal shares. Each sample gets the largest of `SIDES` at which its picture and all its
layers fit its share; a share too small for the least of them is overdrawn.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import numpy as np
from skimage.segmentation import find_boundaries

from snakeseg.report.pictures import PREDICTION, TRUTH, Colour, jpeg_url, layer_url, shrink, shrink_labels
from snakeseg.report.views import CODES, KINDS, View, Views

BUDGET = 7_000_000
MOST = 300
# Pixels of the longer side.
SIDES = (512, 384, 256, 192, 128)
# Of Okabe and Ito's palette, which the colour-blind can tell apart.
COLOURS: dict[str, Colour] = {
    "match": (0, 158, 115), "split": (86, 180, 233), "merge": (204, 121, 167), "miss": (213, 94, 0),
    "false": (240, 228, 66),
}  # fmt: skip
FILL = 110


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
        height; grey_value, contrast; note; files. If it could not be read: only the note, and files.
    """
    chosen = list(dict.fromkeys(samples))[:MOST]
    return {sample: _entry(views, sample, BUDGET // len(chosen), page) for sample in chosen}


def _entry(views: Views, sample: str, share: int, page: Path) -> dict:
    source = views.sources.loc[sample]
    files = {name: link(Path(source[name]), page.parent) for name in ("image", "label") if source[name]}
    try:
        view = views.view(sample)
        made = next((made for made in (_pictures(view, side) for side in SIDES) if _size(made) <= share), None)
        made = made or _pictures(view, SIDES[-1])
        for row in views.images[sample].to_dict("records"):
            name = row["experiment"]
            made["shown"][name]["file"] = link(views.prediction(row), page.parent)
            made["shown"][name]["counts"] = views.counts(name, sample)
    except ValueError as error:
        return {"note": str(error), "files": files}
    return {**made, "grey_value": view.grey_value, "contrast": view.contrast, "note": view.note, "files": files}


def _pictures(view: View, side: int) -> dict:
    """The picture and its layers, of which the longer side is at most so long."""
    picture = shrink(view.picture, side)
    return {
        "width": picture.shape[1],
        "height": picture.shape[0],
        "picture": jpeg_url(picture),
        "truth": None if view.truth is None else _outline(shrink_labels(view.truth, side), TRUTH),
        "shown": {
            name: {
                "prediction": _outline(shrink_labels(predicted, side), PREDICTION),
                "errors": _errors(predicted, view.errors[name], side) if name in view.errors else None,
            }
            for name, predicted in view.predicted.items()
        },
    }


def _outline(labels: np.ndarray, colour: Colour) -> str:
    return layer_url(find_boundaries(labels, mode="inner").astype(np.uint8), [colour], [255])


def _errors(predicted: np.ndarray, codes: np.ndarray, side: int) -> str:
    """Objects filled with a shade of what became of them, with edges in the full colour."""
    codes = shrink_labels(codes, side)
    # Missed objects lie where nothing was predicted, and have an edge too.
    ids = np.where(codes == CODES["miss"], -1, shrink_labels(predicted, side).astype(np.int64))
    edges = (codes > 0) & find_boundaries(ids, mode="inner", background=-2)
    opacity = [FILL] * len(KINDS) + [255] * len(KINDS)
    return layer_url((codes + len(KINDS) * edges).astype(np.uint8), 2 * list(COLOURS.values()), opacity)


def _size(made: dict) -> int:
    """Bytes of all data URLs."""
    layers = [layer for shown in made["shown"].values() for layer in shown.values()]
    return sum(len(url) for url in (made["picture"], made["truth"], *layers) if url)


def link(path: Path, start: Path) -> dict:
    """A file's name, and the way to it from a folder; none to what is outside of the working folder, which a page that
    is moved along with it could not follow."""
    if os.path.relpath(path).startswith(".."):
        return {"text": str(path)}
    return {"text": str(path), "href": quote(os.path.relpath(path, start))}
