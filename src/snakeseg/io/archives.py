"""Packages: folders as zips with fixed times, and the files that are wanted out of zips of whatever origin."""

import shutil
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from snakeseg.errors import BadInput
from snakeseg.io.files import EPOCH, atomic_file

# What a package may unpack to: so many times its own size, and what small files come to.
GROWTH, SMALL = 20, 2**24
# What a zip that is damaged, or meant to do damage, makes Python's reader raise.
BROKEN = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, UnicodeDecodeError)
# These are as small as they get.
DENSE = (".safetensors", ".pt", ".ts", ".onnx", ".npy")


def write_package(folder: Path, output: Path) -> None:
    """All files of a folder as a zip; the same files make the same bytes."""
    with atomic_file(output) as beside, zipfile.ZipFile(beside, "w") as archive:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_STORED if path.suffix in DENSE else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with open(path, "rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)


def extract(package: Path, wanted: Collection[str], needed: Collection[str], folder: Path) -> None:
    """Take files of these names, and no others, out of a zip into a folder.

    Parameters
    ----------
    package : path
    wanted : collection of str
        Names at the zip's root.
    needed : collection of str
        Those of them that must be there.
    folder : path

    Raises
    ------
    BadInput
        If it is no zip, lacks a file, has names that lead out of it, or unpacks to far more than its own size.
    """
    try:
        with zipfile.ZipFile(package) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            _require_safe(package, archive.infolist())
            missing = [name for name in needed if name not in entries]
            if missing:
                expected = "a package made by snakeseg export --format bioimageio"
                raise BadInput(package, f"no {', '.join(missing)} in it", expected, "use the program that made it")
            chosen = [entries[name] for name in wanted if name in entries]
            size, limit = sum(entry.file_size for entry in chosen), GROWTH * package.stat().st_size + SMALL
            if size > limit:
                found, most = (f"{number / 1e6:.0f} MB" for number in (size, limit))
                raise BadInput(package, f"files that unpack to {found}", f"at most {most}", "take it from its makers")
            for entry in chosen:  # no more than it says is read of any
                with archive.open(entry) as source, open(folder / entry.filename, "wb") as target:
                    shutil.copyfileobj(source, target)
    except BROKEN as error:
        raise BadInput(package, str(error) or "a damaged file", "a zip", "download it again") from error


def _require_safe(package: Path, entries: list[zipfile.ZipInfo]) -> None:
    """No name twice, and none that leads out of a folder."""
    names = [entry.filename for entry in entries]
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name:
            raise BadInput(package, f"the name {name!r} in it", "names inside the package", "do not trust it")
    if len(set(names)) < len(names):
        raise BadInput(package, "a name twice", "each file once", "do not trust it")
