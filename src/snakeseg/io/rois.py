"""Object outlines as polygons in 2D: ImageJ ROIs (.roi, .zip; through roifile, an extra) and GeoJSON (QuPath)."""

import json
import math
import zipfile
from pathlib import Path

import numpy as np

from snakeseg.errors import BadInput
from snakeseg.io.files import EPOCH, atomic_file, write_text
from snakeseg.io.input_checks import require_kind

SUFFIXES = (".geojson", ".json", ".roi", ".zip")
# Largest total size of the unpacked entries of a .zip, in bytes.
MAX_ZIP_BYTES = 2**28
# Largest absolute coordinate of a point, in pixels.
MAX_COORDINATE = 1e9

Polygons = list[tuple[int, list[np.ndarray]]]


def read_shapes(path: Path) -> Polygons:
    """Read the outlines of objects.

    Parameters
    ----------
    path : path
        GeoJSON (.geojson, .json) or ImageJ ROI (.roi, .zip).

    Returns
    -------
    list of (int, list of array)
        Id and rings of each object; a ring has shape (points, 2), in pixels, (x, y). Ids are the names of the shapes
        if all names are positive whole numbers, otherwise 1, 2, ...

    Raises
    ------
    BadInput
        If the file is missing, damaged or too large when unpacked, or has shapes without an area, such as lines.
    """
    require_kind(path, False, "outlines", "correct the path")
    try:
        named = _geojson(path) if path.suffix.lower() in (".geojson", ".json") else _rois(path)
        for name, rings in named:
            for ring in rings:
                if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3 or not (np.abs(ring) < MAX_COORDINATE).all():
                    raise ValueError(f"'{name}' of points of shape {ring.shape}; expected three or more (x, y)")
    except BadInput:
        raise
    except Exception as error:  # any error of the parsers on a damaged file
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        remedy = "save the shapes again, as polygons or masks"
        raise BadInput(path, f"no outlines ({cause})", "GeoJSON or ImageJ's ROI", remedy) from error
    names = [name for name, _ in named]
    names_are_ids = all(name.isdecimal() and 0 < int(name) < 2**32 for name in names)
    ids = [int(name) for name in names] if names_are_ids else list(range(1, len(names) + 1))
    return [(number, rings) for number, (_, rings) in zip(ids, named, strict=True)]


def _geojson(path: Path) -> list[tuple[str, list[np.ndarray]]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    shapes = []
    for feature in content["features"] if isinstance(content, dict) and "features" in content else content:
        kind, parts = feature["geometry"]["type"], feature["geometry"]["coordinates"]
        if kind not in ("Polygon", "MultiPolygon"):
            raise ValueError(f"a {kind}; expected Polygon or MultiPolygon")
        rings = [np.array(ring, float) for part in ([parts] if kind == "Polygon" else parts) for ring in part]
        shapes.append((str((feature.get("properties") or {}).get("name", "")), rings))
    return shapes


def _rois(path: Path) -> list[tuple[str, list[np.ndarray]]]:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_ZIP_BYTES:
            raise ValueError(f"{size} bytes when unpacked; expected at most {MAX_ZIP_BYTES}")
    content = _import_roifile(path).roiread(path)
    rois = content if isinstance(content, list) else [content]
    return [(roi.name, [np.asarray(ring, float) for ring in roi.coordinates(multi=True)] if roi.composite
             else [np.asarray(roi.coordinates(), float)]) for roi in rois]  # fmt: skip


def write_shapes(path: Path, outlines: dict[int, list[list[np.ndarray]]]) -> None:
    """Write the outlines of objects.

    Parameters
    ----------
    path : path
        GeoJSON (.geojson, .json), otherwise a .zip of ImageJ ROIs.
    outlines : dict
        Polygons of each object by its id. A polygon is a list of closed rings, the outer one first, then its holes; a
        ring has shape (points, 2), in pixels, (x, y).

    Raises
    ------
    BadInput
        If an object has holes or several pieces, which ImageJ ROIs cannot store.
    """
    if path.suffix.lower() in (".geojson", ".json"):
        write_text(path, json.dumps({"type": "FeatureCollection", "features": list(map(_feature, outlines.items()))}))
        return
    roifile = _import_roifile(path)
    for number, polygons in outlines.items():
        if len(polygons) > 1 or len(polygons[0]) > 1:
            found = f"object {number} in {len(polygons)} pieces with {sum(map(len, polygons)) - len(polygons)} holes"
            raise BadInput(path, found, "one piece without holes", "write .geojson, which stores pieces and holes")
    digits = int(math.log10(max(outlines, default=1))) + 1
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, ((ring,),) in outlines.items():
            name = f"{number:0{digits}d}"
            roi = roifile.ImagejRoi.frompoints(ring[:-1].astype(np.float32), name=name)
            archive.writestr(zipfile.ZipInfo(f"{name}.roi", EPOCH), roi.tobytes())


def _feature(item: tuple[int, list[list[np.ndarray]]]) -> dict:
    number, polygons = item
    parts = [[ring.tolist() for ring in polygon] for polygon in polygons]
    kind, coordinates = ("Polygon", parts[0]) if len(parts) == 1 else ("MultiPolygon", parts)
    properties = {"objectType": "annotation", "name": str(number)}
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def _import_roifile(path: Path):
    try:
        import roifile
    except ImportError as error:
        expected = "the package roifile, for ImageJ ROIs"
        raise BadInput(path, "no roifile", expected, "pip install roifile, or use .geojson") from error
    return roifile
