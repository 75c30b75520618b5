"""Data structures for the images and labels of a folder, and a listing of its files."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from snakeseg.io.file_names import file_and_number, stem_and_suffix
from snakeseg.io.images import list_images_in_file

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
    """List all files below a folder; a file with several images has an entry for each.

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
        skipped = FOLDERS_OF_RUNS if (Path(folder) / ".snakemake").is_dir() else ()
        images += [relative / name for name in folders if stem_and_suffix(name)[1]]
        folders[:] = sorted(
            n for n in folders if not n.startswith((".", "__")) and n not in skipped and not stem_and_suffix(n)[1]
        )
        for name in sorted(name for name in files if not name.startswith(".")):
            if stem_and_suffix(name)[1]:
                images += [relative / image.name for image in list_images_in_file(Path(folder, name))]
            else:
                others.append(relative / name)
    return Listing(sorted(images, key=file_and_number), sorted(others))


def format_first(paths: Iterable[Path | str]) -> str:
    """Format the first paths and the number of further ones."""
    paths = list(map(str, paths))
    return ", ".join(paths[:MAX_FILES_IN_MESSAGE]) + (
        f" and {len(paths) - MAX_FILES_IN_MESSAGE} more" if len(paths) > MAX_FILES_IN_MESSAGE else ""
    )
