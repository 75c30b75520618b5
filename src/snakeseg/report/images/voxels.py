"""Volumes for the page's viewer: the image as a sheet of slices, labels deflated, and pictures of surfaces.

The page cuts all three planes out of the same voxels, so that none is carried three times.
"""

import base64
import zlib

import numpy as np

from snakeseg.report.images.meshes import draw_surfaces
from snakeseg.report.images.pictures import CLASS_COLOURS, KIND_COLOURS, PREDICTION, TRUTH, webp_url
from snakeseg.report.images.views import View, place_of
from snakeseg.report.images.volumes import ENDS, coarser

# Voxels of the longest side, and WebP quality.
STEPS = ((192, 75), (160, 70), (128, 65), (96, 60), (80, 55), (64, 50), (48, 45), (32, 45), (24, 45))
# Voxels that take a byte, at the very most: a share that is smaller than this needs no trial.
MOST_PER_BYTE = 60
# Voxels a side of what surfaces are drawn of.
COARSE = 64


def fitting_stack(view: View, share: int) -> dict:
    """A volume with its layers at the first step at which they fit.

    Parameters
    ----------
    view : View
        Of a volume.
    share : int
        Bytes.

    Returns
    -------
    dict
        As of a picture (see `gallery.gallery`): picture is a sheet of all slices; truth, prediction and errors are the
        deflated codes of voxels. Further: surface (of the truth and of each experiment), and volume, its geometry.
    """
    surfaces, most = _surfaces(view), share * MOST_PER_BYTE
    for side, quality in STEPS:
        picture = coarser(view.picture, side, average=True)
        if picture[..., 0].size > most and side > STEPS[-1][0]:
            continue
        sheet, columns = tiled(picture)
        made = {"picture": webp_url(sheet, quality), "volume": _geometry(view, picture.shape[:3], columns)}
        made |= {"truth": _deflated(view.truth, side), "surface": surfaces.get("")}
        made["shown"] = {
            name: {
                "prediction": _deflated(predicted, side),
                "errors": _deflated(view.errors.get(name), side),
                "surface": surfaces.get(name),
            }
            for name, predicted in view.predicted.items()
        }
        if size_of(made) <= share:
            break
        most = 1.5 * picture[..., 0].size * share / size_of(made)  # what is far too large by this needs no trial
    return made


def size_of(made: dict) -> int:
    """Bytes of all pictures and layers."""
    names = ("picture", "truth", "surface", "prediction", "errors")
    return sum(len(part.get(name) or "") for part in (made, *made.get("shown", {}).values()) for name in names)


def tiled(picture: np.ndarray) -> tuple[np.ndarray, int]:
    """Slices (z, y, x, colours) side by side, row by row, as one picture; and how many a row has."""
    depth, height, width = picture.shape[:3]
    columns = max(1, min(depth, round((depth * height / width) ** 0.5)))
    rows = -(-depth // columns)
    sheet = np.zeros((rows * columns, *picture.shape[1:]), picture.dtype)
    sheet[:depth] = picture
    sheet = sheet.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width, 3), columns


def _geometry(view: View, grid: tuple[int, ...], columns: int) -> dict:
    """What the page must know of the voxels, along (z, y, x)."""
    frame = view.frame
    place = zip(place_of(view), grid, view.picture.shape, strict=False)
    return {
        "grid": list(grid),
        "columns": columns,
        "at": [at * small // large for at, small, large in place],
        "total": list(frame.total),
        "part": [[part.start, part.stop] for part in frame.part],
        "extent": [round(extent, 6) for extent in _extents(view)],
        "ends": ENDS if frame.anatomical else None,
    }


def _deflated(labels: np.ndarray | None, side: int) -> str | None:
    """Ids as bytes, deflated, as text; so many objects share a code that touching ones hardly ever do."""
    if labels is None:
        return None
    labels = coarser(labels, side)
    codes = np.where(labels > 0, (labels - 1) % 255 + 1, 0).astype(np.uint8)
    return base64.b64encode(zlib.compress(codes.tobytes(), 6)).decode()


def _surfaces(view: View) -> dict[str, str]:
    """Pictures of objects by experiment, and of the true ones under "".

    Classes have colours where there are several; else predicted objects have that of what became of them.
    """
    made = {}
    for name, labels in {"": view.truth, **view.predicted}.items():
        if labels is None:
            continue
        if name in view.classes:
            codes, colours = view.classes[name], CLASS_COLOURS
            codes = np.where(codes > 0, (codes - 1) % len(colours) + 1, 0)
        elif name in view.errors:
            codes, colours = view.errors[name], list(KIND_COLOURS.values())
        else:
            codes, colours = labels > 0, [PREDICTION if name else TRUTH]
        codes = coarser(codes.astype(np.uint8), COARSE)
        steps = [extent / n for extent, n in zip(_extents(view), codes.shape, strict=True)]
        made[name] = webp_url(draw_surfaces(codes, steps, colours, view.frame.anatomical), 80)
    return made


def _extents(view: View) -> list[float]:
    """Sides of the volume along (z, y, x), in the unit of its spacing."""
    return [n * step for n, step in zip(view.frame.grid, view.frame.steps, strict=True)]
