"""Folders of known layouts as rows of a sample sheet, with the config that goes with them."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

from snakeseg.errors import BadInput
from snakeseg.io.raster import read_label
from snakeseg.io.sheet import legal_name

# A name like sub-01_ses-a_T1w.nii.gz: entities, then the suffix.
ENTITY = re.compile(r"([A-Za-z0-9]+)-([A-Za-z0-9+]+)")
NIFTI = (".nii.gz", ".nii")
# Label files that are looked into for their values, where no table names them.
LOOKED_INTO = 20


class Layout(NamedTuple):
    """What a folder holds.

    Parameters
    ----------
    sheet : DataFrame
        Columns sample, image, label, subset, group; paths from the folder.
    classes : dict
        Value of each class, background first.
    source : str
        Where the classes are from.
    """

    sheet: pd.DataFrame
    classes: dict[str, int]
    source: str


def decathlon(folder: Path) -> Layout:
    """A task of the Medical Segmentation Decathlon, by its dataset.json; every case is a group.

    Raises
    ------
    BadInput
        If dataset.json is missing or not understood.
    """
    path = folder / "dataset.json"
    if not path.is_file():
        raise BadInput(path, "no such file", "the Decathlon's description of a task", "give the task's folder")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        classes = {str(name): int(value) for value, name in sorted(told["labels"].items(), key=lambda c: int(c[0]))}
        cases = [(case["image"], case["label"], "train") for case in told["training"]]
        cases += [(each if isinstance(each, str) else each["image"], "", "predict") for each in told.get("test", [])]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        found = f"{type(error).__name__} {error}"
        expected = 'labels ({"0": "background", ...}) and training ([{"image": ..., "label": ...}])'
        raise BadInput(path, found, expected, "correct it, or write the sheet by hand") from error
    rows = [
        {"sample": _name(image), "image": _relative(image), "label": _relative(label), "subset": subset}
        for image, label, subset in cases
    ]
    sheet = pd.DataFrame(rows, columns=["sample", "image", "label", "subset"])
    return _checked(Layout(sheet.assign(group=sheet["sample"]), classes, "dataset.json"), folder)


def bids(folder: Path) -> Layout:
    """T1-weighted images of a BIDS folder with the segmentations in its derivatives; every subject is a group.

    A segmentation belongs to the image of its subject whose entities it all has: ``*_dseg``, else ``*label*_mask``.
    Images without one are to be predicted.

    Raises
    ------
    BadInput
        If there are no images, no segmentations, or several for one image.
    """
    images = _found(folder, "anat/*_T1w", "")
    if not images:
        raise BadInput(folder, "no sub-*/[ses-*/]anat/*_T1w.nii.gz", "some", "give the folder that holds sub-*")
    segmentations = _found(folder, "anat/*_dseg", "derivatives/*/")
    masks = [path for path in _found(folder, "anat/*_mask", "derivatives/*/") if "label" in path.name]
    rows = []
    for image in images:
        label = _label_of(image, segmentations) or _label_of(image, masks)
        rows.append(
            {
                "sample": _name(image.name),
                "image": image.relative_to(folder).as_posix(),
                "label": label.relative_to(folder).as_posix() if label else "",
                "subset": "train" if label else "predict",
                "group": f"sub-{_entities(image)['sub']}",
            }
        )
    labels = [folder / row["label"] for row in rows if row["label"]]
    if not labels:
        found = "no *_dseg.nii.gz or *label*_mask.nii.gz of any image"
        raise BadInput(folder / "derivatives", found, "some to learn from", "add them, or write the sheet by hand")
    return _checked(Layout(pd.DataFrame(rows), *_classes_of(folder, labels)), folder)


def config_text(name: str, sheet: Path, data: Path, layout: Layout) -> str:
    """A commented config for volumes; what it says of training is where to start, not what was tuned."""
    head = yaml.safe_dump({"name": name, "sheet": str(sheet), "data": str(data)}, sort_keys=False)
    labels = yaml.safe_dump({"labels": {"kind": "semantic", "values": layout.classes}}, sort_keys=False)
    groups = layout.sheet["group"][layout.sheet["subset"] == "train"].nunique()
    return f"{head}spatial_dims: 3\n\n# From {layout.source}.\n{labels}{RECIPE.format(folds=min(5, groups))}"


RECIPE = """
# Groups (subjects) are dealt to the folds whole.
folds: {folds}

prepare:
  normalise: zscore
  # All volumes are brought to the middle pixel size of the training volumes.
  spacing: auto

augment:
  copies: 4
  std: 3

# Classes instead of touching objects: no border weights.
weigh:
  w0: 0
  classes: equal

loss:
  name: dice

network:
  width: 16
  depth: 3
  padded: true
  normalisation: batch
  dropout: 0.1

train:
  steps: 5000
  batch: 2
  patch: auto
  optimiser: adamw
  learning_rate: 0.003
  schedule: cosine
  # A third of the patches show some foreground, however rare it is.
  foreground: 0.33
  # Bodies are much alike from left to right, not from front to back. If your classes tell left from right: flips: false
  flips: [0]
  turns: false
"""


def _found(folder: Path, what: str, before: str) -> list[Path]:
    """NIfTI files of all subjects and sessions."""
    patterns = [f"{before}sub-*/{session}{what}{suffix}" for session in ("", "ses-*/") for suffix in NIFTI]
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})


def _entities(path: Path) -> dict[str, str]:
    return dict(ENTITY.findall(path.name))


def _label_of(image: Path, candidates: list[Path]) -> Path | None:
    """The one of the segmentations that says of itself all that the image does."""
    wanted = _entities(image).items()
    found = [path for path in candidates if wanted <= _entities(path).items()]
    if len(found) > 1:
        named = f"{len(found)} segmentations ({', '.join(map(str, found[:3]))})"
        raise BadInput(image, named, "one", "move the others out of derivatives, or write the sheet by hand")
    return found[0] if found else None


def _classes_of(folder: Path, labels: list[Path]) -> tuple[dict[str, int], str]:
    """Classes by a table dseg.tsv, or else by the values of some label files; and where they are from."""
    tables = sorted({*folder.glob("dseg.tsv"), *folder.glob("derivatives/*/dseg.tsv")})
    if tables:
        table = pd.read_csv(tables[0], sep="\t", dtype=str, keep_default_na=False)
        if not {"index", "name"} <= set(table):
            raise BadInput(tables[0], f"columns {', '.join(table)}", "index and name", "correct it")
        named = {name: int(value) for value, name in zip(table["index"], table["name"], strict=True)}
        return _with_background(named), tables[0].relative_to(folder).as_posix()
    values = set()
    for path in labels[:LOOKED_INTO]:
        values |= set(np.unique(read_label(path, 3).array).tolist()) - {0}
    of_masks = {_entities(path).get("label") for path in labels}
    one = of_masks.pop() if len(of_masks) == 1 and len(values) == 1 else None
    source = f"the values of {min(len(labels), LOOKED_INTO)} label files; name them as you like"
    return _with_background({one or f"class-{value}": value for value in sorted(values)}), source


def _with_background(classes: dict[str, int]) -> dict[str, int]:
    background = next((name for name, value in classes.items() if value == 0), "background")
    return {background: 0, **{name: value for name, value in classes.items() if value}}


def _checked(layout: Layout, folder: Path) -> Layout:
    """The layout, unless it could not be trained on."""
    doubled = layout.sheet["sample"][layout.sheet["sample"].duplicated()].unique()
    if len(doubled):
        raise BadInput(folder, f"several images called {doubled[0]}", "distinct names", "rename one")
    if len(layout.classes) < 2:
        raise BadInput(folder, f"classes {list(layout.classes)}", "background and another", "look at the label files")
    return layout


def _name(path: str) -> str:
    """A sample's name, of what names may hold."""
    name = Path(path).name
    stem = next((name[: -len(suffix)] for suffix in NIFTI if name.endswith(suffix)), name)
    return legal_name(stem)


def _relative(path: str) -> str:
    return path.removeprefix("./")
