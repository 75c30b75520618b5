"""Metadata of OME-Zarr, NGFF 0.1 to 0.5: images in a group, and their axes. https://ngff.openmicroscopy.org"""

from collections.abc import Sequence
from itertools import count, takewhile
from pathlib import Path, PurePosixPath

import zarr

from snakeseg.errors import BadInput
from snakeseg.io.readers.sidecar_files import require_own
from snakeseg.text import CONTROL

# Axes without metadata: the last ones of these. NGFF 0.1 and 0.2 have all five.
PLAIN_AXES = "TCZYX"
# Letters of axes by their types and by names of several letters.
LETTERS = {"channel": "C", "time": "T"}
# Key of a group that holds one image per series of a file.
SERIES_LAYOUT = "bioformats2raw.layout"
# Largest number of images in a group; plates have up to 6144 wells.
MAX_IMAGES = 10**5


def ngff_attributes(group: zarr.Group) -> dict:
    """Return the attributes of a group; NGFF 0.5 keeps them under the key ome."""
    attributes = dict(group.attrs)
    return attributes.get("ome", attributes)


def image_paths(path: Path, group: zarr.Group) -> list[str]:
    """List the images in a group by its metadata.

    Parameters
    ----------
    path : path
        Folder of the group.
    group : Group
        An image, a plate, a well, labels, or the output of bioformats2raw.

    Returns
    -------
    list of str
        Paths relative to the group: [""] if it is an image itself, and [] if its metadata lists no images.

    Raises
    ------
    BadInput
        If the metadata names a path out of the folder, or a link leads there.
    """
    attributes = ngff_attributes(group)
    if attributes.get("multiscales"):
        return [""]
    if "plate" in attributes:
        wells = _inner_paths(path, [well["path"] for well in attributes["plate"]["wells"]])
        paths = (f"{well}/{field}" for well in wells for field in _fields(ngff_attributes(group[well])))
    elif "well" in attributes:
        paths = _fields(attributes)
    elif SERIES_LAYOUT in attributes:
        paths = _series(group)
    else:
        paths = attributes.get("labels", [])
    return _inner_paths(path, paths)


def _fields(attributes: dict) -> list[str]:
    """Return the paths of the images of a well."""
    return [image["path"] for image in attributes["well"]["images"]]


def _series(group: zarr.Group) -> Sequence[str]:
    """Return the paths of the series of bioformats2raw, which its group OME lists; by default 0, 1, ..."""
    listed = ngff_attributes(group["OME"]).get("series") if "OME" in group else None
    return listed or list(takewhile(lambda name: name in group, map(str, count())))


def _inner_paths(path: Path, paths) -> list[str]:
    """Return paths in a group without repetitions; raise BadInput if one leads out of its folder."""
    inner: dict[str, None] = {}
    for name in paths:
        parts = PurePosixPath(name).parts
        if not parts or "/" in parts or ".." in parts or ";" in name or CONTROL.search(name):
            found, remedy = f"the path {name[:200]!r} in its metadata", "export the image again"
            raise BadInput(path, found, "names of folders in it", remedy)
        require_own(path / name, [str(path.resolve())])
        inner[PurePosixPath(name).as_posix()] = None
        if len(inner) > MAX_IMAGES:
            raise BadInput(path, f"more than {MAX_IMAGES} images", "fewer", "name single images in it")
    return list(inner)


def axis_letters(path: Path, multiscale: dict, dims: int) -> str:
    """Return the letters of the axes of an image.

    Parameters
    ----------
    path : path
        The image, for errors.
    multiscale : dict
        Its metadata: no axes in NGFF 0.1 and 0.2, names in 0.3, names and types since 0.4. Empty for a plain array.
    dims : int
        Number of axes of its array.

    Raises
    ------
    BadInput
        If an axis is neither x, y or z nor channels or time.
    """
    letters = []
    for axis in multiscale.get("axes") or (PLAIN_AXES[-dims:] if dims != 3 else "ZYX"):
        axis = {"name": axis} if isinstance(axis, str) else axis
        name = axis["name"].lower()
        letter = LETTERS.get(axis.get("type"), LETTERS.get(name, name.upper()))
        if letter not in PLAIN_AXES:
            raise BadInput(path, f"an axis '{name}'", "axes named x, y, z, c and t", "rename it in the metadata")
        letters.append(letter)
    return "".join(letters)
