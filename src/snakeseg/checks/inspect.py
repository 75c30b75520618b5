"""Read facts about the files of some rows of the sheet, and collect all problems of these files.

Torch is not imported here: every batch is a process of its own, and the import would take most of its time.
"""

import numpy as np
import pandas as pd

from snakeseg.arrays import iterate_blocks
from snakeseg.checks.image_facts import image_facts
from snakeseg.checks.label_facts import object_facts, value_facts
from snakeseg.errors import BadInput, collect
from snakeseg.evaluation.target_scores import score_target
from snakeseg.io.colours import COLOUR_BASE
from snakeseg.io.formats import is_shown_inverted
from snakeseg.io.images import open_image, read_label, read_label_for
from snakeseg.io.raster import Raster, has_same_geometry
from snakeseg.io.sheet import spacing_of
from snakeseg.progress import progress
from snakeseg.settings import Labels
from snakeseg.transforms.labels import IGNORED, interpret_labels


def inspect_rows(rows: pd.DataFrame, dims: int, labels: Labels) -> tuple[list[dict], list[str]]:
    """Read all files of some rows of the sheet.

    Parameters
    ----------
    rows : DataFrame
        Rows of the sheet, from `read_sheet`.
    dims : int
        Number of spatial axes, 2 or 3.
    labels : Labels
        Section `labels` of the config.

    Returns
    -------
    facts : list of dict
        One per image: sample, path, shape, channels, type, spacing; unknown (axes whose pixel size neither file nor
        sheet states) and doubt (contradictory sizes in the file); the keys of `image_facts`, `value_facts` and
        `object_facts`; inverted, label_inverted (from `formats.is_shown_inverted`); elsewhere (True if the label file
        states another pixel size or position than the image); rounded (largest distance of a label value from a whole
        number); foreground, ignored (shares of the pixels); shares (dict: share of the pixels of each class). Facts
        that could not be read are missing.
    problems : list of str
        Texts of `BadInput`, one per problem.
    """
    facts, problems = [], []
    for row in progress(rows.itertuples(), len(rows), "checking"):
        facts.append({"sample": row.sample, "path": row.image, **_row_facts(row, dims, labels, problems)})
    return facts, problems


def _row_facts(row, dims: int, labels: Labels, problems: list[str]) -> dict:
    """Return the facts about image and label of a row; append their problems to `problems`."""
    raster = collect(problems, lambda: open_image(row.image, dims))
    facts = raster and collect(problems, lambda: _image_facts(row, raster))
    label = collect(problems, lambda: _read_label(row, dims, raster))
    if label and facts:
        label = collect(problems, lambda: _require_no_copy(label, raster))
    if label is None:
        return facts or {}
    class_facts = collect(problems, lambda: _class_facts(label.array, labels, row.label))
    elsewhere = raster is not None and not has_same_geometry(raster, label)
    own_facts = {
        **value_facts(label.array), "elsewhere": elsewhere, "rounded": label.rounded,
        "label_inverted": is_shown_inverted(row.label),
    }  # fmt: skip
    return {**(facts or {}), **own_facts, **(class_facts or {})}


def _image_facts(row, raster: Raster) -> dict:
    """Return shape, type, pixel size and intensity statistics of an image."""
    array = raster.array
    facts = image_facts(array)
    try:
        spacing = spacing_of(row.spacing, raster.spacing)
    except ValueError as error:
        raise BadInput(
            f"sample sheet, {row.sample}", str(error), "one number per axis", "correct the column spacing"
        ) from error
    return {
        "shape": "x".join(map(str, array.shape[1:])),
        "channels": array.shape[0],
        "type": str(array.dtype),
        "spacing": " ".join(f"{size:g}" for size in spacing),
        "unknown": "" if row.spacing else raster.unknown,
        "doubt": "" if row.spacing else raster.doubt,
        "inverted": is_shown_inverted(row.image),
        **facts,
    }


def _read_label(row, dims: int, raster: Raster | None) -> Raster | None:
    """Read the label of a row and check its shape; None if the row has no label."""
    if not row.label:
        if row.subset == "train":
            raise BadInput(
                f"sample sheet, {row.sample}", "no label", "a label for every training image",
                "add one, or set the row's subset to 'predict'",
            )  # fmt: skip
        return None
    return read_label(row.label, dims) if raster is None else read_label_for(raster, row.label)


def _require_no_copy(label: Raster, image: Raster) -> Raster:
    """Return a label; raise BadInput if it equals all channels of its image, except a black image with no objects."""
    # Block by block, as most images differ from the label in the first one.
    regions = iterate_blocks(image.array.shape, getattr(image.array, "chunks", None))
    is_constant = label.array.min() == label.array.max()
    if not is_constant and all((image.array[region] == label.array[region[1:]]).all() for region in regions):
        found, remedy = f"the same pixels as in its image {image.path}", "correct the column label of the sheet"
        raise BadInput(label.path, found, "a label image", remedy)
    return label


def _class_facts(label: np.ndarray, labels: Labels, where: str) -> dict:
    """Return facts about the objects and the shares of classes; raise BadInput for values that are no class."""
    if labels.kind != "semantic" and label.max() >= COLOUR_BASE:
        remedy = "set labels.kind: semantic, with a value for each colour, which snakeseg init proposes"
        raise BadInput(where, "a label in colours", "ids, since labels.kind is not semantic", remedy)
    classes, objects = interpret_labels(label, labels, where)
    shares = np.bincount(classes.ravel(), minlength=IGNORED + 1) / classes.size
    return {
        **object_facts(objects),
        **(score_target(objects) if labels.kind == "instance" else {}),
        "foreground": float(shares[1:IGNORED].sum()),
        "ignored": float(shares[IGNORED]),
        "shares": dict(zip(labels.classes, shares.tolist(), strict=False)),
    }
