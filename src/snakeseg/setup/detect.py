"""Detect the layout of a folder and read it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from snakeseg.errors import BadInput
from snakeseg.io.file_names import is_image_name, is_zarr
from snakeseg.setup.bids import is_bids, read_bids
from snakeseg.setup.cell_tracking import is_cell_tracking, read_cell_tracking
from snakeseg.setup.filenames import read_by_names
from snakeseg.setup.layout import Layout
from snakeseg.setup.nnunet import is_nnunet, read_nnunet


class Reader(NamedTuple):
    """Functions for one layout: whether a folder has this layout, and read it."""

    matches: Callable[[Path], bool]
    read: Callable[[Path], Layout]


# The first layout that matches is used; "names" matches every folder.
LAYOUTS = {
    "bids": Reader(is_bids, read_bids),
    "nnunet": Reader(is_nnunet, read_nnunet),
    "ctc": Reader(is_cell_tracking, read_cell_tracking),
    "names": Reader(lambda folder: True, read_by_names),
}


def read_layout(folder: Path, layout: str | None = None) -> Layout:
    """Read a folder in the given layout, or in the first one that matches.

    Parameters
    ----------
    folder : path
        Folder of images and labels; folders that contain nothing but one folder are skipped.
    layout : str, optional
        A key of `LAYOUTS`.

    Returns
    -------
    Layout
        Images and labels of the folder.

    Raises
    ------
    BadInput
        If the folder does not exist, or contains several data sets or nothing to train on.
    """
    if not folder.is_dir():
        raise BadInput(folder, "no such folder", "a folder with images and labels", "correct the path")
    root = _down_to_data(folder)
    reader = LAYOUTS[layout or next(name for name, candidate in LAYOUTS.items() if candidate.matches(root))]
    data_sets = [child for child in _folders(root) if is_nnunet(child)]
    if layout is None and len(data_sets) > 1 and not is_nnunet(root):
        found = f"{len(data_sets)} data sets ({', '.join(child.name for child in data_sets[:3])})"
        raise BadInput(root, found, "one data set", "give the folder of one of them: snakeseg init FOLDER")
    return reader.read(root)


def _down_to_data(folder: Path) -> Path:
    """Descend while a folder contains nothing but one folder, and return the last one."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__"))]
    if not is_zarr(folder) and len(entries) == 1 and entries[0].is_dir() and not is_image_name(entries[0]):
        return _down_to_data(entries[0])
    return folder


def _folders(root: Path) -> list[Path]:
    """List the folders in a folder, without hidden ones."""
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
