"""Which layout a folder has."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from snakeseg.errors import BadInput
from snakeseg.setup.bids import bids, is_bids
from snakeseg.setup.cell_tracking import is_tracking, tracking
from snakeseg.setup.filenames import by_names
from snakeseg.setup.layout import Layout
from snakeseg.setup.nnunet import decathlon, is_decathlon


class Reader(NamedTuple):
    """`looks_like(folder)` tells whether to try; `read(folder)` gives the layout."""

    looks_like: Callable[[Path], bool]
    read: Callable[[Path], Layout]


# The first that a folder looks like is taken; names are what is left.
LAYOUTS = {
    "bids": Reader(is_bids, bids),
    "nnunet": Reader(is_decathlon, decathlon),
    "ctc": Reader(is_tracking, tracking),
    "names": Reader(lambda folder: True, by_names),
}


def understand(folder: Path, layout: str | None = None) -> Layout:
    """What a folder holds, in the named layout or in the one that it looks like.

    Raises
    ------
    BadInput
        If there is no such folder, it holds several data sets, or nothing to train on.
    """
    if not folder.is_dir():
        raise BadInput(folder, "no such folder", "one with images and labels", "correct the path")
    root = _down_to_data(folder)
    reader = LAYOUTS[layout or next(name for name, each in LAYOUTS.items() if each.looks_like(root))]
    inner = [child for child in _folders(root) if is_decathlon(child)]
    if layout is None and len(inner) > 1 and not is_decathlon(root):
        found = f"{len(inner)} data sets ({', '.join(child.name for child in inner[:3])})"
        raise BadInput(root, found, "one", "give the folder of one of them")
    return reader.read(root)


def _down_to_data(folder: Path) -> Path:
    """The first folder that holds more than one folder."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__"))]
    if len(entries) == 1 and entries[0].is_dir() and entries[0].suffix != ".zarr":
        return _down_to_data(entries[0])
    return folder


def _folders(root: Path) -> list[Path]:
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
