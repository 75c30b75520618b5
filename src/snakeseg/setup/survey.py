"""Looks at the files of a layout: axes, channels, what labels mean; a bounded number of them, and of their pixels."""

import math
from collections import Counter
from collections.abc import Sized
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.checks.inspect import inspect
from snakeseg.checks.label_facts import value_facts
from snakeseg.errors import BadInput, BadInputs, collect
from snakeseg.io.images import Raster, open_image, read_label, require_same_shape
from snakeseg.io.sheet import in_folder
from snakeseg.settings import Labels
from snakeseg.setup.label_kind import Seen, labels_of
from snakeseg.setup.layout import Layout

# Rows whose files are opened, and those that are looked at closely; pixels of labels that are read in all, and of one.
OPENED, CLOSELY = 300, 24
PIXELS, WHOLE = 2**28, 2**25
# Side of what is read of larger labels, by number of axes.
MIDDLE = {2: 2048, 3: 160}


@dataclass(frozen=True)
class Survey:
    """What the files of a layout hold.

    Parameters
    ----------
    dims : int
    sheet : DataFrame
        Rows that can be used; paths from here.
    shapes : list of tuple
        Of labelled images that were opened.
    channels : int
    spacings : list of tuple
        Pixel sizes of the same images.
    body : bool
        Whether files say where right, front and top are, as those of patients do.
    labels : Labels
    why : str
        What the labels look like, in words.
    facts : DataFrame
        From `checks.inspect.inspect`, of some rows; empty if all are too large to be read whole.
    opened : int
        How many rows were opened.
    problems : list of str
        Of files that cannot be used, a line each.
    """

    dims: int
    sheet: pd.DataFrame
    shapes: list[tuple[int, ...]]
    channels: int
    spacings: list[tuple[float, ...]]
    body: bool
    labels: Labels
    why: str
    facts: pd.DataFrame
    opened: int
    problems: list[str]


def look(layout: Layout) -> Survey:
    """Look at a layout's files.

    Raises
    ------
    BadInputs
        If there are not two labelled images that can be used, with all that is wrong.
    """
    sheet, problems = _from_here(layout), list(layout.problems)
    dims = _dims_of(sheet)
    chosen = _spread(sheet[sheet["label"] != ""].index, OPENED).union(_spread(sheet.index, OPENED // 4))
    rasters = _opened(sheet.loc[chosen], dims, problems)
    labelled = sheet.loc[[index for index in rasters if sheet.at[index, "label"]]]
    seen = _see_labels(labelled, rasters, dims, problems)
    _require_two(layout, seen, problems)
    body = rasters[next(iter(seen))].affine is not None
    labels, why = labels_of(list(seen.values()), layout, body)
    seen = {i: each for i, each in seen.items() if collect(problems, partial(_require, each, labels, sheet.loc[i]))}
    facts, strange = _closely(sheet.loc[list(seen)], rasters, dims, labels, problems)
    seen = {index: each for index, each in seen.items() if index not in strange}
    _require_two(layout, seen, problems)
    bad = [index for index in chosen if index not in rasters or (index in labelled.index and index not in seen)]
    own = [rasters[index] for index in seen]
    return Survey(
        dims, sheet.drop(index=bad), [r.array.shape[1:] for r in own], own[0].array.shape[0], [r.spacing for r in own],
        body, labels, why, facts, len(chosen), problems,
    )  # fmt: skip


def _opened(rows: pd.DataFrame, dims: int, problems: list[str]) -> dict[int, Raster]:
    """Images that can be opened and have the channels of most."""
    found = {index: collect(problems, partial(_open, row, dims)) for index, row in rows.iterrows()}
    found = {index: raster for index, raster in found.items() if raster is not None}
    usual = Counter(raster.array.shape[0] for raster in found.values()).most_common(1)
    odd = {index: raster for index, raster in found.items() if raster.array.shape[0] != usual[0][0]}
    for raster in odd.values():
        found_here, expected = f"{raster.array.shape[0]} channels", f"{usual[0][0]}, as in most images"
        problems.append(str(BadInput(raster.path, found_here, expected, "save all images with the same channels")))
    return {index: raster for index, raster in found.items() if index not in odd}


def _require(seen: Seen, labels: Labels, row) -> bool:
    """Raise BadInput if a label holds what is no class."""
    known = {*labels.values.values(), labels.ignore} if labels.kind == "semantic" else None
    unknown = [] if known is None or seen.values is None else sorted(set(seen.values.tolist()) - known)
    if unknown:
        found, expected = f"label values {unknown[:5]}", f"the classes {labels.values}"
        raise BadInput(row["label"], found, expected, "correct the label or the key labels.values")
    return True


def _closely(
    rows: pd.DataFrame, rasters: dict, dims: int, labels: Labels, problems: list[str]
) -> tuple[pd.DataFrame, list[int]]:
    """Facts of some rows that are not too large, and the indices of those that cannot be used."""
    sizes = {index: math.prod(rasters[index].array.shape) for index in rows.index}
    close = _spread(pd.Index([index for index, size in sizes.items() if size <= WHOLE]), CLOSELY)
    total = np.cumsum([sizes[index] for index in close])
    close = close[total <= 2 * WHOLE] if len(close) else close
    facts, odd = inspect(rows.loc[close].assign(spacing=""), dims, labels)
    problems += odd
    files = rows.loc[close, ["image", "label"]].itertuples()
    strange = [row.Index for row in files if any(line.startswith((f"{row.image}:", f"{row.label}:")) for line in odd)]
    return pd.DataFrame([fact for fact in facts if fact["sample"] not in set(rows.loc[strange, "sample"])]), strange


def _from_here(layout: Layout) -> pd.DataFrame:
    """The sheet with paths from here; where nothing is to be trained on, what was to be tested on is."""
    root = "" if layout.root == Path() else str(layout.root)
    sheet = layout.sheet.copy()
    if not (sheet["subset"] == "train").any():
        sheet["subset"] = sheet["subset"].replace("test", "train")
    for column in ("image", "label"):
        sheet[column] = [in_folder(root, cell) if cell else "" for cell in sheet[column]]
    return sheet


def _spread(index: pd.Index, count: int) -> pd.Index:
    """So many of them, evenly spread."""
    return index[np.unique(np.linspace(0, len(index) - 1, min(count, len(index))).astype(int))] if len(index) else index


def _dims_of(sheet: pd.DataFrame) -> int:
    """Spatial axes of most of a few images; 2 if none can be read."""
    labelled = sheet[sheet["label"] != ""]
    few = _spread((labelled if len(labelled) else sheet).index, 5)
    votes = Counter({2: 0, 3: 0})
    for image, dims in product(sheet.loc[few, "image"], (2, 3)):
        votes[dims] += collect([], lambda image=image, dims=dims: open_image(image, dims)) is not None
    return votes.most_common(1)[0][0]


def _open(row, dims: int) -> Raster:
    """An image whose label, if it has one, is of its shape."""
    raster = open_image(row["image"], dims)
    if row["label"]:
        require_same_shape(raster, open_image(row["label"], dims))
    return raster


def _see_labels(rows: pd.DataFrame, rasters: dict, dims: int, problems: list[str]) -> dict[int, Seen]:
    """What is in the labels, of those that can be read; after so many pixels, only that they can be opened."""
    seen, pixels = {}, 0
    close = set(_spread(rows.index, CLOSELY))
    for index, path in rows["label"].items():
        pixels += min(math.prod(rasters[index].array.shape[1:]), MIDDLE[dims] ** dims)
        if pixels > PIXELS and len(seen) >= CLOSELY:
            seen[index] = Seen("", None)
        elif (label := collect(problems, lambda path=path: _label_part(path, dims))) is not None:
            facts = value_facts(label) if index in close else {"looks_like": ""}
            seen[index] = Seen(facts["looks_like"], np.unique(label))
    return seen


def _label_part(path: str, dims: int) -> np.ndarray:
    """A label, or the middle of a large one."""
    array = open_image(path, dims).array
    if math.prod(array.shape) <= WHOLE:
        return read_label(path, dims).array
    starts = [max(0, (side - MIDDLE[dims]) // 2) for side in array.shape[1:]]
    part = array[(slice(0, 1), *(slice(start, start + MIDDLE[dims]) for start in starts))][0]
    return part if part.dtype.kind in "iu" else part.astype(np.int64)


def _require_two(layout: Layout, usable: Sized, problems: list[str]) -> None:
    if len(usable) < 2:
        found = f"{len(usable)} of {len(layout.sheet)} images with a label that can be used"
        remedy = "name labels like their images (docs/how-to/start-from-a-folder.md), or write the sheet by hand"
        if not (layout.sheet["label"] != "").any():
            remedy = (
                f"name folders or files of labels so (masks/a.tif, a_label.tif), or give the folder above; {remedy}"
            )
            found = f"{len(layout.sheet)} images, and no name that says mask, label, seg or the like"
        problem = BadInput(layout.root, found, "two or more, since some are held out", remedy)
        raise BadInputs([*problems, str(problem)])
