"""What the files of some rows hold, and all that is wrong with them; no torch, since every batch is a process."""

import pandas as pd

from snakeseg.errors import BadInput, collect
from snakeseg.io.raster import open_image, read_label, require_same_shape
from snakeseg.io.sheet import spacing_of
from snakeseg.labels import IGNORED, training_labels
from snakeseg.lazy import blocks
from snakeseg.progress import progress
from snakeseg.settings import Labels


def inspect(rows: pd.DataFrame, dims: int, labels: Labels) -> tuple[list[dict], list[str]]:
    """Read every file of some rows.

    Returns
    -------
    facts : list of dict
        One per image: sample, path, shape, channels, type, smallest and largest grey value, spacing, objects, share of
        foreground; what could not be read is left out.
    problems : list of str
        All of them, a line each.
    """
    facts, problems = [], []
    for row in progress(rows.itertuples(), len(rows), "checking"):
        image = collect(problems, lambda row=row: _image_facts(row, dims))
        label = collect(problems, lambda row=row, image=image: _label_facts(row, dims, labels, image))
        image = {key: value for key, value in (image or {}).items() if key != "raster"}
        facts.append({"sample": row.sample, "path": row.image, **image, **(label or {})})
    return facts, problems


def _image_facts(row, dims: int) -> dict:
    raster = open_image(row.image, dims)
    array = raster.array
    ends = [
        (part.min().item(), part.max().item()) for part in map(array.__getitem__, blocks(array.shape, array.chunks))
    ]
    try:
        spacing = spacing_of(row.spacing, raster.spacing)
    except ValueError as error:
        raise BadInput(f"sample sheet, {row.sample}", str(error), "one number per axis", "correct the cell") from error
    return {
        "shape": "x".join(map(str, array.shape[1:])),
        "channels": array.shape[0],
        "type": str(array.dtype),
        "smallest": min(low for low, _ in ends),
        "largest": max(high for _, high in ends),
        "spacing": " ".join(f"{size:g}" for size in spacing),
        "raster": raster,
    }


def _label_facts(row, dims: int, labels: Labels, image: dict | None) -> dict:
    if not row.label:
        if row.subset == "train":
            raise BadInput(
                f"sample sheet, {row.sample}", "no label", "a label for every training image",
                "add one, or set the row's subset to 'predict'",
            )  # fmt: skip
        return {}
    label = read_label(row.label, dims)
    if image is not None:
        require_same_shape(image["raster"], label)
    classes, objects = training_labels(label.array, labels, row.label)
    return {
        "objects": len(set(objects.ravel().tolist()) - {0}),
        "foreground": float(((classes > 0) & (classes != IGNORED)).mean()),
    }
