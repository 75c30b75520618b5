"""Marks of files and rows for params: short texts that change with a file's size or time, or a row of the sheet."""

import hashlib
import os
from functools import cache
from glob import escape, glob

# Headers whose pixels lie in files of the same name.
HEADERS = (".mhd", ".nhdr")
# Entries of a folder whose times are compared.
MAX_LISTED = 10_000


@cache
def file_status(path):
    """Return size and time of a file and of those that belong to it; None of those that are missing or simulated."""
    if not path or config["simulate"]:
        return None
    try:
        if os.path.isdir(path):
            return folder_status(path)
        belonging = glob(f"{escape(os.path.splitext(path)[0])}.*") if path.endswith(HEADERS) else [path]
        return [(status.st_size, status.st_mtime_ns) for status in map(os.stat, sorted(belonging))]
    except OSError:  # `check` reports it
        return None


def entry_status(entry):
    """Return size and time of a file in a folder, or of a link to nothing itself."""
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
            found = sorted(listing, key=lambda entry: entry.name)
        todo += [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
        entries += [(entry.path, *entry_status(entry)) for entry in found]
    return [hashlib.sha256(repr(entries).encode("utf-8", "surrogateescape")).hexdigest()[:16]]


def file_mark(path):
    """Return a name for a file that changes with it."""
    return " ".join(map(str, [path or "", *(file_status(path) or ())]))


def on_disk(cell):
    """Return the paths of the files that a cell names; of one of several images in a file, that file's."""
    return [str(file_names.file_and_number(path)[0]) for path in file_names.files_of(cell)] if cell else []


@cache
def row_mark(index):
    """Return a short name for the content of a row and of the files it names."""
    marks = [file_mark(path) for column in ("image", "label") for path in on_disk(FILES[column][index])]
    return hashlib.blake2b("\n".join([TEXTS[index], *marks]).encode(), digest_size=16).digest()


def digest(rows):
    """Return the same for some rows, by their positions."""
    return hashlib.sha256(b"".join(map(row_mark, rows))).hexdigest()[:16]


def training_digest(wildcards):
    return digest(TRAINING)


def batch_digest(wildcards):
    if wildcards.batch not in ROWS:
        raise refusal(BadInput(SHEET, f"no batch '{wildcards.batch}'", "one of the sheet's", "correct the target"))
    return digest(ROWS[wildcards.batch])


def model_mark(*names):
    """Return a mark of each of these files of the config's model: one that takes its place may be older."""
    return [file_mark(path) for path in model_files(*names)] if MODEL else []
