"""Objects of planes as polygons: ImageJ's ROI (.roi, .zip of them) through roifile, an extra, and GeoJSON (QuPath)."""

import json
import math
import zipfile
from pathlib import Path

import numpy as np

from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_file, require_kind, write_text

SUFFIXES = (".geojson", ".json", ".roi", ".zip")
# Bytes that all entries of a .zip may unpack to.
MOST = 2**28
# Points beyond these belong to no image.
FARTHEST = 1e9

Polygons = list[tuple[int, list[np.ndarray]]]


def read_shapes(path: Path) -> Polygons:
    """Ids and rings of polygons, points (x, y); ids are the names, if all are distinct whole numbers, else 1, 2, ...

    Raises
    ------
    BadInput
        If the file is missing, damaged, holds more than it could, or shapes without an inside.
    """
    require_kind(path, False, "outlines", "correct the path")
    try:
        named = _geojson(path) if path.suffix.lower() in (".geojson", ".json") else _rois(path)
        for name, rings in named:
            for ring in rings:
                if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3 or not (np.abs(ring) < FARTHEST).all():
                    raise ValueError(f"'{name}' of points of shape {ring.shape}; expected three or more (x, y)")
    except BadInput:
        raise
    except Exception as error:  # whatever a damaged file leads to
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        remedy = "save the shapes again, as polygons or masks"
        raise BadInput(path, f"no outlines ({cause})", "GeoJSON or ImageJ's ROI", remedy) from error
    names = [name for name, _ in named]
    whole = all(name.isdecimal() and 0 < int(name) < 2**32 for name in names)
    ids = [int(name) for name in names] if whole else list(range(1, len(names) + 1))
    return [(number, rings) for number, (_, rings) in zip(ids, named, strict=True)]


def _geojson(path: Path) -> list[tuple[str, list[np.ndarray]]]:
    told = json.loads(path.read_text(encoding="utf-8"))
    found = []
    for feature in told["features"] if isinstance(told, dict) and "features" in told else told:
        kind, parts = feature["geometry"]["type"], feature["geometry"]["coordinates"]
        if kind not in ("Polygon", "MultiPolygon"):
            raise ValueError(f"a {kind}; expected Polygon or MultiPolygon")
        rings = [np.array(ring, float) for part in ([parts] if kind == "Polygon" else parts) for ring in part]
        found.append((str((feature.get("properties") or {}).get("name", "")), rings))
    return found


def _rois(path: Path) -> list[tuple[str, list[np.ndarray]]]:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST:
            raise ValueError(f"{size} bytes when unpacked; expected at most {MOST}")
    found = _library(path).roiread(path)
    rois = found if isinstance(found, list) else [found]
    return [(roi.name, [np.asarray(ring, float) for ring in roi.coordinates(multi=True)] if roi.composite
             else [np.asarray(roi.coordinates(), float)]) for roi in rois]  # fmt: skip


def write_shapes(path: Path, outlines: dict[int, list[list[np.ndarray]]]) -> None:
    """Write polygons by id as GeoJSON, or, if none has holes or pieces, as a .zip of ImageJ's ROI.

    Raises
    ------
    BadInput
        If an object has holes or several pieces, which ROI do not tell.
    """
    if path.suffix.lower() in (".geojson", ".json"):
        write_text(path, json.dumps({"type": "FeatureCollection", "features": list(map(_feature, outlines.items()))}))
        return
    roifile = _library(path)
    for number, polygons in outlines.items():
        if len(polygons) > 1 or len(polygons[0]) > 1:
            found = f"object {number} in {len(polygons)} pieces with {sum(map(len, polygons)) - len(polygons)} holes"
            raise BadInput(path, found, "one piece without holes", "write .geojson, which can tell them")
    digits = int(math.log10(max(outlines, default=1))) + 1
    with atomic_file(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, ((ring,),) in outlines.items():
            name = f"{number:0{digits}d}"
            roi = roifile.ImagejRoi.frompoints(ring[:-1].astype(np.float32), name=name)
            archive.writestr(zipfile.ZipInfo(f"{name}.roi", (1980, 1, 1, 0, 0, 0)), roi.tobytes())


def _feature(item: tuple[int, list[list[np.ndarray]]]) -> dict:
    number, polygons = item
    parts = [[ring.tolist() for ring in polygon] for polygon in polygons]
    kind, told = ("Polygon", parts[0]) if len(parts) == 1 else ("MultiPolygon", parts)
    properties = {"objectType": "annotation", "name": str(number)}
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": told}, "properties": properties}


def _library(path: Path):
    try:
        import roifile
    except ImportError as error:
        raise BadInput(
            path, "no roifile to read or write it with", "it", "pip install roifile, or use .geojson"
        ) from error
    return roifile
