"""What the files of some rows hold, and all that is wrong with them; no torch, since every batch is a process."""

import numpy as np
import pandas as pd

from snakeseg.checks.image_facts import image_facts
from snakeseg.checks.label_facts import object_facts, value_facts
from snakeseg.errors import BadInput, collect
from snakeseg.io.images import Raster, open_image, read_label, require_same_shape, same_place
from snakeseg.io.sheet import spacing_of
from snakeseg.progress import progress
from snakeseg.settings import Labels
from snakeseg.transforms.labels import IGNORED, known_labels


def inspect(rows: pd.DataFrame, dims: int, labels: Labels) -> tuple[list[dict], list[str]]:
    """Read every file of some rows.

    Returns
    -------
    facts : list of dict
        One per image: sample, path, shape, channels, type, spacing; what `image_facts`, `value_facts` and
        `object_facts` say; elsewhere (whether the label's file says that it does not lie on the image); share of
        foreground, of ignored pixels, and of each class (shares: dict); what could not be read is left out.
    problems : list of str
        All of them, a line each.
    """
    facts, problems = [], []
    for row in progress(rows.itertuples(), len(rows), "checking"):
        facts.append({"sample": row.sample, "path": row.image, **_row_facts(row, dims, labels, problems)})
    return facts, problems


def _row_facts(row, dims: int, labels: Labels, problems: list[str]) -> dict:
    """What is found in a row's image and label; what goes wrong is added to the problems."""
    raster = collect(problems, lambda: open_image(row.image, dims))
    facts = raster and collect(problems, lambda: _image_facts(row, raster))
    label = collect(problems, lambda: _label_of(row, dims, raster))
    if label is None:
        return facts or {}
    known = collect(problems, lambda: _class_facts(label.array, labels, row.label))
    elsewhere = raster is not None and not same_place(raster, label)
    return {**(facts or {}), **value_facts(label.array), "elsewhere": elsewhere, **(known or {})}


def _image_facts(row, raster: Raster) -> dict:
    array = raster.array
    values = image_facts(array)
    try:
        spacing = spacing_of(row.spacing, raster.spacing)
    except ValueError as error:
        raise BadInput(f"sample sheet, {row.sample}", str(error), "one number per axis", "correct the cell") from error
    return {
        "shape": "x".join(map(str, array.shape[1:])),
        "channels": array.shape[0],
        "type": str(array.dtype),
        "spacing": " ".join(f"{size:g}" for size in spacing),
        **values,
    }


def _label_of(row, dims: int, raster: Raster | None) -> Raster | None:
    """The label of a row, if it has one."""
    if not row.label:
        if row.subset == "train":
            raise BadInput(
                f"sample sheet, {row.sample}", "no label", "a label for every training image",
                "add one, or set the row's subset to 'predict'",
            )  # fmt: skip
        return None
    label = read_label(row.label, dims)
    if raster is not None:
        require_same_shape(raster, label)
    return label


def _class_facts(label: np.ndarray, labels: Labels, where: str) -> dict:
    classes, objects = known_labels(label, labels, where)
    shares = np.bincount(classes.ravel(), minlength=IGNORED + 1) / classes.size
    return {
        **object_facts(objects),
        "foreground": float(shares[1:IGNORED].sum()),
        "ignored": float(shares[IGNORED]),
        "shares": dict(zip(labels.classes, shares.tolist(), strict=False)),
    }
