"""Whole files: outputs appear complete or not at all (written beside, flushed, renamed), and have checksums."""

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

# Names of temporary files and folders: a random token, then the end of the name of the output.
TEMPORARY = re.compile(r"\.part-[0-9a-f]{16}\.(.+)", re.DOTALL)
TOKEN_END, MAX_NAME = len(".part-0123456789abcdef."), 200
# The time of all entries of zips, so that the same content makes the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
# Bytes that gzip and zlib unpack from one byte at most; and a bound for the pixels that any codec does. Zstandard,
# the tightest in use, packs a constant chunk 30,000 to 1, and images of cells or tissue up to 100 to 1.
DEFLATE_RATIO, PIXELS_PER_BYTE = 1032, 10**5


def require_kind(path: str | Path, folder: bool, what: str, remedy: str) -> None:
    """Raise BadInput unless there is a file, or a folder; pipes and devices are neither, and might never end."""
    file, _ = file_and_number(path)
    if os.path.isdir(file) if folder else os.path.isfile(file):  # Path's own raise errors of names that are too long
        return
    if os.path.isdir(file) or os.path.isfile(file):
        raise BadInput(path, "a file, not a folder" if folder else "a folder, not a file", what, remedy)
    if os.path.exists(file):
        raise BadInput(path, "a pipe, socket or device, not a file", what, remedy)
    raise BadInput(path, "a link to nothing" if os.path.islink(file) else "no such file", what, remedy)


def require_memory(path: str | Path, shape: Sequence[int], size: int, remedy: str) -> None:
    """Raise BadInput if pixels of so many bytes that can only be read together take more than half of the memory."""
    most = psutil.virtual_memory().total / 2 / size
    if math.prod(map(int, shape)) > most:
        found = f"{' x '.join(map(str, shape))} pixels in one piece"
        raise BadInput(path, found, f"less than {most / 1e6:.0f} million of them", remedy)


def require_stored(path: str | Path, shape: Sequence[int], stored: int, least: float) -> None:
    """Raise BadInput if pixels of a shape are stored in fewer bytes than `least`.

    Otherwise a file of a few bytes that claims to hold terapixels would keep its reader busy without end.
    """
    if stored < least:
        found = f"{' x '.join(map(str, shape))} pixels in {stored} bytes"
        raise BadInput(path, found, f"at least {math.ceil(least)} bytes for them", "copy it again from its source")


def stored_bytes(folder: str | Path, enough: float) -> int:
    """Bytes of the files in a folder and below, or fewer if these are `enough`; links count as themselves."""
    held, folders = 0, [os.fspath(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if held >= enough:
                    return held
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    held += entry.stat(follow_symlinks=False).st_size
    return held


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to; the file takes the place of `path` when the block ends without an error.

    The temporary file has an unpredictable name in the same folder. Leftovers of killed processes are removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    beside = temporary_name(path)
    handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with _room(path), _held(handle):
            yield beside
            written = os.open(beside, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(written)
            finally:
                os.close(written)
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, mark: str | None = None) -> Iterator[Path]:
    """Yield a folder to fill; it takes the place of `path` when the block ends without an error.

    Parameters
    ----------
    path : path
    mark : str, optional
        Name of a file that only folders of this kind hold. A folder without it is replaced only if it is empty.

    Raises
    ------
    BadInput
        If there is a file, a link, or a folder with other content in its place.
    """
    path = Path(path)
    _require_replaceable(path, mark)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(path) as beside, _room(path):
        yield beside
        shutil.rmtree(path, ignore_errors=True)
        beside.replace(path)


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
    """Yield a new folder beside `path`, removed after the block; leftovers of killed processes are removed first."""
    _remove_leftovers(path)
    beside = temporary_name(path)
    beside.mkdir()
    try:
        with _held(os.open(beside, os.O_RDONLY | os.O_NOFOLLOW)):
            yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def temporary_name(path: Path) -> Path:
    """Return an unpredictable name beside `path`, or beside the path that `path` is a temporary name of."""
    match = TEMPORARY.fullmatch(path.name)
    return path.with_name(f".part-{secrets.token_hex(8)}.{(match[1] if match else path.name)[-MAX_NAME:]}")


@contextmanager
def _held(handle: int) -> Iterator[None]:
    """Lock an open file or folder as a sign that its process is alive; without effect where locks are not supported."""
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files and folders of the same path that no living process holds."""
    name = temporary_name(path).name[TOKEN_END:]
    for leftover in _temporary_names(path.parent):
        if leftover[TOKEN_END:] == name and not _is_held(path.parent / leftover):
            with suppress(OSError):
                (path.parent / leftover).unlink()
            shutil.rmtree(path.parent / leftover, ignore_errors=True)


@cache
def _temporary_names(folder: Path) -> list[str]:
    """List the temporary names in a folder, once for each process: names that appear later are not leftovers."""
    return [name for name in os.listdir(folder) if TEMPORARY.fullmatch(name)] if folder.is_dir() else []


def _is_held(path: Path) -> bool:
    """Return False if no living process holds a temporary file or folder; True also if that cannot be determined."""
    try:
        mode = os.O_RDONLY if path.is_dir() else os.O_RDWR  # NFS locks only files that are open for writing
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
    path, _ = file_and_number(path)
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.is_file())
        text = "".join(f"{one.relative_to(path)} {checksum(one)}\n" for one in files)
        return hashlib.sha256(text.encode()).hexdigest()
    status = path.stat()
    return _checksum(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _checksum(path: Path, size: int, time: int) -> str:
    """Of a file as it was then: one that holds many images is asked for by each."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
