"""Folders `imagesTr`, `labelsTr`, `imagesTs` with a dataset.json, as the Decathlon and nnU-Net have them."""

import json
import re
from collections import defaultdict
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.io.file_names import stem_and_suffix
from snakeseg.setup.layout import Layout, list_files, sheet_of, some
from snakeseg.text import legal_name

# nnU-Net numbers the channels of an image, each a file of its own.
CHANNEL = re.compile(r"(.+)_(\d{4})")
PARTS = (("imagesTr", "labelsTr", "train"), ("imagesTs", "labelsTs", "test"))


def is_decathlon(root: Path) -> bool:
    """Whether a folder is laid out like this."""
    return (root / "imagesTr").is_dir()


def decathlon(root: Path) -> Layout:
    """Cases with a label to learn from or, of `imagesTs`, to test on; the others to predict; every case is a group.

    Raises
    ------
    BadInput
        If dataset.json is not understood, or there are no cases.
    """
    told = _description(root / "dataset.json")
    rows, problems, several = [], [], False
    for images, labels, subset in PARTS:
        cases, label_of = _cases(root, images), _by_name(root, labels)
        several |= any(len(files) > 1 for files in cases.values())
        for name, files in cases.items():
            label = label_of.pop(name, "")
            rows.append(
                {
                    "sample": legal_name(name),
                    "image": ";".join(files),
                    "label": label,
                    "subset": subset if label else "predict",
                    "group": legal_name(name),
                }
            )
        if label_of:
            found = f"labels without an image: {some(label_of.values())}"
            problems.append(str(BadInput(root / labels, found, f"one in {images}", "add it, or remove the label")))
    if not rows:
        raise BadInput(root / "imagesTr", "no images", "some", "give the folder that holds imagesTr and labelsTr")
    name = "nnU-Net" if several or "channel_names" in told or _numbered(root) else "Medical Segmentation Decathlon"
    classes, ignore = _classes(root / "dataset.json", told) if told else ({}, None)
    source = "dataset.json" if classes else ""
    return Layout(name, root, sheet_of(rows), "semantic", classes, ignore, source, problems=problems)


def _description(path: Path) -> dict:
    """What dataset.json says; nothing if there is none."""
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told["labels"], dict):
            raise TypeError("'labels'")
    except (KeyError, TypeError, ValueError) as error:
        raise _not_understood(path, f"{type(error).__name__} {error}") from error
    return told


def _classes(path: Path, told: dict) -> tuple[dict[str, int], int | None]:
    """Classes, background first, and the value to be ignored; nnU-Net writes names first, others numbers."""
    try:
        named = {
            str(b if isinstance(b, str) else a): int(a if isinstance(b, str) else b) for a, b in told["labels"].items()
        }
    except (TypeError, ValueError) as error:  # a list: regions of several classes
        raise _not_understood(path, f"labels {json.dumps(told['labels'])}") from error
    ignore = named.pop("ignore", None)
    classes = dict(sorted(named.items(), key=lambda item: item[1]))
    if len(classes) < 2:
        raise BadInput(path, f"classes {list(classes)}", "background and another", "look at the label files")
    return classes, ignore


def _not_understood(path: Path, found: str) -> BadInput:
    expected = 'labels, as {"0": "background", "1": ...} or {"background": 0, ...}'
    return BadInput(path, found, expected, "correct it, or take the names alone: --layout names")


def _cases(root: Path, folder: str) -> dict[str, list[str]]:
    """Files of each case, one per channel, in the order of their numbers."""
    files = _by_name(root, folder)
    if not _numbered(root):
        return {name: [path] for name, path in files.items()}
    cases = defaultdict(list)
    for name, path in sorted(files.items()):
        match = CHANNEL.fullmatch(name)
        cases[match[1] if match else name].append(path)
    return dict(cases)


def _numbered(root: Path) -> bool:
    """Whether names end in the number of a channel, which those of labels do not."""
    images, labels = _by_name(root, "imagesTr"), _by_name(root, "labelsTr")
    return bool(images) and all(CHANNEL.fullmatch(name) for name in images) and not set(images) & set(labels)


def _by_name(root: Path, folder: str) -> dict[str, str]:
    """Path, from the root, by name without suffix."""
    found = list_files(root / folder).images if (root / folder).is_dir() else []
    return {stem_and_suffix(path.name)[0]: (Path(folder) / path).as_posix() for path in found}
