"""Encode volumes for the viewer of a page: the image as a sheet of slices, compressed labels, pictures of surfaces.

The page cuts all three planes out of the same voxels, so that it carries each voxel once.
"""

import base64
import zlib

import numpy as np

from snakeseg.report.images.meshes import draw_surfaces
from snakeseg.report.images.pictures import CLASS_COLOURS, KIND_COLOURS, PREDICTION, TRUTH, webp_url
from snakeseg.report.images.views import View, initial_voxel
from snakeseg.report.images.volumes import ENDS, downsample

# Voxels of the longest side, and WebP quality.
VOLUME_SIZES = ((192, 75), (160, 70), (128, 65), (96, 60), (80, 55), (64, 50), (48, 45), (32, 45), (24, 45))
# Upper bound of voxels per byte of WebP: sizes with more voxels than that cannot fit and are not tried.
MAX_VOXELS_PER_BYTE = 60
# Largest number of voxels a side from which surfaces are drawn.
SURFACE_SIDE_VOXELS = 64


def encode_volume(view: View, share: int) -> dict:
    """Encode a volume and its layers at the first of `VOLUME_SIZES` at which they fit into `share` bytes.

    Parameters
    ----------
    view : View
        View of a volume.
    share : int
        Bytes for the volume and its layers.

    Returns
    -------
    dict
        As for a plane (see `gallery.gallery`), but picture is a sheet of all slices, and truth, prediction and errors
        are compressed codes of voxels. Also surface (of the truth and of each experiment), and volume (its geometry).
    """
    surfaces, max_voxels = _surfaces(view), share * MAX_VOXELS_PER_BYTE
    for side, quality in VOLUME_SIZES:
        picture = downsample(view.picture, side, average=True)
        if picture[..., 0].size > max_voxels and side > VOLUME_SIZES[-1][0]:
            continue
        sheet, columns = tile_slices(picture)
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
        if encoded_bytes(made) <= share:
            break
        # Sizes that are far too large by this result are not tried.
        max_voxels = 1.5 * picture[..., 0].size * share / encoded_bytes(made)
    return made


def encoded_bytes(entry: dict) -> int:
    """Return the bytes of all pictures and layers of an entry of the gallery."""
    names = ("picture", "truth", "surface", "prediction", "errors")
    return sum(len(part.get(name) or "") for part in (entry, *entry.get("shown", {}).values()) for name in names)


def tile_slices(picture: np.ndarray) -> tuple[np.ndarray, int]:
    """Tile the slices of a volume into one sheet, row by row.

    Parameters
    ----------
    picture : uint8 array, shape (z, y, x, 3)
        The volume in RGB.

    Returns
    -------
    sheet : uint8 array, shape (rows * y, columns * x, 3)
        All slices; the last places of the last row may be black.
    columns : int
        Number of slices in a row.
    """
    depth, height, width = picture.shape[:3]
    columns = max(1, min(depth, round((depth * height / width) ** 0.5)))
    rows = -(-depth // columns)
    sheet = np.zeros((rows * columns, *picture.shape[1:]), picture.dtype)
    sheet[:depth] = picture
    sheet = sheet.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width, 3), columns


def _geometry(view: View, grid: tuple[int, ...], columns: int) -> dict:
    """Return the geometry of the encoded voxels, along (z, y, x), as plain data for the page."""
    frame = view.frame
    initial = zip(initial_voxel(view), grid, view.picture.shape, strict=False)
    return {
        "grid": list(grid),
        "columns": columns,
        "at": [at * small // large for at, small, large in initial],
        "total": list(frame.total),
        "part": [[part.start, part.stop] for part in frame.part],
        "extent": [round(extent, 6) for extent in _extents(view)],
        "ends": ENDS if frame.anatomical else None,
    }


def _deflated(labels: np.ndarray | None, side: int) -> str | None:
    """Compress ids to one byte a voxel, in base64; two touching objects have the same of the 255 codes only rarely."""
    if labels is None:
        return None
    labels = downsample(labels, side)
    codes = np.where(labels > 0, (labels - 1) % 255 + 1, 0).astype(np.uint8)
    return base64.b64encode(zlib.compress(codes.tobytes(), 6)).decode()


def _surfaces(view: View) -> dict[str, str]:
    """Draw the surfaces of objects by experiment, and of the true objects under "".

    Several classes have one colour each; else each predicted object has the colour of its kind (match, split, ...).
    """
    urls = {}
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
        codes = downsample(codes.astype(np.uint8), SURFACE_SIDE_VOXELS)
        steps = [extent / n for extent, n in zip(_extents(view), codes.shape, strict=True)]
        urls[name] = webp_url(draw_surfaces(codes, steps, colours, view.frame.anatomical), 80)
    return urls


def _extents(view: View) -> list[float]:
    """Return the sides of the volume along (z, y, x), in the unit of its spacing."""
    return [n * step for n, step in zip(view.frame.grid, view.frame.steps, strict=True)]
