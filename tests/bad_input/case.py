"""What an entry of the catalogue is, and how the common ones are made."""

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

# Stand for folders of sound models, of grey planes and of volumes.
PLANES, VOLUMES = "PLANES", "VOLUMES"


class Case(NamedTuple):
    """A bad input.

    Parameters
    ----------
    make : function
        Writes it into the working folder, which is empty.
    command : list of str
        Of `snakeseg`, unless its first word is `snakemake`.
    told : str
        The lines that must be printed; `...` stands for whatever a library or the machine adds.
    """

    make: Callable[[], object]
    command: list[str]
    told: str


def image(name: str, make: Callable[[], object] | bytes, told: str, model: str = PLANES) -> Case:
    """An image, or its bytes, that is to be predicted."""
    write = (lambda: Path(name).write_bytes(make)) if isinstance(make, bytes) else make
    return Case(write, ["predict", model, name, "-o", "out"], f"{name}: {told}")


def label(name: str, make: Callable[[], object], told: str, settings: str) -> Case:
    """A label of `sound_plane`, that is to be checked by settings as JSON."""

    def write():
        sound_plane()
        sheet(["s1", "image.tif", name, "test"])
        make()

    return Case(write, ["check", settings], f"{name}: {told}")


def table(make: Callable[[], object] | bytes, told: str, name: str = "s.tsv") -> Case:
    """A sample sheet, that the workflow is to start from."""

    def write():
        sound_plane()
        Path("c.yaml").write_text(f"name: run\nsheet: {name}\n", encoding="utf-8")
        if isinstance(make, bytes):
            Path(name).write_bytes(make)
        else:
            make()

    return Case(write, ["snakemake", "c.yaml"], told)


def config(text: str | bytes, told: str) -> Case:
    """A config, that the workflow is to start from."""

    def write():
        sound_plane()
        sheet(["s1", "image.tif", "", "train"])
        Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())

    return Case(write, ["snakemake", "c.yaml"], told)


def sheet(*rows: list[str], header: str = "sample\timage\tlabel\tsubset") -> None:
    """Write s.tsv."""
    Path("s.tsv").write_text(
        "".join(f"{line}\n" for line in [header, *("\t".join(row) for row in rows)]), encoding="utf-8"
    )


def sound_plane(name: str = "image.tif") -> None:
    """Write a grey image of 24 x 24 pixels."""
    tifffile.imwrite(name, np.random.default_rng(0).integers(0, 255, (24, 24)).astype(np.uint8))


IN_PIECES = "pixels in one piece; expected at most ... million (half of the memory); convert it to a tiled TIFF or Zarr"


def zeros(gigabytes: float) -> bytes:
    """As many, packed by zlib a thousand to one; the same megabyte over and over, and no checksum."""
    packer = zlib.compressobj(9)
    start, again = (packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return start + again * int(gigabytes * 2**10) + packer.flush()


def damaged(cause: str = "...") -> str:
    return f"found a damaged file ({cause}); expected a readable image; copy it again from its source"


def pipe(name: str) -> Callable[[], None]:
    """A pipe that nobody writes to: who opens it waits for ever."""
    return lambda: os.mkfifo(name)


def link(name: str, target: str) -> Callable[[], None]:
    return lambda: os.symlink(target, name)


def folder(name: str) -> Callable[[], None]:
    return lambda: Path(name).mkdir(parents=True)


class Bomb:
    """Makes a file in the working folder when it is unpickled."""

    def __reduce__(self):
        return open, ("canary", "w")
