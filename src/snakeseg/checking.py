"""Everything that can be wrong with the input, found before anything is computed."""

from collections.abc import Callable

import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.io.raster import read, read_label, require_same_shape
from snakeseg.io.sheet import assign_folds, spacing_of
from snakeseg.labels import IGNORED, training_labels
from snakeseg.networks.registry import entry
from snakeseg.progress import progress
from snakeseg.settings import Labels, Network


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
        image = _collect(problems, lambda row=row: _image_facts(row, dims))
        label = _collect(problems, lambda row=row, image=image: _label_facts(row, dims, labels, image))
        image = {key: value for key, value in (image or {}).items() if key != "raster"}
        facts.append({"sample": row.sample, "path": row.image, **image, **(label or {})})
    return facts, problems


def check(sheet: pd.DataFrame, facts: pd.DataFrame, folds: int, validation: list[str], networks: list[Network]) -> list:
    """Problems that no image has alone: other channels than the first, folds with nobody in them, bad networks."""
    problems: list[str] = []
    channels = facts.get("channels", pd.Series(dtype=float)).dropna()
    for index in channels.index[channels != (channels.iloc[0] if len(channels) else 0)]:
        expected, example = int(channels.iloc[0]), facts.at[channels.index[0], "path"]
        error = BadInput(
            facts.at[index, "path"], f"{int(channels[index])} channels", f"{expected}, as in {example}",
            "save all images with the same channels",
        )  # fmt: skip
        problems.append(str(error))
    if (sheet["subset"] == "train").any():
        _collect(problems, lambda: assign_folds(sheet, folds, validation))
    for network in networks:
        _collect(problems, lambda network=network: entry(network).geometry(network))
    return problems


def _collect(problems: list[str], work: Callable):
    try:
        return work()
    except (ValueError, OSError) as error:
        problems.append(str(error))
        return None


def _image_facts(row, dims: int) -> dict:
    raster = read(row.image, dims)
    array = raster.array
    try:
        spacing = spacing_of(row.spacing, raster.spacing)
    except ValueError as error:
        raise BadInput(f"sample sheet, {row.sample}", str(error), "one number per axis", "correct the cell") from error
    return {
        "shape": "x".join(map(str, array.shape[1:])),
        "channels": len(array),
        "type": str(array.dtype),
        "smallest": array.min().item(),
        "largest": array.max().item(),
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
