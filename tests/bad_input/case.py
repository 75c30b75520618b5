"""The type of a case of bad input, and functions that make common cases."""

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

# Placeholders in commands for the folders of valid models, of single-channel planes and of volumes.
PLANES, VOLUMES = "PLANES", "VOLUMES"


class Case(NamedTuple):
    """A case of bad input.

    Parameters
    ----------
    make : function
        Writes the input into the working folder, which is empty.
    command : list of str
        Arguments of `snakeseg`; with the first word `snakemake`, a config to plan; with `check`, settings as JSON.
    message : str
        The lines that must be printed; `...` stands for any text of a library or the machine.
    """

    make: Callable[[], object]
    command: list[str]
    message: str


def image(name: str, make: Callable[[], object] | bytes, message: str, model: str = PLANES) -> Case:
    """Make a case of an image, or its bytes, for prediction."""
    write = (lambda: Path(name).write_bytes(make)) if isinstance(make, bytes) else make
    return Case(write, ["predict", model, name, "-o", "out"], f"{name}: {message}")


def label(name: str, make: Callable[[], object], message: str, settings: str) -> Case:
    """Make a case of a label of `write_plane` for the check, with settings as JSON."""

    def write():
        write_plane()
        sheet(["s1", "image.tif", name, "test"])
        make()

    return Case(write, ["check", settings], f"{name}: {message}")


def table(make: Callable[[], object] | bytes, message: str, name: str = "s.tsv") -> Case:
    """Make a case of a sample sheet, or its bytes, for the workflow."""

    def write():
        write_plane()
        Path("c.yaml").write_text(f"name: run\nsheet: {name}\n", encoding="utf-8")
        if isinstance(make, bytes):
            Path(name).write_bytes(make)
        else:
            make()

    return Case(write, ["snakemake", "c.yaml"], message)


def config(text: str | bytes, message: str) -> Case:
    """Make a case of a config for the workflow."""

    def write():
        write_plane()
        sheet(["s1", "image.tif", "", "train"])
        Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())

    return Case(write, ["snakemake", "c.yaml"], message)


def sheet(*rows: list[str], header: str = "sample\timage\tlabel\tsubset") -> None:
    """Write s.tsv."""
    Path("s.tsv").write_text(
        "".join(f"{line}\n" for line in [header, *("\t".join(row) for row in rows)]), encoding="utf-8"
    )


def write_plane(name: str = "image.tif") -> None:
    """Write a valid image of one channel and 24 x 24 pixels."""
    tifffile.imwrite(name, np.random.default_rng(0).integers(0, 255, (24, 24)).astype(np.uint8))


IN_PIECES = "pixels in one piece; expected at most ... million (half of the memory); convert it to a tiled TIFF or Zarr"


def zeros(gigabytes: float) -> bytes:
    """Compress zeros by zlib, a thousand to one; one compressed megabyte is repeated, without a checksum."""
    packer = zlib.compressobj(9)
    start, repeated = (packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return start + repeated * int(gigabytes * 2**10) + packer.flush()


def damaged(cause: str = "...") -> str:
    """Return the message about a damaged image."""
    return f"found a damaged file ({cause}); expected a readable image; copy it again from its source"


def pipe(name: str) -> Callable[[], None]:
    """Make a pipe without a writer, which blocks a process that opens it."""
    return lambda: os.mkfifo(name)


def link(name: str, target: str) -> Callable[[], None]:
    return lambda: os.symlink(target, name)


def folder(name: str) -> Callable[[], None]:
    return lambda: Path(name).mkdir(parents=True)


class Bomb:
    """Object that creates the file `canary` in the working folder when it is unpickled."""

    def __reduce__(self):
        return open, ("canary", "w")
