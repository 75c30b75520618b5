"""CZI, ND2 and LIF, as microscopes leave them; their readers are an extra. Read plane by plane, sizes in micrometres.

A file may hold several images: scenes of a CZI, positions of an ND2, series of a LIF. Labels are written as OME-TIFF.
"""

import math
import os
from collections.abc import Callable
from importlib import import_module

import numpy as np

from snakeseg.arrays import Lazy, Region
from snakeseg.errors import BadInput
from snakeseg.io.file_names import file_and_number
from snakeseg.io.files import require_memory
from snakeseg.io.readers import StoredImage, tiff
from snakeseg.io.readers.isolated import call_isolated

# Of libCZI's names of pixels: their type, and how many values each has (blue, green, red).
CZI_PIXELS = {"Gray8": ("u1", 1), "Gray16": ("u2", 1), "Gray32Float": ("f4", 1), "Bgr24": ("u1", 3), "Bgr48": ("u2", 3)}
METRES = 1e6  # micrometres
# What a LIF file begins with: a block's mark, its length, and the mark of text.
LIF_BLOCK, LIF_TEXT = (0x70).to_bytes(4, "little"), b"\x2a"
# A CZI or ND2 may be packed, and a mosaic have gaps, but a file with less than this of its pixels is damaged.
LEAST_HELD = 1e-4
# And each plane has a header of its own, of more bytes than this.
LEAST_PLANE = np.dtype("V128")


def count(path) -> int:
    """How many images a file holds."""
    return {".czi": _czi_count, ".nd2": _nd2_count, ".lif": _lif_count}[path.suffix.lower()](path)


def read(path) -> StoredImage:
    """Open an image in a file, which is numbered if there are several."""
    file, number = file_and_number(path)
    try:
        place = _place(path, number, count(file))
        return {".czi": _czi, ".nd2": _nd2, ".lif": _lif}[file.suffix.lower()](file, place)
    except MemoryError as error:  # to open one takes little: it is the header that claims so much
        raise ValueError("sizes that no memory holds") from error


def write(path, labels, source, largest, note) -> None:
    """OME-TIFF with the source's pixel sizes."""
    sizes = {tiff.OME_SIZES[axis.upper()]: size for axis, size in zip(source.axes, source.spacing, strict=True)}
    tiff.write_as(path, labels, {"ome": True, "metadata": {"axes": source.axes.upper(), **sizes}}, note)


def _library(path, name: str, package: str):
    try:
        return import_module(name)
    except ImportError as error:
        remedy = f"pip install {package}, or save it as OME-TIFF or OME-Zarr"
        raise BadInput(path, f"no {package} to read it with", "it", remedy) from error


def _place(path, number: int | None, several: int) -> int | None:
    """Of an image in its file, from 0; None if it has no number and is the only one."""
    if number is None and several > 1:
        raise BadInput(path, f"{several} images", "the number of one", f"name each: {path.name}#1 to #{several}")
    if number is not None and not 1 <= number <= several:
        raise BadInput(path, f"{several} images, not number {number}", "the number of one", "correct the path")
    return number - 1 if several > 1 else None


def _require_one(path, kinds: int, what: str) -> None:
    if kinds != 1:
        raise BadInput(path, f"{kinds} {what}", "one", "save each as a file of its own, as OME-TIFF")


def _czi_told(path) -> dict:
    _library(path, "pylibCZIrw.czi", "pylibCZIrw")
    return call_isolated(_czi_facts, os.path.abspath(path))


def _czi_count(path) -> int:
    return max(1, len(_czi_told(path)["scenes"]))


def _czi(path, place: int | None) -> StoredImage:
    told = _czi_told(path)
    scene, rectangle = (None, told["whole"]) if place is None else sorted(told["scenes"].items())[place]
    ranges, (left, top, width, height), kinds = told["ranges"], rectangle, set(told["pixels"])
    if kinds - set(CZI_PIXELS):
        raise BadInput(path, f"pixels of type {', '.join(kinds)}", ", ".join(CZI_PIXELS), "save it as OME-TIFF")
    kind = np.result_type(*(CZI_PIXELS[name][0] for name in kinds))
    values = {CZI_PIXELS[name][1] for name in kinds}
    _require_one(path, len(values), "kinds of pixels")
    lengths = {axis: high - low for axis, (low, high) in ranges.items() if axis in "CZ" or high - low > 1}
    if values == {3}:
        _require_one(path, lengths.pop("C", 1), "channels of colours")

    def plane(at: dict[str, int], rows: slice, columns: slice) -> np.ndarray:
        start = {axis: at.get(axis, 0) + low for axis, (low, _) in ranges.items()}
        region = left + columns.start, top + rows.start, columns.stop - columns.start, rows.stop - rows.start
        return call_isolated(_czi_region, os.path.abspath(path), region, start, scene)[..., ::-1].astype(
            kind
        )  # red first

    array = _of_planes(lengths, (height, width, values.pop()), kind, plane, whole=False)
    _require_held(path, array.shape, array.dtype, LEAST_HELD)
    _require_held(path, lengths.values(), LEAST_PLANE)
    sizes = {axis: size * METRES for axis, size in told["sizes"].items() if size}  # 0 if nobody said
    return _named(array, "".join(lengths), sizes)


def _czi_facts(path: str) -> dict:
    """What a CZI tells of itself; first and last (excluded) index of its axes but x and y, sizes in metres."""
    from pylibCZIrw import czi

    with czi.open_czi(path) as file:
        distances = (
            (file.metadata["ImageDocument"]["Metadata"].get("Scaling") or {}).get("Items", {}).get("Distance", [])
        )
        distances = distances if isinstance(distances, list) else [distances]
        return {
            "scenes": {scene: tuple(rectangle) for scene, rectangle in file.scenes_bounding_rectangle.items()},
            "ranges": {axis: ends for axis, ends in file.total_bounding_box.items() if axis not in "XY"},
            "whole": tuple(file.total_bounding_rectangle),
            "pixels": list(file.pixel_types.values()),
            "sizes": {one["@Id"]: float(one["Value"]) for one in distances},
        }


def _czi_region(path: str, region: tuple[int, ...], start: dict[str, int], scene: int | None) -> np.ndarray:
    """Pixels (rows, columns, values) of one plane; the region is x, y, width, height; of no scene if they have none."""
    from pylibCZIrw import czi

    with czi.open_czi(path) as file:
        return file.read(region, start, scene)


def _nd2_count(path) -> int:
    with _library(path, "nd2", "nd2").ND2File(path) as file:
        return file.sizes.get("P", 1)


def _nd2(path, place: int | None) -> StoredImage:
    nd2 = _library(path, "nd2", "nd2")
    with nd2.ND2File(path) as file:
        axes, shape, kind = "".join(file.sizes), file.shape, file.dtype
        sizes = dict(zip("XYZ", file.voxel_size(), strict=True))
        packed = file.attributes.compressionType is not None
        _require_held(path, shape, kind, LEAST_HELD if packed else 1)  # nd2 would make zeros of what is missing
    positions = axes.find("P")
    own = [i for i, axis in enumerate(axes) if place is None or i != positions]
    axes, shape = "".join(axes[i] for i in own), tuple(shape[i] for i in own)
    frame = tuple(length if axis in "CYXS" else 1 for axis, length in zip(axes, shape, strict=True))
    require_memory(path, frame, kind.itemsize, "save it as OME-TIFF")

    def cut(region: Region) -> np.ndarray:
        where = region if place is None else (*region[:positions], place, *region[positions:])
        with nd2.ND2File(path) as file:
            return np.asarray(file.to_dask()[where])

    axes = axes.replace("S", "C")
    spacing = tuple(sizes.get(axis, 1.0) for axis in axes if axis in "XYZ")
    return StoredImage(Lazy(shape, kind, cut, frame), axes, spacing)


def _require_lif(path) -> None:
    """Raise ValueError unless a file is LIF itself: its reader also takes XML that names files elsewhere for one."""
    with open(path, "rb") as file:
        start = file.read(9)
    if len(start) < 9 or start[:4] != LIF_BLOCK or start[8:] != LIF_TEXT:
        raise ValueError("no LIF file")


def _lif_count(path) -> int:
    _require_lif(path)
    with _library(path, "liffile", "liffile").LifFile(path) as file:
        return len(file.images)


def _lif(path, place: int | None) -> StoredImage:
    liffile = _library(path, "liffile", "liffile")
    _require_lif(path)
    with liffile.LifFile(path) as file:
        image = file.images[place or 0]
        dims, shape, kind = image.dims, image.shape, image.dtype
        steps = {axis: abs(np.diff(image.coords[axis][:2])) * METRES for axis in "XYZ" if axis in image.coords}
    _require_held(path, shape, kind)
    before = "".join(axis for axis in dims if axis not in "YXS")

    def plane(at: dict[str, int], rows: slice, columns: slice) -> np.ndarray:
        with liffile.LifFile(path) as file:
            found = file.images[place or 0].frame(**at)
        return found.reshape(*found.shape[:2], -1)[rows, columns]

    values = shape[dims.index("S")] if "S" in dims else 1
    lengths = {axis: shape[dims.index(axis)] for axis in before}
    frame = shape[dims.index("Y")], shape[dims.index("X")], values
    require_memory(path, frame, kind.itemsize, "save it as OME-TIFF")
    array = _of_planes(lengths, frame, kind, plane, whole=True)
    return _named(array, before, {axis: float(step[0]) for axis, step in steps.items() if step.size})


def _require_held(path, shape, kind, share: float = 1) -> None:
    """Raise an error if a file is smaller than its pixels, or than that share of them."""
    size, held = math.prod(shape) * kind.itemsize, path.stat().st_size
    if size * share > held:
        raise EOFError(f"{held} bytes of {size}")


def _of_planes(lengths: dict[str, int], frame: tuple[int, int, int], kind, plane: Callable, whole: bool) -> Lazy:
    """Return an array of planes, read as needed, each as a `whole` or in parts.

    Parameters
    ----------
    lengths : dict
        Length of each axis that comes before the planes, by its letter.
    frame : tuple of int
        Rows, columns and values of a plane; a single value is no axis.
    kind : dtype
    plane : function
        Maps place (index by letter), rows and columns (slices) to pixels (rows, columns, values).
    whole : bool
    """
    shape = (*lengths.values(), *(frame if frame[2] > 1 else frame[:2]))
    count = len(lengths)

    def cut(region: Region) -> np.ndarray:
        asked, (rows, columns), rest = region[:count], region[count : count + 2], region[count + 2 :]
        found = np.empty([part.stop - part.start for part in region], kind)
        for index in np.ndindex(found.shape[:count]):
            at = {axis: part.start + i for axis, part, i in zip(lengths, asked, index, strict=True)}
            pixels = plane(at, rows, columns)
            found[index] = pixels[..., rest[0]] if rest else pixels[..., 0]
        return found

    return Lazy(shape, np.dtype(kind), cut, (*[1] * count, *shape[count:]) if whole else None)


def _named(array: Lazy, before: str, sizes: dict[str, float]) -> StoredImage:
    """Name the axes of an array of planes, of which `before` come first; spacing is 1 where the file states none."""
    axes = f"{before}YX" + "C" * (array.ndim - len(before) - 2)
    return StoredImage(array, axes, tuple(sizes.get(axis, 1.0) for axis in axes if axis in "XYZ"))
