"""Atomic output of files and folders, and checksums.

An output is written under a temporary name in the same folder, flushed to disk, and renamed, so that a killed process
leaves no partial output.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.io.file_names import file_and_number, split_file_names

# Names of temporary files and folders: a random token, then the end of the output's name.
TEMPORARY = re.compile(r"\.part-[0-9a-f]{16}\.(.+)", re.DOTALL)
PREFIX_CHARACTERS, MAX_NAME_CHARACTERS = len(".part-0123456789abcdef."), 200
# Time stamp of all zip entries (year, month, day, hour, minute, second), so that equal content gives equal bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write to, and rename it to `path` when the block ends without an error.

    The temporary file has an unpredictable name in the same folder. Leftovers of killed processes are removed.

    Raises
    ------
    BadInput
        If `path` is a folder, a parent folder is a file, or the disk or the user's quota is full.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise BadInput(path, "a folder", "a file, or nothing", "give the name of a file to write")
    make_folder(path.parent)
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
    make_folder(path.parent)
    with temporary_folder(path) as temporary, _full_disk_as_bad_input(path):
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)


def atomic_output(path: Path) -> AbstractContextManager[Path]:
    """Return `atomic_folder` for an OME-Zarr folder, `atomic_file` for a file of any other format."""
    return atomic_folder(path, "zarr.json") if path.suffix == ".zarr" else atomic_file(path)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, unless they exist; errors as in `require_no_file`."""
    require_no_file(path)
    path.mkdir(parents=True, exist_ok=True)


def require_no_file(folder: Path) -> None:
    """Raise BadInput if a folder to write to, or one of its parents, is a file."""
    for part in (folder, *folder.parents):
        if os.path.exists(part) and not os.path.isdir(part):
            raise BadInput(part, "a file", "a folder, or nothing", "move it away, or write to another folder")


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
    """Hold a lock on an open file or folder, which shows other processes that it is in use; close it at the end.

    Without support for locks by the file system, or if another process holds the lock, continue without it.
    """
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
    if len(files := split_file_names(path)) > 1:
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
