"""Checks of the further files of an image: they must be regular files in the image's folder or below.

Libraries open any file that a header names or a folder contains. Links are resolved: the real path must lie below the
folder of the image, or, if the image is a link, below the folder of its target. Data sets of links thus work as long
as header and data lie together, and an image never shows the content of a file elsewhere.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from snakeseg.errors import BadInput


def require_beside(path: Path, names: Iterable[str]) -> None:
    """Raise BadInput unless the files that a header names lie in its folder or below; missing files are accepted."""
    # For an image that is a link, some libraries search beside the link, others beside its target.
    folders = [path.parent, Path(os.path.realpath(path)).parent]
    roots = {os.path.realpath(folder) for folder in folders}
    for name in names:
        companion = Path(name)
        if companion.is_absolute() or ".." in companion.parts:
            found = f"'{name[:200].encode(errors='replace').decode()}' in its header"
            raise BadInput(path, found, "files in its own folder", "move them there, and correct the header")
        for folder in folders:
            require_own(folder / companion, roots)


def require_plain(folder: Path) -> None:
    """Raise BadInput if an entry of a folder is neither a file nor a folder, or a link that leads out of it."""
    roots = {os.path.realpath(folder)}
    for entry in sorted(folder.iterdir()):
        require_own(entry, roots)


def require_own(path: Path, roots: Iterable[str]) -> None:
    """Raise BadInput unless a path leads to a regular file or a folder below one of the folders `roots` (real paths).

    A path to nothing is accepted: the reader reports missing files.
    """
    real = os.path.realpath(path)
    if not any(os.path.commonpath([root, real]) == root for root in roots):
        raise BadInput(path, f"a link to {real}", "a file in its own folder", "put the file there in place of the link")
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise BadInput(path, "a pipe, socket or device", "a file", "move it elsewhere")
