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


def check(sheet: pd.DataFrame, dims: int, labels: Labels, folds: int, validation: list[str]):
    """Read every file of the sheet.

    Returns
    -------
    facts : DataFrame
        One row per image: sample, shape, channels, type, smallest and largest grey value, objects, foreground share.
    problems : list of Exception
        All of them; empty if the workflow can run.
    """
    facts, problems = [], []
    channels: dict[int, str] = {}
    rows = list(sheet.itertuples())
    for row in progress(rows, len(rows), "checking"):
        fact = _collect(problems, lambda row=row: _image_facts(row, dims, channels))
        label = _collect(problems, lambda row=row, fact=fact: _label_facts(row, dims, labels, fact))
        facts.append({"sample": row.sample, **(fact or {}), **(label or {})})
    if (sheet["subset"] == "train").any():
        _collect(problems, lambda: assign_folds(sheet, folds, validation))
    facts = pd.DataFrame(facts).drop(columns="raster", errors="ignore")
    return facts, problems


def check_networks(networks: list[Network]) -> list[Exception]:
    """Problems of network settings: an unknown name, decoder, normalisation."""
    problems: list[Exception] = []
    for network in networks:
        _collect(problems, lambda network=network: entry(network).geometry(network))
    return problems


def _collect(problems: list[Exception], work: Callable):
    try:
        return work()
    except (ValueError, OSError) as error:
        problems.append(error)
        return None


def _image_facts(row, dims: int, channels: dict[int, str]) -> dict:
    raster = read(row.image, dims)
    array = raster.array
    channels.setdefault(len(array), row.image)
    if len(channels) > 1 and len(array) != next(iter(channels)):
        expected, example = next(iter(channels.items()))
        raise BadInput(
            row.image,
            f"{len(array)} channels",
            f"{expected}, as in {example}",
            "save all images with the same channels",
        )
    try:
        spacing = spacing_of(row.spacing, raster.spacing)
    except ValueError as error:
        raise BadInput(f"sample sheet, {row.sample}", str(error), "one number per axis", "correct the cell") from error
    return {
        "shape": "x".join(map(str, array.shape[1:])),
        "channels": len(array),
        "type": str(array.dtype),
        "smallest": array.min(),
        "largest": array.max(),
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
