"""What a folder holds, in whatever layout, and what of it was not understood."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from snakeseg.io.file_names import file_and_number, stem_and_suffix
from snakeseg.io.images import images_in

COLUMNS = ("sample", "image", "label", "subset", "group")
# Of files that are named in a message.
NAMED = 3
# What a run leaves in the folder that it works in.
LEFT_BY_RUNS = ("results", "logs", "benchmarks")


@dataclass(frozen=True)
class Layout:
    """What a folder holds.

    Parameters
    ----------
    name : str
        Of the layout, in words.
    root : path
        What the sheet's paths start from.
    sheet : DataFrame
        `COLUMNS`, text; group is "" where nothing is known to belong together.
    kind : str
        "semantic" or "instance" where labels can be nothing else; else "".
    classes : dict
        Value of each class, background first, where a description of the folder names them; else none.
    ignore : int or None
        The value of pixels that do not count, where it is described.
    source : str
        Where the classes are from.
    only_class : str
        Name of the class if there is but one.
    validation : list of str
        Patterns of the samples that the folder itself holds out.
    problems : list of str
        What was not understood: where, found, expected, what to do.
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


class Listing(NamedTuple):
    """Files below a folder, in order: images (with folders that are images), and the others; paths from there."""

    images: list[Path]
    others: list[Path]


def sheet_of(rows: list[dict]) -> pd.DataFrame:
    """Rows as a sheet; what they leave out is ""."""
    return pd.DataFrame([{**dict.fromkeys(COLUMNS, ""), **row} for row in rows], columns=list(COLUMNS))


def list_files(root: Path) -> Listing:
    """All files below a folder, each image of those with several; links are followed once, hidden files and results
    of runs are passed over."""
    images, others, seen = [], [], set()
    for place, folders, files in os.walk(root, followlinks=True):
        here, real = Path(place).relative_to(root), os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        passed_over = LEFT_BY_RUNS if (Path(place) / ".snakemake").is_dir() else ()
        images += [here / name for name in folders if stem_and_suffix(name)[1]]
        folders[:] = sorted(
            n for n in folders if not n.startswith((".", "__")) and n not in passed_over and not stem_and_suffix(n)[1]
        )
        for name in sorted(name for name in files if not name.startswith(".")):
            if stem_and_suffix(name)[1]:
                images += [here / one.name for one in images_in(Path(place, name))]
            else:
                others.append(here / name)
    return Listing(sorted(images, key=file_and_number), sorted(others))


def some(paths: Iterable[Path | str]) -> str:
    """How many there are, and the first of them."""
    paths = list(map(str, paths))
    return ", ".join(paths[:NAMED]) + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
