"""Data structures for the images and labels of a folder, and a listing of its files."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from snakeseg.io.file_names import file_and_number, is_image_name, is_zarr, stem_and_suffix
from snakeseg.io.images import list_images_in_file
from snakeseg.io.readers.sidecar_files import require_own

LAYOUT_COLUMNS = ("sample", "image", "label", "subset", "group")
# Maximum number of files that a message names.
MAX_FILES_IN_MESSAGE = 3
# Folders that a run creates in its working folder.
FOLDERS_OF_RUNS = ("results", "logs", "benchmarks")


@dataclass(frozen=True)
class Layout:
    """Images and labels of a folder.

    Parameters
    ----------
    name : str
        Name of the layout, for the terminal.
    root : path
        Folder that the paths of the sheet start from.
    sheet : DataFrame
        One row per image with the text columns `LAYOUT_COLUMNS`; group is "" for images without a group.
    kind : str
        "semantic" or "instance" if the layout determines the kind of labels; else "".
    classes : dict of int
        Value of each class by name, background first; empty if no file of the folder describes them.
    ignore : int or None
        Value of pixels to ignore, if a file of the folder describes it.
    source : str
        File that describes the classes.
    only_class : str
        Name of the foreground class, if there is a single one and its name is known; else "".
    validation : list of str
        Patterns of the samples in the validation part of the folder.
    problems : list of str
        Texts of `BadInput` about files that are not used.
    left_out : dict of str
        Reason for each image that is not in the sheet, by its path relative to `root`.
    """

    name: str
    root: Path
    sheet: pd.DataFrame
    kind: str = ""
    classes: dict[str, int] = field(default_factory=dict)
    ignore: int | None = None
    source: str = ""
    only_class: str = ""
    validation: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


class Listing(NamedTuple):
    """Sorted paths of all files below a folder, relative to it.

    Attributes
    ----------
    images : list of path
        Images, including folders that are images, such as Zarr.
    others : list of path
        All other files.
    """

    images: list[Path]
    others: list[Path]


def sheet_of(rows: list[dict]) -> pd.DataFrame:
    """Return rows as a sheet with `LAYOUT_COLUMNS`; missing values are ""."""
    return pd.DataFrame([{**dict.fromkeys(LAYOUT_COLUMNS, ""), **row} for row in rows], columns=list(LAYOUT_COLUMNS))


def list_files(root: Path) -> Listing:
    """List all files below a folder; a file with several images has an entry for each, a Zarr also for its labels.

    Hidden files and folders of runs are skipped. Links are followed, but each folder is listed once.

    Parameters
    ----------
    root : path
        Folder to list.

    Returns
    -------
    Listing
        Paths relative to `root`.
    """
    images, others, seen = [], [], set()
    for folder, folders, files in os.walk(root, followlinks=True):
        relative, real = Path(folder).relative_to(root), os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        if is_zarr(folder):  # only `root` itself
            images += _images_in(Path(folder))
            break
        skipped = FOLDERS_OF_RUNS if (Path(folder) / ".snakemake").is_dir() else ()
        shown = [n for n in folders if not n.startswith((".", "__")) and n not in skipped]
        image_folders = [name for name in shown if is_image_name(Path(folder, name))]
        folders[:] = sorted(set(shown) - set(image_folders))
        files = [name for name in files if not name.startswith(".")]
        image_files = [name for name in files if stem_and_suffix(name)[1]]
        images += [image for name in image_folders + image_files for image in _images_in(Path(folder, name))]
        others += [relative / name for name in set(files) - set(image_files)]
    images = [image.relative_to(root) for image in images]
    return Listing(sorted(images, key=file_and_number), sorted(others))


def _images_in(path: Path) -> list[Path]:
    """Return the paths of the images in a file or Zarr, and of the label images in its groups `labels`."""
    images = list_images_in_file(path)
    # A single series of bioformats2raw is in the group 0.
    folders = [image / name for image in images if is_zarr(image) for name in ("labels", "0/labels")]
    labels = [label for folder in folders for label in folder.glob("*") if is_zarr(label)]
    for label in labels:
        require_own(label, [os.path.realpath(path)])
    return images + labels


def format_first(paths: Iterable[Path | str]) -> str:
    """Format the first paths and the number of further ones."""
    paths = list(map(str, paths))
    return ", ".join(paths[:MAX_FILES_IN_MESSAGE]) + (
        f" and {len(paths) - MAX_FILES_IN_MESSAGE} more" if len(paths) > MAX_FILES_IN_MESSAGE else ""
    )
