"""Digests for params: short texts that change with the size or time of a file, or with a row of the sheet."""

import hashlib
import os
from functools import cache
from glob import escape, glob

# Suffixes of headers whose pixels lie in other files of the same name.
HEADERS = (".mhd", ".nhdr")
# Largest number of entries of a folder whose sizes and times are compared.
MAX_LISTED = 10_000


@cache
def file_status(path):
    """Return sizes and times of a file and of its pixel files; None if it is missing or simulated."""
    if not path or config["simulate"]:
        return None
    try:
        if os.path.isdir(path):
            return folder_status(path)
        paths = glob(f"{escape(os.path.splitext(path)[0])}.*") if path.endswith(HEADERS) else [path]
        return [(status.st_size, status.st_mtime_ns) for status in map(os.stat, sorted(paths))]
    except OSError:  # `check` reports the problem
        return None


def entry_status(entry):
    """Return size and time of a file in a folder; of a broken link, those of the link."""
    try:
        status = entry.stat()
    except OSError:
        status = entry.stat(follow_symlinks=False)
    return status.st_size, status.st_mtime_ns


def folder_status(path):
    """Return a digest of the names, sizes and times of the first `MAX_LISTED` files in a folder (Zarr, DICOM)."""
    entries, todo = [], [path]
    while todo and len(entries) < MAX_LISTED:
        with os.scandir(todo.pop()) as listing:
            files = sorted(listing, key=lambda entry: entry.name)
        todo += [entry.path for entry in files if entry.is_dir(follow_symlinks=False)]
        entries += [(entry.path, *entry_status(entry)) for entry in files]
    return [hashlib.sha256(repr(entries).encode("utf-8", "surrogateescape")).hexdigest()[:16]]


def file_mark(path):
    """Return the path of a file with its size and time."""
    return " ".join(map(str, [path or "", *(file_status(path) or ())]))


def on_disk(cell):
    """Return the paths of the files that a cell of the sheet names, without numbers of images in them."""
    return [str(file_names.file_and_number(path)[0]) for path in file_names.split_file_names(cell)] if cell else []


@cache
def row_mark(index):
    """Return a digest of a row of the sheet and of the sizes and times of its files."""
    marks = [file_mark(path) for column in ("image", "label") for path in on_disk(CELLS[column][index])]
    return hashlib.blake2b("\n".join([ROW_TEXTS[index], *marks]).encode(), digest_size=16).digest()


def digest(rows):
    """Return a digest of several rows, by their positions in the sheet."""
    return hashlib.sha256(b"".join(map(row_mark, rows))).hexdigest()[:16]


def training_digest(wildcards):
    """Return a digest of all training rows."""
    return digest(TRAINING)


def batch_digest(wildcards):
    """Return a digest of the rows of a batch."""
    if wildcards.batch not in ROWS:
        remedy = "name one of the sheet's batches in the requested file"
        raise refusal(BadInput(SHEET, f"no batch '{wildcards.batch}'", "a batch of the sheet", remedy))
    return digest(ROWS[wildcards.batch])


def model_mark(*names):
    """Return paths, sizes and times of files of config.model: times alone would miss a replacement by an older file."""
    return [file_mark(path) for path in model_files(*names)] if MODEL else []
