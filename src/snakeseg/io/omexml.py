"""The XML of an OME-TIFF, judged before tifffile takes it at its word."""

import re
from pathlib import Path
from xml.etree import ElementTree

from snakeseg.errors import BadInput
from snakeseg.io.companions import require_beside

COUNT = re.compile("Size[A-Z]|First[A-Z]|IFD|NumPlanes|PlaneCount")
MODULO = {"Start": 0, "End": 0, "Step": 1}
# Lists are made as long as it says.
MOST = 2**24


def require_harmless(path: Path, text: str) -> None:
    """Raise BadInput if the XML has entities, counts that no image has, or names of files elsewhere."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadInput(path, "a document type in its OME header", "none", "export the image again")
    names = []
    for element in ElementTree.fromstring(text).iter():
        told = element.attrib
        numbers = {key: int(value) for key, value in told.items() if COUNT.fullmatch(key)}
        if element.tag.split("}")[-1].startswith("ModuloAlong"):
            start, end, step = (float(told.get(key, default)) for key, default in MODULO.items())
            numbers["steps"] = int((end - start) / step)
        wrong = [f"{key}={value}" for key, value in numbers.items() if not 0 <= value <= MOST]
        if wrong:
            raise BadInput(path, f"{wrong[0]} in its OME header", f"0 to {MOST}", "export the image again")
        names += [told["FileName"]] if told.get("FileName") else []
    require_beside(path, names)
