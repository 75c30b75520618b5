"""Checks of the XML header of an OME-TIFF, before tifffile uses it."""

import math
import re
from pathlib import Path
from xml.etree import ElementTree

from snakeseg.errors import BadInput
from snakeseg.io.readers.sidecar_files import require_beside

# Attributes with counts or indices.
PLANE_COUNT = re.compile("Size[A-Z]|First[A-Z]|IFD|NumPlanes|PlaneCount")
# Attributes of elements ModuloAlong* (subdivided axes), with their default values.
MODULO_DEFAULTS = {"Start": 0, "End": 0, "Step": 1}
# Attributes that count planes, and sizes along axes within a plane.
PLANE_COUNTS, IN_PLANE_SIZES = ("PlaneCount", "NumPlanes"), ("SizeX", "SizeY")
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
        names += [attributes["FileName"]] if attributes.get("FileName") else []
    require_beside(path, names)


def _count_planes(numbers: dict[str, int]) -> int:
    """Return the number of planes of an image by its sizes along all axes but x and y; 0 without sizes."""
    sizes = [size for key, size in numbers.items() if key.startswith("Size") and key not in IN_PLANE_SIZES]
    return math.prod(sizes) if sizes else 0
