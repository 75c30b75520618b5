"""Checks of the XML header of an OME-TIFF, before tifffile uses it."""

import math
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import tifffile

from snakeseg.errors import BadInput
from snakeseg.io.readers.sidecar_files import require_beside

# Attributes with counts or indices.
PLANE_COUNT = re.compile("Size[A-Z]|First[A-Z]|IFD|NumPlanes|PlaneCount")
# Attributes of elements ModuloAlong* (subdivided axes), with their default values.
MODULO_DEFAULTS = {"Start": 0, "End": 0, "Step": 1}
# Attributes that count planes, and sizes along axes within a plane.
PLANE_COUNTS, IN_PLANE_SIZES = ("PlaneCount", "NumPlanes"), ("SizeX", "SizeY")
# Attributes with the name of another file of a set: of planes, and of the header.
FILE_NAMES = ("FileName", "MetadataFile")
# Largest size of another file with the header, in bytes.
MAX_HEADER_BYTES = 2**28
# Largest count; tifffile allocates lists of this length.
MAX_COUNT = 2**24


def require_harmless(path: Path, text: str) -> None:
    """Raise BadInput if the XML has entities, counts that no image has, or names of files in other folders.

    Parameters
    ----------
    path : path
        The OME-TIFF.
    text : str
        Its XML header.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadInput(path, "a document type in its OME header", "XML without one", "export the image again")
    names, planes = [], 0
    for element in ElementTree.fromstring(text).iter():
        attributes = element.attrib
        numbers = {key: int(value) for key, value in attributes.items() if PLANE_COUNT.fullmatch(key)}
        if element.tag.split("}")[-1].startswith("ModuloAlong"):
            start, end, step = (float(attributes.get(key, default)) for key, default in MODULO_DEFAULTS.items())
            numbers["steps"] = int((end - start) / step)
        planes += sum(numbers.get(key, 0) for key in PLANE_COUNTS) + _count_planes(numbers)
        numbers["planes"] = planes
        wrong = [f"{key}={value}" for key, value in numbers.items() if not 0 <= value <= MAX_COUNT]
        if wrong:
            raise BadInput(path, f"{wrong[0]} in its OME header", f"0 to {MAX_COUNT}", "export the image again")
        names += [attributes[key] for key in FILE_NAMES if attributes.get(key)]
    require_beside(path, names)


def _count_planes(numbers: dict[str, int]) -> int:
    """Return the number of planes of an image by its sizes along all axes but x and y; 0 without sizes."""
    sizes = [size for key, size in numbers.items() if key.startswith("Size") and key not in IN_PLANE_SIZES]
    return math.prod(sizes) if sizes else 0


def read_header_elsewhere(path: Path, text: str) -> str | None:
    """Read the XML header of a set of OME-TIFF files that lies in another file than the planes.

    Parameters
    ----------
    path : path
        An OME-TIFF.
    text : str
        Its XML header, which may only name the file of the header.

    Returns
    -------
    str or None
        Header in which all planes have file names; None if `text` is a header itself.

    Raises
    ------
    BadInput
        If the file of the header is missing or too large, or by `require_harmless`.
    """
    require_harmless(path, text)
    names = [e.attrib.get("MetadataFile", "") for e in ElementTree.fromstring(text) if e.tag.endswith("BinaryOnly")]
    if not names:
        return None
    # `require_harmless` has checked the file beside the image, and beside its target if it is a link.
    folders = (path.parent, Path(os.path.realpath(path)).parent)
    file = next((folder / names[0] for folder in folders if os.path.isfile(folder / names[0])), None)
    if file is None or (file.stat().st_size > MAX_HEADER_BYTES and not _is_tiff(file)):
        found, remedy = f"no file {names[0]} of at most 256 MB beside it", "copy all of its files into one folder"
        raise BadInput(path, found, "this file, which has its OME header", remedy)
    header = _tiff_header(file) if _is_tiff(file) else file.read_text(encoding="utf-8")
    require_harmless(file, header)
    root = ElementTree.fromstring(header)
    # tifffile would take planes of the file with the header for planes of the file that it opens.
    root.attrib.pop("UUID", None)
    for data in [element for element in root.iter() if element.tag.endswith("TiffData") and not len(element)]:
        ElementTree.SubElement(data, "UUID", FileName=file.name).text = "urn:header"
    return ElementTree.tostring(root, encoding="unicode")


def _is_tiff(path: Path) -> bool:
    return path.suffix.lower() in (".tif", ".tiff")


def _tiff_header(path: Path) -> str:
    with tifffile.TiffFile(path, is_ndtiff=False, is_mmstack=False) as file:
        return file.ome_metadata or ""
