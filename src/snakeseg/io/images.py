"""One way in and one way out for every image format."""

import errno
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import product
from operator import index
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil

from snakeseg.arrays import Lazy, Region
from snakeseg.errors import BadInput, BadInputs, collect
from snakeseg.io.file_names import FORMATS, files_of
from snakeseg.io.files import require_kind
from snakeseg.io.formats import DICOM, suffix_of
from snakeseg.io.readers import StoredImage

SPATIAL = "XYZ"
# Pixels that lie no further apart, in pixels, are the same.
SAME_PLACE = 0.1
# Files that claim more pixels are wrong; the largest images there are have a thousandth of it.
MOST_PIXELS = 10**15


@dataclass(frozen=True)
class Raster:
    """An image as read.

    Parameters
    ----------
    array : array or Lazy, shape (channels, *spatial)
        Spatial axes are (y, x) or (z, y, x); of files with an affine (x, y, z), to the right, the front and the top.
    spacing : tuple of float
        Pixel size along each spatial axis, in the file's unit; 1 where the file does not tell.
    path : Path
        Where it was read from, of several files the first; written files take their format and header from there.
    axes : str
        Letters of the spatial axes, such as "zyx".
    affine : array or None, shape (4, dims + 1)
        From indices to the world, for formats that tell.
    """

    array: np.ndarray | Lazy
    spacing: tuple[float, ...]
    path: Path
    axes: str = ""
    affine: np.ndarray | None = None


def _room_of(path: Path) -> ModuleType:
    return import_module(f"snakeseg.io.readers.{FORMATS.get(suffix_of(path).lower(), 'itk')}")


def open_image(path: str | Path, dims: int) -> Raster:
    """An image of `dims` spatial dimensions of which nothing is read yet but what its file says about it.

    Parameters
    ----------
    path : path
        Or several, separated by ";": one per channel.
    dims : int

    Raises
    ------
    BadInput
        If a file is missing, damaged, of unknown format or of other dimensions, or channels do not lie on each other;
        when pixels are read, if they are damaged, NaN or infinite.
    """
    files = files_of(path)
    if len(files) == 1:
        return _open_file(files[0], dims)
    problems: list[str] = []
    opened = [collect(problems, lambda file=file: _open_file(file, dims)) for file in files]
    found = [raster for raster in opened if raster]
    for raster in found:
        collect(problems, lambda raster=raster: _require_channel(found[0], raster))
    if problems:
        raise BadInputs(problems)
    return _stacked(found)


def _require_channel(first: Raster, raster: Raster) -> None:
    """Raise BadInput unless a file is one channel on the grid of the first."""
    if raster.array.shape[0] != 1:
        found, remedy = f"{raster.array.shape[0]} channels", "name it alone, or save its channels apart"
        raise BadInput(raster.path, found, "one, as it is one of several files of an image", remedy)
    require_same_shape(first, raster)
    if not same_place(first, raster):
        found, expected = (" x ".join(f"{size:g}" for size in each.spacing) for each in (raster, first))
        raise BadInput(
            raster.path, f"pixels of {found}", f"{expected}, as in {first.path}", "resample it onto that file"
        )


def _stacked(rasters: list[Raster]) -> Raster:
    """One image of files that are a channel each, of which only those that are asked for are read."""
    arrays = [raster.array for raster in rasters]
    kind = np.result_type(*(array.dtype for array in arrays))

    def read_region(region: Region) -> np.ndarray:
        return np.concatenate([array[(slice(0, 1), *region[1:])].astype(kind) for array in arrays[region[0]]])

    return replace(rasters[0], array=Lazy((len(arrays), *arrays[0].shape[1:]), kind, read_region, arrays[0].chunks))


def _open_file(path: Path, dims: int) -> Raster:
    room, suffix = _room_of(path), suffix_of(path).lower()
    folder = suffix == DICOM or FORMATS[suffix] == "ome_zarr"
    require_kind(path, folder, "an image", "correct the path in the sample sheet or the key 'data'")
    with _damage(path):
        stored = room.read(path)
        array, spacing = stored.array, stored.spacing
        if array.dtype.kind not in "biuf":
            raise BadInput(path, f"pixels of type {array.dtype}", "grey values", "save channels apart, as numbers")
        sides = [index(length) for length in array.shape]  # a header's may be no integers, or negative
        if min(sides, default=0) < 1:
            raise BadInput(path, f"shape {array.shape}", "at least one pixel", "remove the row")
        if math.prod(sides) > MOST_PIXELS:
            raise BadInput(path, f"shape {array.shape}", f"no more than {MOST_PIXELS:.0e} pixels", "check its header")
        if not all(0 < size < math.inf for size in spacing):
            found = f"pixels of {' x '.join(f'{size:g}' for size in spacing)}"
            raise BadInput(path, found, "positive sizes", "repair them in its header")
        return _canonical(path, stored, dims)


def images_in(path: Path) -> list[Path]:
    """The images of a file: those of microscopes may hold several, `name.lif#1`, `name.lif#2`, ...

    A file that cannot be opened is taken for one, since opening that tells what is wrong.
    """
    count = 1
    with suppress(BadInput), _damage(path):
        if os.path.isfile(path) and hasattr(_room_of(path), "count"):
            count = _room_of(path).count(path)
    return [path.with_name(f"{path.name}#{n}") for n in range(1, count + 1)] if count > 1 else [path]


def read(path: str | Path, dims: int) -> Raster:
    """As `open_image`, but read whole."""
    raster = open_image(path, dims)
    size, memory = np.prod(raster.array.shape, dtype=float) * raster.array.dtype.itemsize, psutil.virtual_memory().total
    if size > memory:
        found = f"{size / 1e9:.0f} GB of pixels ({raster.array.shape})"
        raise BadInput(path, found, f"less than the memory of {memory / 1e9:.0f} GB", "crop it, or check its header")
    return replace(raster, array=raster.array[:])


def read_label(path: str | Path, dims: int) -> Raster:
    """Read a label image: one channel of integers; the array has shape (*spatial).

    Raises
    ------
    BadInput
        As `read`, and if there are several channels or values that are no integers.
    """
    raster = read(path, dims)
    array = raster.array
    if len(array) != 1:
        raise BadInput(
            path, f"{len(array)} channels", "a label image of one channel", "save ids or classes, no colours"
        )
    whole = array.dtype.kind in "iub" or (raster.affine is not None and _integral(array))
    if not whole:
        raise BadInput(path, f"labels of type {array.dtype}", "integers", "round them and save as uint8 or uint16")
    return replace(raster, array=array[0] if array.dtype.kind in "iu" else array[0].astype(np.int64))


def write_labels(path: Path, labels, source: Raster, largest: int | None = None, note: str = "") -> None:
    """Write labels in the format and geometry of `source`, part by part.

    Parameters
    ----------
    path : path
    labels : array-like of unsigned integers, shape (*spatial)
    source : Raster
    largest : int
        The largest of them, if they are not held in memory.
    note : str
        For whoever opens the file.

    Raises
    ------
    BadInput
        If the format cannot hold the largest id.
    """
    largest = int(np.max(labels, initial=0)) if largest is None else largest
    _room_of(source.path).write(path, labels, source, largest, note)


def require_same_shape(image: Raster, label: Raster) -> None:
    """Raise BadInput unless image and label cover the same pixels, in the same place if both files have an affine."""
    found, expected = (each.array.shape[-len(each.spacing) :] for each in (label, image))
    if found != expected:
        expected = f"{expected}, the shape of {image.path}"
        raise BadInput(label.path, f"shape {found}", expected, "pair the files of one image, or resample one of them")
    if image.affine is not None and label.affine is not None and not same_place(image, label):
        raise BadInput(
            label.path, f"pixels up to {_distance(image, label):.3g} mm away from those of {image.path}",
            "the same place", "resample it onto that file, or mend sform and qform of the wrong one",
        )  # fmt: skip


def same_place(image: Raster, label: Raster) -> bool:
    """Whether two files of one shape say that their pixels lie in the same place, as far as they say anything."""
    if image.affine is not None and label.affine is not None:
        return _distance(image, label) <= SAME_PLACE * min(image.spacing)
    if _room_of(image.path) is not _room_of(label.path):
        return True
    silent = {1.0} in (set(image.spacing), set(label.spacing))
    return silent or np.allclose(image.spacing, label.spacing, rtol=0.01)


def _distance(image: Raster, label: Raster) -> float:
    """How far apart two files of one shape say that the same corner is, at most."""
    sides = image.array.shape[-len(image.spacing) :]
    corners = np.array([[*corner, 1] for corner in product(*((0, n - 1) for n in sides))])
    apart = (image.affine - label.affine) @ corners.T
    return float(np.linalg.norm(apart[:3], axis=0).max())


def _integral(array: np.ndarray) -> bool:
    return bool((array == np.rint(array)).all())


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Whatever decoders raise on damaged files, as BadInput."""
    try:
        yield
    except BadInput:
        raise
    except MemoryError as error:
        found = f"more in one piece than the memory holds ({f'MemoryError {error}'.strip()})"
        raise BadInput(path, found, "less", "check its header, or convert it to a tiled TIFF or Zarr") from error
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE):
            raise  # not the file's fault
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(
            path, f"a damaged file ({cause})", "a readable image", "copy it again from its source"
        ) from error


def _canonical(path: Path, stored: StoredImage, dims: int) -> Raster:
    """Axes named by letters as (channel, *spatial), without those of length 1 that nobody asked for."""
    array, axes, spacing, affine = stored
    size_of = dict(zip((letter for letter in axes if letter in SPATIAL), spacing, strict=True))
    kept = axes
    for letter in sorted(axes, key="Z".find, reverse=True):  # a stack of one slice is a plane
        too_many = sum(a in SPATIAL for a in kept) > dims if letter in SPATIAL else letter != "C"
        if too_many and array.shape[axes.index(letter)] == 1:
            kept = kept.replace(letter, "", 1)
    spatial = [letter for letter in kept if letter in SPATIAL]
    if len(spatial) != dims or set(kept) - set(SPATIAL) not in (set(), {"C"}) or len(set(axes)) < len(axes):
        raise BadInput(
            path,
            f"shape {array.shape} with axes '{axes}'",
            f"{dims} spatial axes and at most one of channels",
            "set spatial_dims, or save the file with its axes named",
        )
    order = [*(["C"] if "C" in kept else []), *spatial]
    length, piece = dict(zip(axes, array.shape, strict=True)), dict(zip(axes, _chunks(array), strict=True))

    def read_region(region: Region) -> np.ndarray:
        asked = dict(zip(["C", *spatial], region, strict=True))
        with _damage(path):
            found = np.asarray(array[tuple(asked[a] if a in kept else slice(0, 1) for a in axes)])
        found = found.squeeze(tuple(i for i, a in enumerate(axes) if a not in kept))
        found = found.transpose([kept.index(a) for a in order])
        found = found if "C" in kept else found[None]
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            bad = int((~np.isfinite(found)).sum())
            raise BadInput(path, f"{bad} pixels that are NaN or infinite", "finite numbers", "repair or drop the image")
        return found

    shape = (length.get("C", 1), *(length[a] for a in spatial))
    chunks = (piece.get("C", 1), *(piece[a] for a in spatial))
    lazy = Lazy(shape, array.dtype, read_region, chunks if math.prod(chunks) > 1 else None)
    if affine is not None:
        affine = affine[:, [*("XYZ".index(letter) for letter in spatial), 3]]
    return Raster(lazy, tuple(size_of[a] for a in spatial), path, "".join(spatial).lower(), affine)


def _chunks(array) -> tuple[int, ...]:
    return getattr(array, "chunks", None) or (1,) * len(array.shape)
