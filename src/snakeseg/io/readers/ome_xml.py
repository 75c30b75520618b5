"""The XML of an OME-TIFF, judged before tifffile takes it at its word."""

import math
import re
from pathlib import Path
from xml.etree import ElementTree

from snakeseg.errors import BadInput
from snakeseg.io.readers.sidecar_files import require_beside

COUNT = re.compile("Size[A-Z]|First[A-Z]|IFD|NumPlanes|PlaneCount")
MODULO = {"Start": 0, "End": 0, "Step": 1}
PLANES, NOT_PLANES = ("PlaneCount", "NumPlanes"), ("SizeX", "SizeY")
# Lists are made as long as it says, of each image.
MOST = 2**24


def require_harmless(path: Path, text: str) -> None:
    """Raise BadInput if the XML has entities, counts that no image has, or names of files elsewhere."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadInput(path, "a document type in its OME header", "none", "export the image again")
    names, planes = [], 0
    for element in ElementTree.fromstring(text).iter():
        told = element.attrib
        numbers = {key: int(value) for key, value in told.items() if COUNT.fullmatch(key)}
        if element.tag.split("}")[-1].startswith("ModuloAlong"):
            start, end, step = (float(told.get(key, default)) for key, default in MODULO.items())
            numbers["steps"] = int((end - start) / step)
        planes += sum(numbers.get(key, 0) for key in PLANES) + _planes_of(numbers)
        numbers["planes"] = planes
        wrong = [f"{key}={value}" for key, value in numbers.items() if not 0 <= value <= MOST]
        if wrong:
            raise BadInput(path, f"{wrong[0]} in its OME header", f"0 to {MOST}", "export the image again")
        names += [told["FileName"]] if told.get("FileName") else []
    require_beside(path, names)


def _planes_of(numbers: dict[str, int]) -> int:
    """Planes of an image, by its sizes along all axes but x and y; 0 without sizes."""
    sizes = [size for key, size in numbers.items() if key.startswith("Size") and key not in NOT_PLANES]
    return math.prod(sizes) if sizes else 0
