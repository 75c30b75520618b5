"""Atomic output of files and folders, checks of input files, and checksums.

An output is written under a temporary name in the same folder, flushed to disk, and renamed, so that a killed process
leaves no partial output.
"""

import errno
import fcntl
import hashlib
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path

import psutil

from snakeseg.errors import BadInput
from snakeseg.io.file_names import file_and_number, files_of

# Names of temporary files and folders: a random token, then the end of the output's name.
TEMPORARY = re.compile(r"\.part-[0-9a-f]{16}\.(.+)", re.DOTALL)
PREFIX_CHARACTERS, MAX_NAME_CHARACTERS = len(".part-0123456789abcdef."), 200
# Time stamp of all zip entries (year, month, day, hour, minute, second), so that equal content gives equal bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
# Largest compression ratio of gzip and zlib, in bytes per byte, and an upper bound in pixels per byte for all codecs.
# Zstandard, the most effective one, compresses a constant chunk 30,000 to 1, and images of cells or tissue 100 to 1.
DEFLATE_RATIO, PIXELS_PER_BYTE = 1032, 10**5


def require_kind(path: str | Path, folder: bool, what: str, remedy: str) -> None:
    """Check that a path is a regular file or a folder. Pipes and devices are refused, as reading might never end.

    Parameters
    ----------
    path : path
        May end in the number of an image: `experiment.lif#2`.
    folder : bool
        True if the path must be a folder, False if it must be a regular file.
    what : str
        Expected content, for the error.
    remedy : str
        Instruction for the error.

    Raises
    ------
    BadInput
        If nothing exists there, or something of another kind.
    """
    file, _ = file_and_number(path)
    if os.path.isdir(file) if folder else os.path.isfile(file):  # methods of Path raise OSError for too long names
        return
    if os.path.isdir(file) or os.path.isfile(file):
        raise BadInput(path, "a file, not a folder" if folder else "a folder, not a file", what, remedy)
    if os.path.exists(file):
        raise BadInput(path, "a pipe, socket or device, not a file", what, remedy)
    raise BadInput(path, "a link to nothing" if os.path.islink(file) else "no such file", what, remedy)


def require_memory(path: str | Path, shape: Sequence[int], size: int, remedy: str) -> None:
    """Check that pixels that can only be read together fit in half of the machine's memory.

    Parameters
    ----------
    path : path
    shape : sequence of int
        Shape of the indivisible piece: the image, a tile, a chunk.
    size : int
        Bytes per pixel.
    remedy : str
        Instruction for the error.

    Raises
    ------
    BadInput
        If the piece is larger.
    """
    limit = psutil.virtual_memory().total / 2 / size
    if math.prod(map(int, shape)) > limit:
        found = f"{' x '.join(map(str, shape))} pixels in one piece"
        raise BadInput(path, found, f"at most {limit / 1e6:.0f} million (half of the memory)", remedy)


def require_stored(path: str | Path, shape: Sequence[int], stored: int, least: float) -> None:
    """Check that the header of a file claims no more pixels than its bytes can store.

    Otherwise the reader of a tiny file with a header of terapixels would not end in reasonable time.

    Parameters
    ----------
    path : path
    shape : sequence of int
        Shape of the image by its header.
    stored : int
        Size of the file in bytes.
    least : float
        Smallest possible number of bytes for this shape.

    Raises
    ------
    BadInput
        If `stored` is less than `least`.
    """
    if stored < least:
        found = f"{' x '.join(map(str, shape))} pixels in {stored} bytes"
        raise BadInput(path, found, f"at least {math.ceil(least)} bytes for them", "copy it again from its source")


def stored_bytes(folder: str | Path, enough: float) -> int:
    """Return the total size of the files in a folder and its subfolders, in bytes.

    Links count with their own size. The search stops once the total reaches `enough`.
    """
    total, folders = 0, [os.fspath(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if total >= enough:
                    return total
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to, and rename it to `path` when the block ends without an error.

    The temporary file has an unpredictable name in the same folder. Leftovers of killed processes are removed.

    Raises
    ------
    BadInput
        If the disk or the user's quota is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = temporary_name(path)
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with _full_disk_as_bad_input(path), _locked(handle):
            yield temporary
            written = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(written)
            finally:
                os.close(written)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, mark: str | None = None) -> Iterator[Path]:
    """Yield a temporary folder to fill, and rename it to `path` when the block ends without an error.

    Parameters
    ----------
    path : path
    mark : str, optional
        Name of a file that identifies an earlier output. An existing folder that lacks it is replaced only if empty.

    Raises
    ------
    BadInput
        If `path` is a file, a link or a folder with other content, or the disk is full.
    """
    path = Path(path)
    _require_replaceable(path, mark)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(path) as temporary, _full_disk_as_bad_input(path):
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)


def atomic_output(path: Path) -> AbstractContextManager[Path]:
    """Return `atomic_folder` for an OME-Zarr folder, `atomic_file` for a file of any other format."""
    return atomic_folder(path, "zarr.json") if path.suffix == ".zarr" else atomic_file(path)


def _require_replaceable(path: Path, mark: str | None) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise BadInput(path, "a link" if path.is_symlink() else "a file", "a folder, or nothing", "move it away")
    if path.is_dir() and not (mark and (path / mark).exists()) and any(path.iterdir()):
        raise BadInput(path, "a folder with other files in it", "nothing, or an empty folder", "move it away")


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` and remove it after the block; first remove leftovers of killed processes."""
    _remove_leftovers(path)
    temporary = temporary_name(path)
    temporary.mkdir()
    try:
        with _locked(os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW)):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def temporary_name(path: Path) -> Path:
    """Return an unpredictable temporary name for an output; `path` is the output or a temporary name of it."""
    match = TEMPORARY.fullmatch(path.name)
    return path.with_name(f".part-{secrets.token_hex(8)}.{(match[1] if match else path.name)[-MAX_NAME_CHARACTERS:]}")


@contextmanager
def _locked(handle: int) -> Iterator[None]:
    """Lock an open file or folder to mark its process as alive, if the file system supports locks; then close it."""
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files and folders of an output that no running process has locked."""
    name = temporary_name(path).name[PREFIX_CHARACTERS:]
    for leftover in _temporary_names(path.parent):
        if leftover[PREFIX_CHARACTERS:] == name and not _is_locked(path.parent / leftover):
            with suppress(OSError):
                (path.parent / leftover).unlink()
            shutil.rmtree(path.parent / leftover, ignore_errors=True)


@cache
def _temporary_names(folder: Path) -> list[str]:
    """List the temporary names in a folder, once per process: later ones belong to running processes."""
    return [name for name in os.listdir(folder) if TEMPORARY.fullmatch(name)] if folder.is_dir() else []


def _is_locked(path: Path) -> bool:
    """Return False if no running process has locked a temporary file or folder, True otherwise or if unknown."""
    try:
        mode = os.O_RDONLY if path.is_dir() else os.O_RDWR  # on NFS, locks need files that are open for writing
        handle = os.open(path, mode | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def _full_disk_as_bad_input(path: Path) -> Iterator[None]:
    """Convert the OSError of a full disk or quota to BadInput."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BadInput(path, "a full disk", "space for this file", "free disk space and run again") from error


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def checksum(path: str | Path) -> str:
    """Compute the SHA-256 of an image's files.

    Parameters
    ----------
    path : path
        A file, a folder (the names and checksums of its files are hashed), or several files separated by ";" (their
        checksums are hashed).

    Returns
    -------
    str
        Hexadecimal digits.
    """
    if len(files := files_of(path)) > 1:
        return hashlib.sha256("".join(f"{checksum(file)}\n" for file in files).encode()).hexdigest()
    path, _ = file_and_number(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        text = "".join(f"{file.relative_to(path)} {checksum(file)}\n" for file in files)
        return hashlib.sha256(text.encode()).hexdigest()
    status = path.stat()
    return _checksum(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _checksum(path: Path, size: int, time: int) -> str:
    """Compute the SHA-256 of a file; cached by size and time, since images of one file each request it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
