"""Zip packages: write a folder reproducibly, extract named files from an untrusted package."""

import shutil
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from snakeseg.errors import BadInput
from snakeseg.io.files import EPOCH, atomic_file

# Limit of the extracted size: bytes per byte of the package, plus an allowance in bytes for small text files.
MAX_PACKAGE_RATIO, SMALL_FILES_BYTES = 20, 2**24
# Errors that Python's zipfile raises on damaged or malicious files.
ZIP_ERRORS = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, UnicodeDecodeError)
# Suffixes of files that compression does not make smaller.
INCOMPRESSIBLE = (".safetensors", ".pt", ".ts", ".onnx", ".npy")


def write_package(folder: Path, output: Path) -> None:
    """Write all files of a folder as a zip; equal files give equal bytes."""
    with atomic_file(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_STORED if path.suffix in INCOMPRESSIBLE else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with open(path, "rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)


def extract(package: Path, wanted: Collection[str], needed: Collection[str], folder: Path) -> None:
    """Extract the named files, and no others, from a zip into a folder.

    Parameters
    ----------
    package : path
    wanted : collection of str
        Names of files at the root of the zip.
    needed : collection of str
        The names among them that the zip must contain.
    folder : path
        Existing folder for the extracted files.

    Raises
    ------
    BadInput
        If the file is not a zip, lacks a needed file, has entries with unsafe names, or unpacks to more than
        `MAX_PACKAGE_RATIO` times its size.
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
            size = sum(entry.file_size for entry in chosen)
            limit = MAX_PACKAGE_RATIO * package.stat().st_size + SMALL_FILES_BYTES
            if size > limit:
                found, expected = f"files that unpack to {size / 1e6:.0f} MB", f"at most {limit / 1e6:.0f} MB"
                raise BadInput(package, found, expected, "download it again from its authors")
            for entry in chosen:  # zipfile reads at most the stated file_size of an entry
                with archive.open(entry) as source, open(folder / entry.filename, "wb") as target:
                    shutil.copyfileobj(source, target)
    except ZIP_ERRORS as error:
        raise BadInput(package, str(error) or "a damaged file", "a zip file", "download it again") from error


def _require_safe(package: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Raise BadInput if an entry's name occurs twice or leads out of the folder of extraction."""
    names = [entry.filename for entry in entries]
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name:
            raise BadInput(package, f"the file name {name!r}", "names inside the package", "do not use this package")
    if len(set(names)) < len(names):
        raise BadInput(package, "a file name twice", "unique file names", "do not use this package")
