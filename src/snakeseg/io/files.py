"""Whole files: outputs appear complete or not at all (written beside, flushed, renamed), and have checksums."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snakeseg.errors import BadInput

# The time of all entries of zips, so that the same content makes the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def files_of(cell: str | Path) -> list[Path]:
    """The files that a cell of the sheet names: one, or several separated by ";", one per channel."""
    return [Path(name.strip()) for name in str(cell).split(";")]


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with _room(path):
            yield beside
            with open(beside, "rb") as file:
                os.fsync(file.fileno())
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A folder to fill; it takes the place of `path` when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with _room(path):
            beside.mkdir()
            yield beside
            shutil.rmtree(path, ignore_errors=True)
            beside.replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def _room(path: Path) -> Iterator[None]:
    """A full disk as BadInput."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BadInput(path, "a full disk", "room for it", "free some and run again") from error


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def checksum(path: str | Path) -> str:
    """SHA-256 of a file, or of all files in a folder and their names; of several files, that of their checksums."""
    if len(files := files_of(path)) > 1:
        return hashlib.sha256("".join(f"{checksum(one)}\n" for one in files).encode()).hexdigest()
    if Path(path).is_dir():
        files = sorted(one for one in Path(path).rglob("*") if one.is_file())
        text = "".join(f"{one.relative_to(path)} {checksum(one)}\n" for one in files)
        return hashlib.sha256(text.encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
