"""Files that belong to an image besides the one that is named: regular files of its own folder only.

Libraries open whatever a header names, or a folder holds. A link is followed, so it is the real path that counts: it
must lie below the folder of the image as it was given, or, if the image is given as a link, below the folder of the
real file. So data sets of links work as long as header and data lie together, and an image never shows what lies
elsewhere.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from snakeseg.errors import BadInput


def require_beside(path: Path, names: Iterable[str]) -> None:
    """Raise BadInput unless files that a header names lie in its folder or below; missing ones are let pass."""
    # Of an image that is a link, libraries differ in where they look for its files.
    folders = [path.parent, Path(os.path.realpath(path)).parent]
    roots = {os.path.realpath(folder) for folder in folders}
    for name in names:
        companion = Path(name)
        if companion.is_absolute() or ".." in companion.parts:
            found = f"'{name[:200].encode(errors='replace').decode()}' in its header"
            raise BadInput(path, found, "files of its own folder", "move them there, and correct the header")
        for folder in folders:
            require_own(folder / companion, roots)


def require_plain(folder: Path) -> None:
    """Raise BadInput if an entry of a folder is neither file nor folder, or a link that leads out of it."""
    roots = {os.path.realpath(folder)}
    for entry in sorted(folder.iterdir()):
        require_own(entry, roots)


def require_own(path: Path, roots: Iterable[str]) -> None:
    """Raise BadInput if a path leads out of all of these folders (real paths), or to what is neither file nor folder.

    A path to nothing is let pass: its reader says what it misses.
    """
    real = os.path.realpath(path)
    if not any(os.path.commonpath([root, real]) == root for root in roots):
        raise BadInput(path, f"a link to {real}", "a file of its own folder", "put the file there in place of the link")
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise BadInput(path, "a pipe, socket or device", "a file", "move it elsewhere")
