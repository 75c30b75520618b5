"""Read axes, channels, pixel sizes and kinds of labels from a limited number of files of a layout."""

import math
from collections import Counter
from collections.abc import Sized
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.checks.inspect import inspect_rows
from snakeseg.checks.label_facts import value_facts
from snakeseg.errors import BadInput, BadInputs, collect
from snakeseg.io.colours import COLOURS, encode_colours, first_channel, has_equal_channels
from snakeseg.io.images import label_integers, open_image, open_label, read_label
from snakeseg.io.raster import Raster, fit_to_image
from snakeseg.io.sheet import in_folder
from snakeseg.settings import Labels
from snakeseg.setup.label_section import LabelSummary, infer_labels
from snakeseg.setup.layout import Layout

# Maximum number of rows whose files are opened, and of those whose files are read whole.
MAX_OPENED_ROWS, MAX_READ_ROWS = 300, 24
# Maximum number of pixels read of all label images, and number up to which a file is read whole.
MAX_LABEL_PIXELS, MAX_WHOLE_PIXELS = 2**28, 2**25
# Side length, in pixels, of the central part that is read of larger label images, by number of axes.
CENTRAL_SIDE_PX = {2: 2048, 3: 160}


@dataclass(frozen=True)
class Survey:
    """Facts about the files of a layout.

    Parameters
    ----------
    dims : int
        Number of spatial axes, 2 or 3.
    sheet : DataFrame
        Rows that can be used; paths relative to the working folder.
    shapes : list of tuple
        Shapes of the spatial axes of the labelled images that were opened.
    channels : int
        Number of channels of the images.
    spacings : list of tuple
        Pixel sizes of the same images, one number per axis.
    body : bool
        True for medical volumes, whose files state the patient's axes.
    labels : Labels
        Inferred section `labels` of the config.
    why : str
        Explanation of the kind of labels.
    facts : DataFrame
        From `checks.inspect.inspect_rows`, for some of the rows; empty if all files are too large to be read whole.
    opened : int
        Number of rows whose files were opened.
    problems : list of str
        Texts of `BadInput` about files that cannot be used.
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

    @property
    def classes(self) -> dict[str, set[str]]:
        """Names of the classes in the label of each sample of `facts`."""
        shares = zip(self.facts.get("sample", []), self.facts.get("shares", []), strict=True)
        return {name: {c for c, share in of_class.items() if share} for name, of_class in shares if of_class}


def survey_files(layout: Layout) -> Survey:
    """Open files of a layout, and infer the number of axes and the kind of labels.

    Parameters
    ----------
    layout : Layout
        Images and labels of a folder.

    Returns
    -------
    Survey
        Facts about the files, and the problems of files that cannot be used.

    Raises
    ------
    BadInputs
        If fewer than two labelled images can be used; with the problems of all files.
    """
    sheet, problems = _relative_sheet(layout), list(layout.problems)
    dims = _infer_dims(sheet)
    chosen = _spread(sheet[sheet["label"] != ""].index, MAX_OPENED_ROWS).union(
        _spread(sheet.index, MAX_OPENED_ROWS // 4)
    )
    rasters = _open_rows(sheet.loc[chosen], dims, problems)
    labelled = sheet.loc[[index for index in rasters if sheet.at[index, "label"]]]
    summaries = _summarise_labels(labelled, rasters, dims, problems)
    _require_two(layout, summaries, problems)
    body = rasters[next(iter(summaries))].affine is not None
    labels, why = infer_labels(list(summaries.values()), layout, body)
    usable = [
        index
        for index, summary in summaries.items()
        if collect(problems, partial(_require_known_classes, summary, labels, sheet.loc[index]))
    ]
    facts, unusable = _inspect_some(sheet.loc[usable], rasters, dims, labels, problems)
    usable = [index for index in usable if index not in unusable]
    _require_two(layout, usable, problems)
    bad = [index for index in chosen if index not in rasters or (index in labelled.index and index not in usable)]
    images = [rasters[index] for index in usable]
    return Survey(
        dims, sheet.drop(index=bad), [image.array.shape[1:] for image in images], images[0].array.shape[0],
        [image.spacing for image in images], body, labels, why, facts, len(chosen), problems,
    )  # fmt: skip


def _open_rows(rows: pd.DataFrame, dims: int, problems: list[str]) -> dict[int, Raster]:
    """Open images, and keep those with the most frequent number of channels."""
    rasters = {index: collect(problems, partial(_open, row, dims)) for index, row in rows.iterrows()}
    rasters = {index: raster for index, raster in rasters.items() if raster is not None}
    rasters = _as_grey(rasters, rows, dims)
    usual = Counter(raster.array.shape[0] for raster in rasters.values()).most_common(1)
    different = {index: raster for index, raster in rasters.items() if raster.array.shape[0] != usual[0][0]}
    for raster in different.values():
        found, expected = f"{raster.array.shape[0]} channels", f"{usual[0][0]}, as in most images"
        problems.append(str(BadInput(raster.path, found, expected, "save all images with the same channels")))
    return {index: raster for index, raster in rasters.items() if index not in different}


def _as_grey(rasters: dict[int, Raster], rows: pd.DataFrame, dims: int) -> dict[int, Raster]:
    """Take the first channel of all images if they are grey, some of them stored as colours."""
    coloured = [index for index, raster in rasters.items() if raster.array.shape[0] != 1]
    # Opened once more, since some formats keep the pixels in memory after the first read.
    is_grey = (has_equal_channels(open_image(rows.at[index, "image"], dims).array) for index in coloured)
    if not coloured or not all(is_grey):
        return rasters
    return {index: replace(raster, array=first_channel(raster.array)) for index, raster in rasters.items()}


def _require_known_classes(summary: LabelSummary, labels: Labels, row) -> bool:
    """Raise BadInput if a label image has values of no class; else return True."""
    known = {*labels.values.values(), labels.ignore} if labels.kind == "semantic" else None
    unknown = [] if known is None or summary.values is None else sorted(set(summary.values.tolist()) - known)
    if unknown:
        pixels = (
            "" if summary.counts is None else f" in {summary.counts[np.isin(summary.values, unknown)].sum()} pixels"
        )
        found, expected = f"label values {unknown[:5]}{pixels}", f"the classes {labels.values}"
        raise BadInput(row["label"], found, expected, "correct the label or the key labels.values")
    return True


def _inspect_some(
    rows: pd.DataFrame, rasters: dict, dims: int, labels: Labels, problems: list[str]
) -> tuple[pd.DataFrame, list[int]]:
    """Inspect some rows whose files are not too large; return facts, and the indices of rows that cannot be used."""
    sizes = {index: math.prod(rasters[index].array.shape) for index in rows.index}
    chosen = _spread(pd.Index([index for index, size in sizes.items() if size <= MAX_WHOLE_PIXELS]), MAX_READ_ROWS)
    total = np.cumsum([sizes[index] for index in chosen])
    chosen = chosen[total <= 2 * MAX_WHOLE_PIXELS] if len(chosen) else chosen
    facts, new_problems = inspect_rows(rows.loc[chosen].assign(spacing=""), dims, labels)
    problems += new_problems
    unusable = [
        row.Index
        for row in rows.loc[chosen, ["image", "label"]].itertuples()
        if any(problem.startswith((f"{row.image}:", f"{row.label}:")) for problem in new_problems)
    ]
    samples = set(rows.loc[unusable, "sample"])
    return pd.DataFrame([fact for fact in facts if fact["sample"] not in samples]), unusable


def _relative_sheet(layout: Layout) -> pd.DataFrame:
    """Return the sheet with paths relative to the working folder; without training rows, train on the test rows."""
    root = "" if layout.root == Path() else str(layout.root)
    sheet = layout.sheet.copy()
    if not (sheet["subset"] == "train").any():
        sheet["subset"] = sheet["subset"].replace("test", "train")
    for column in ("image", "label"):
        sheet[column] = [in_folder(root, cell) if cell else "" for cell in sheet[column]]
    return sheet


def _spread(index: pd.Index, count: int) -> pd.Index:
    """Select `count` evenly spaced entries, or all if there are fewer."""
    return index[np.unique(np.linspace(0, len(index) - 1, min(count, len(index))).astype(int))] if len(index) else index


def _infer_dims(sheet: pd.DataFrame) -> int:
    """Infer the number of spatial axes by majority over five images and their labels; 2 if none can be opened."""
    labelled = sheet[sheet["label"] != ""]
    examples = sheet.loc[_spread((labelled if len(labelled) else sheet).index, 5)]
    votes = Counter({2: 0, 3: 0})
    # Labels have no channels: pages of an image that may be channels or slices are channels beside a plane of labels.
    for path, dims in product(filter(None, [*examples["image"], *examples["label"]]), (2, 3)):
        votes[dims] += collect([], lambda path=path, dims=dims: open_image(path, dims)) is not None
    return votes.most_common(1)[0][0]


def _open(row, dims: int) -> Raster:
    """Open an image, and check that its label, if it has one, lies on it."""
    raster = open_image(row["image"], dims)
    if row["label"]:
        fit_to_image(raster, open_image(row["label"], dims))
    return raster


def _summarise_labels(rows: pd.DataFrame, rasters: dict, dims: int, problems: list[str]) -> dict[int, LabelSummary]:
    """Summarise the label images that can be read; after `MAX_LABEL_PIXELS`, further ones are not read."""
    summaries, pixels = {}, 0
    classified = set(_spread(rows.index, MAX_READ_ROWS))
    for index, path in rows["label"].items():
        pixels += min(math.prod(rasters[index].array.shape[1:]), CENTRAL_SIDE_PX[dims] ** dims)
        if pixels > MAX_LABEL_PIXELS and len(summaries) >= MAX_READ_ROWS:
            summaries[index] = LabelSummary("", None)
        elif (label := collect(problems, lambda path=path: _label_part(path, dims))) is not None:
            facts = value_facts(label) if index in classified else {"looks_like": ""}
            summaries[index] = LabelSummary(facts["looks_like"], *np.unique(label, return_counts=True))
    return summaries


def _label_part(path: str, dims: int) -> np.ndarray:
    """Read a label image, or the central part of a large one."""
    array = open_label(path, dims).array
    if math.prod(array.shape) <= MAX_WHOLE_PIXELS:
        return read_label(path, dims).array
    starts = [max(0, (side - CENTRAL_SIDE_PX[dims]) // 2) for side in array.shape[1:]]
    part = array[(slice(None), *(slice(start, start + CENTRAL_SIDE_PX[dims]) for start in starts))]
    part = encode_colours(part) if len(part) == COLOURS else part[0]
    return label_integers(path, part)[0]


def _require_two(layout: Layout, usable: Sized, problems: list[str]) -> None:
    """Raise BadInputs if fewer than two labelled images can be used."""
    if len(usable) < 2:
        found = f"{len(usable)} of {len(layout.sheet)} images with a label that can be used"
        remedy = "name labels like their images (docs/how-to/start-from-a-folder.md), or write the sheet by hand"
        if not (layout.sheet["label"] != "").any():
            remedy = f"name label files like masks/a.tif or a_label.tif, or give the folder above; {remedy}"
            found = f"{len(layout.sheet)} images, but no file or folder name with mask, label, seg or a similar word"
        problem = BadInput(layout.root, found, "two or more, because some are held out", remedy)
        raise BadInputs([*problems, str(problem)])
