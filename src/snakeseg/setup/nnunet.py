"""Read folders of nnU-Net and the Medical Segmentation Decathlon: `imagesTr`, `labelsTr`, `imagesTs`, dataset.json."""

import json
import re
from collections import defaultdict
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.io.file_names import stem_and_suffix
from snakeseg.setup.layout import Layout, format_first, list_files, sheet_of
from snakeseg.text import legal_name

# nnU-Net stores each channel of an image in a file of its own, whose name ends in the number of the channel.
CHANNEL = re.compile(r"(.+)_(\d{4})")
DATASET_FOLDERS = (("imagesTr", "labelsTr", "train"), ("imagesTs", "labelsTs", "test"))


def is_nnunet(root: Path) -> bool:
    """Return True if the folder contains `imagesTr`."""
    return (root / "imagesTr").is_dir()


def read_nnunet(root: Path) -> Layout:
    """Pair the images of each case with its label.

    Cases of `imagesTr` with a label are training rows, those of `imagesTs` test rows. Cases without a label are to be
    predicted. Each case is a group.

    Parameters
    ----------
    root : path
        Folder that contains imagesTr and labelsTr.

    Returns
    -------
    Layout
        With semantic labels; classes from dataset.json, if it exists.

    Raises
    ------
    BadInput
        If dataset.json is invalid, or there are no cases.
    """
    description = _read_description(root / "dataset.json")
    rows, problems, has_channel_files = [], [], False
    for images, labels, subset in DATASET_FOLDERS:
        cases, label_of = _cases(root, images), _by_name(root, labels)
        has_channel_files |= any(len(files) > 1 for files in cases.values())
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
            found = f"labels without an image: {format_first(label_of.values())}"
            problems.append(
                str(BadInput(root / labels, found, f"an image in {images}", "add the image, or remove the label"))
            )
    if not rows:
        raise BadInput(
            root / "imagesTr", "no images", "at least one image",
            "give the folder that contains imagesTr and labelsTr: snakeseg init FOLDER",
        )  # fmt: skip
    is_raw = has_channel_files or "channel_names" in description or _has_channel_numbers(root)
    name = "nnU-Net" if is_raw else "Medical Segmentation Decathlon"
    classes, ignore = _classes(root / "dataset.json", description) if description else ({}, None)
    source = "dataset.json" if classes else ""
    return Layout(name, root, sheet_of(rows), "semantic", classes, ignore, source, problems=problems)


def _read_description(path: Path) -> dict:
    """Read dataset.json; an empty dictionary if it does not exist."""
    if not path.is_file():
        return {}
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(description["labels"], dict):
            raise TypeError("'labels'")
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid_description(path, f"{type(error).__name__} {error}") from error
    return description


def _classes(path: Path, description: dict) -> tuple[dict[str, int], int | None]:
    """Parse the classes, background first, and the value to ignore.

    nnU-Net maps names to values, the Decathlon values to names.
    """
    labels = description["labels"]
    try:
        values = {str(b if isinstance(b, str) else a): int(a if isinstance(b, str) else b) for a, b in labels.items()}
    except (TypeError, ValueError) as error:  # The value is a list: a region of several classes.
        raise _invalid_description(path, f"labels {json.dumps(labels)}") from error
    ignore = values.pop("ignore", None)
    classes = dict(sorted(values.items(), key=lambda item: item[1]))
    if len(classes) < 2:
        raise BadInput(
            path, f"classes {list(classes)}", "background and at least one other class",
            "add the classes of the label files to 'labels'",
        )  # fmt: skip
    return classes, ignore


def _invalid_description(path: Path, found: str) -> BadInput:
    """Return the error for a dataset.json without valid labels."""
    expected = 'labels, as {"0": "background", "1": ...} or {"background": 0, ...}'
    return BadInput(path, found, expected, "correct dataset.json, or ignore it: snakeseg init FOLDER --layout names")


def _cases(root: Path, folder: str) -> dict[str, list[str]]:
    """Return the files of each case, one per channel, in the order of their numbers."""
    files = _by_name(root, folder)
    if not _has_channel_numbers(root):
        return {name: [path] for name, path in files.items()}
    cases = defaultdict(list)
    for name, path in sorted(files.items()):
        match = CHANNEL.fullmatch(name)
        cases[match[1] if match else name].append(path)
    return dict(cases)


def _has_channel_numbers(root: Path) -> bool:
    """Return True if the names of all images end in a channel number, and no label has the same name."""
    images, labels = _by_name(root, "imagesTr"), _by_name(root, "labelsTr")
    return bool(images) and all(CHANNEL.fullmatch(name) for name in images) and not set(images) & set(labels)


def _by_name(root: Path, folder: str) -> dict[str, str]:
    """Return the paths of a folder, relative to the root, by file name without suffix."""
    paths = list_files(root / folder).images if (root / folder).is_dir() else []
    return {stem_and_suffix(path.name)[0]: (Path(folder) / path).as_posix() for path in paths}
