"""Microscope formats CZI, ND2 and LIF, read plane by plane by extra packages; pixel sizes are in micrometres.

A file can contain several images: scenes of a CZI, positions of an ND2, series of a LIF. Labels are written as
OME-TIFF.
"""

import math
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from snakeseg.arrays import Lazy, Region
from snakeseg.errors import BadInput
from snakeseg.io.file_names import file_and_number, number_images
from snakeseg.io.input_checks import image_index, require_memory
from snakeseg.io.readers import StoredImage, tiff
from snakeseg.io.readers.isolated import call_isolated
from snakeseg.io.readers.tiff_sizes import fixed_uuid, ome_metadata

# Dtype and number of values (blue, green, red) per pixel of libCZI's pixel types.
CZI_PIXELS = {"Gray8": ("u1", 1), "Gray16": ("u2", 1), "Gray32Float": ("f4", 1), "Bgr24": ("u1", 3), "Bgr48": ("u2", 3)}
MICROMETRES_PER_METRE = 1e6
# A LIF file starts with the mark of a block, its length (4 bytes), and the mark of text.
LIF_BLOCK, LIF_TEXT = (0x70).to_bytes(4, "little"), b"\x2a"
# Smallest share of the bytes of its pixels that a CZI or ND2 contains; it may be compressed, or a mosaic with gaps.
MIN_STORED_SHARE = 1e-4
# Each plane of a CZI has a header of more than 128 bytes.
PLANE_HEADER = np.dtype("V128")


def count(path) -> int:
    """Count the images in a file."""
    return {".czi": _czi_count, ".nd2": _nd2_count, ".lif": _lif_count}[path.suffix.lower()](path)


def list_images(path) -> list[Path]:
    """Return the paths of the images in a file."""
    return number_images(path, count(path))


def read(path) -> StoredImage:
    """Open an image; the path ends in its number if the file contains several."""
    file, number = file_and_number(path)
    try:
        index = image_index(path, number, count(file))
        return {".czi": _read_czi, ".nd2": _read_nd2, ".lif": _read_lif}[file.suffix.lower()](file, index)
    except MemoryError as error:  # opening needs little memory, so the header states impossible sizes
        raise ValueError("sizes that no memory holds") from error


def write(path, labels, source, largest, note) -> None:
    """Write labels as OME-TIFF with the source's pixel sizes."""
    sizes = dict(zip(source.axes.upper(), source.spacing, strict=True))
    known = {axis: size for axis, size in sizes.items() if axis.lower() not in source.unknown}
    metadata = {"axes": source.axes.upper(), **ome_metadata(known), "UUID": fixed_uuid(source.path)}
    tiff.write_as(path, labels, {"ome": True, "metadata": metadata}, note)


def _import_reader(path, name: str, package: str):
    try:
        return import_module(name)
    except ImportError as error:
        remedy = f"pip install {package}, or save the image as OME-TIFF or OME-Zarr"
        raise BadInput(path, f"no {package}", f"the package {package}, for this format", remedy) from error


def _require_single(path, count: int, noun: str) -> None:
    if count != 1:
        raise BadInput(path, f"{count} {noun}", "one in a file", "save each as an OME-TIFF of its own")


def _read_czi_header(path) -> dict:
    _import_reader(path, "pylibCZIrw.czi", "pylibCZIrw")
    return call_isolated(_czi_header, os.path.abspath(path))


def _czi_count(path) -> int:
    return max(1, len(_read_czi_header(path)["scenes"]))


def _read_czi(path, index: int | None) -> StoredImage:
    header = _read_czi_header(path)
    scene, rectangle = (None, header["whole"]) if index is None else sorted(header["scenes"].items())[index]
    ranges, (left, top, width, height), pixel_types = header["ranges"], rectangle, set(header["pixels"])
    if pixel_types - set(CZI_PIXELS):
        raise BadInput(path, f"pixels of type {', '.join(pixel_types)}", ", ".join(CZI_PIXELS), "save it as OME-TIFF")
    dtype = np.result_type(*(CZI_PIXELS[name][0] for name in pixel_types))
    values = {CZI_PIXELS[name][1] for name in pixel_types}
    _require_single(path, len(values), "kinds of pixels, grey and colour")
    lengths = {axis: high - low for axis, (low, high) in ranges.items() if axis in "CZ" or high - low > 1}
    if values == {3}:
        _require_single(path, lengths.pop("C", 1), "colour channels")

    def read_plane(indices: dict[str, int], rows: slice, columns: slice) -> np.ndarray:
        start = {axis: indices.get(axis, 0) + low for axis, (low, _) in ranges.items()}
        region = left + columns.start, top + rows.start, columns.stop - columns.start, rows.stop - rows.start
        pixels = call_isolated(_czi_region, os.path.abspath(path), region, start, scene)
        return pixels[..., ::-1].astype(dtype)  # from blue, green, red to red, green, blue

    array = _lazy_planes(lengths, (height, width, values.pop()), dtype, read_plane, whole=False)
    _require_file_size(path, array.shape, array.dtype, MIN_STORED_SHARE)
    _require_file_size(path, lengths.values(), PLANE_HEADER)
    # A size of 0 means unknown.
    sizes = {axis: size * MICROMETRES_PER_METRE for axis, size in header["sizes"].items() if size}
    return _stored_image(array, "".join(lengths), sizes)


def _czi_header(path: str) -> dict:
    """Read the metadata of a CZI: first and last (excluded) index of each axis but x and y, pixel sizes in metres."""
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
            "sizes": {distance["@Id"]: float(distance["Value"]) for distance in distances},
        }


def _czi_region(path: str, region: tuple[int, ...], start: dict[str, int], scene: int | None) -> np.ndarray:
    """Read a region (x, y, width, height) of a plane, shape (rows, columns, values); scene None without scenes."""
    from pylibCZIrw import czi

    with czi.open_czi(path) as file:
        return file.read(region, start, scene)


def _nd2_count(path) -> int:
    with _import_reader(path, "nd2", "nd2").ND2File(path) as file:
        return file.sizes.get("P", 1)


def _read_nd2(path, index: int | None) -> StoredImage:
    nd2 = _import_reader(path, "nd2", "nd2")
    with nd2.ND2File(path) as file:
        axes, shape, dtype = "".join(file.sizes), file.shape, file.dtype
        sizes = dict(zip("XYZ", file.voxel_size(), strict=True))
        is_compressed = file.attributes.compressionType is not None
        _require_file_size(path, shape, dtype, MIN_STORED_SHARE if is_compressed else 1)  # nd2 fills in zeros
    positions = axes.find("P")
    kept = [i for i, axis in enumerate(axes) if index is None or i != positions]
    axes, shape = "".join(axes[i] for i in kept), tuple(shape[i] for i in kept)
    frame = tuple(length if axis in "CYXS" else 1 for axis, length in zip(axes, shape, strict=True))
    require_memory(path, frame, dtype.itemsize, "save it as OME-TIFF")

    def read_region(region: Region) -> np.ndarray:
        slices = region if index is None else (*region[:positions], index, *region[positions:])
        with nd2.ND2File(path) as file:
            return np.asarray(file.to_dask()[slices])

    axes = axes.replace("S", "C")
    spacing = tuple(sizes.get(axis) for axis in axes if axis in "XYZ")
    return StoredImage(Lazy(shape, dtype, read_region, frame), axes, spacing)


def _require_lif(path) -> None:
    """Raise ValueError unless a file is a LIF; liffile also accepts XML files, which can name files elsewhere."""
    with open(path, "rb") as file:
        start = file.read(9)
    if len(start) < 9 or start[:4] != LIF_BLOCK or start[8:] != LIF_TEXT:
        raise ValueError("no LIF file")


def _lif_count(path) -> int:
    _require_lif(path)
    with _import_reader(path, "liffile", "liffile").LifFile(path) as file:
        return len(file.images)


def _read_lif(path, index: int | None) -> StoredImage:
    liffile = _import_reader(path, "liffile", "liffile")
    _require_lif(path)
    with liffile.LifFile(path) as file:
        image = file.images[index or 0]
        dims, shape, dtype = image.dims, image.shape, image.dtype
        coords = {axis: image.coords[axis][:2] for axis in "XYZ" if axis in image.coords}
        steps = {axis: abs(np.diff(pair)) * MICROMETRES_PER_METRE for axis, pair in coords.items()}
    _require_file_size(path, shape, dtype)
    leading = "".join(axis for axis in dims if axis not in "YXS")

    def read_plane(indices: dict[str, int], rows: slice, columns: slice) -> np.ndarray:
        with liffile.LifFile(path) as file:
            plane = file.images[index or 0].frame(**indices)
        return plane.reshape(*plane.shape[:2], -1)[rows, columns]

    values = shape[dims.index("S")] if "S" in dims else 1
    lengths = {axis: shape[dims.index(axis)] for axis in leading}
    frame = shape[dims.index("Y")], shape[dims.index("X")], values
    require_memory(path, frame, dtype.itemsize, "save it as OME-TIFF")
    array = _lazy_planes(lengths, frame, dtype, read_plane, whole=True)
    return _stored_image(array, leading, {axis: float(step[0]) for axis, step in steps.items() if step.size})


def _require_file_size(path, shape, dtype, share: float = 1) -> None:
    """Raise EOFError if a file is smaller than a share of the bytes of its pixels."""
    size, stored = math.prod(shape) * dtype.itemsize, path.stat().st_size
    if size * share > stored:
        raise EOFError(f"{stored} bytes of {size}")


def _lazy_planes(lengths: dict[str, int], frame: tuple[int, int, int], dtype, read: Callable, whole: bool) -> Lazy:
    """Return a lazy array of planes.

    Parameters
    ----------
    lengths : dict
        Length of each leading axis by its letter.
    frame : tuple of int
        Rows, columns and values of a plane. The axis of values is dropped if its length is 1.
    dtype : dtype
    read : function
        Takes the indices of a plane (by letter) and slices of rows and columns; returns an array (rows, columns,
        values).
    whole : bool
        True if the format can read only whole planes.
    """
    shape = (*lengths.values(), *(frame if frame[2] > 1 else frame[:2]))
    count = len(lengths)

    def read_region(region: Region) -> np.ndarray:
        leading, (rows, columns), rest = region[:count], region[count : count + 2], region[count + 2 :]
        pixels = np.empty([part.stop - part.start for part in region], dtype)
        for index in np.ndindex(pixels.shape[:count]):
            indices = {axis: part.start + i for axis, part, i in zip(lengths, leading, index, strict=True)}
            plane = read(indices, rows, columns)
            pixels[index] = plane[..., rest[0]] if rest else plane[..., 0]
        return pixels

    return Lazy(shape, np.dtype(dtype), read_region, (*[1] * count, *shape[count:]) if whole else None)


def _stored_image(array: Lazy, leading: str, sizes: dict[str, float]) -> StoredImage:
    """Name the axes of an array of planes with the given leading axes; axes without a size in `sizes` have None."""
    axes = f"{leading}YX" + "C" * (array.ndim - len(leading) - 2)
    return StoredImage(array, axes, tuple(sizes.get(axis) for axis in axes if axis in "XYZ"))
