"""Files that a header names: in the same folder, and files indeed, since libraries open whatever it is."""

import os
from collections.abc import Iterable
from pathlib import Path

from snakeseg.errors import BadInput


def require_beside(path: Path, names: Iterable[str]) -> None:
    """Raise BadInput unless files that a header names lie in its folder or below; missing ones are let pass."""
    for name in names:
        given = Path(name)
        if given.is_absolute() or ".." in given.parts:
            found = f"'{name[:200]}' in its header"
            raise BadInput(path, found, "files of its own folder", "move them there, and correct the header")
        _require_plain(path.parent / given)


def require_plain(folder: Path) -> None:
    """Raise BadInput if anything in a folder is neither file nor folder."""
    for entry in sorted(folder.iterdir()):
        _require_plain(entry)


def _require_plain(path: Path) -> None:
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise BadInput(path, "a pipe, socket or device", "a file", "move it elsewhere")
