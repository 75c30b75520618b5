"""One way in and one way out for every image format."""

import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil

from snakeseg.errors import BadInput
from snakeseg.lazy import Lazy, Region

SPATIAL = "XYZ"
# The room of each format, imported when a file of it is met. Longest first, so that .ome.tif is not taken for .tif.
FORMATS = {
    ".ome.tiff": "tiff",
    ".ome.tif": "tiff",
    ".nii.gz": "nifti",
    ".tiff": "tiff",
    ".tif": "tiff",
    ".nii": "nifti",
    ".png": "png",
    ".ome.zarr": "omezarr",
    ".zarr": "omezarr",
}


@dataclass(frozen=True)
class Raster:
    """An image as read.

    Parameters
    ----------
    array : array or Lazy, shape (channels, *spatial)
        Spatial axes are (y, x), (z, y, x), or NIfTI's (x, y, z).
    spacing : tuple of float
        Pixel size along each spatial axis, in the file's unit; 1 where the file does not tell.
    path : Path
        Where it was read from; written files take their format and header from there.
    """

    array: np.ndarray | Lazy
    spacing: tuple[float, ...]
    path: Path


def suffix_of(path: Path) -> str:
    """The format's suffix of a file name, as written.

    Raises
    ------
    BadInput
        If the format is not known.
    """
    for suffix in FORMATS:
        if path.name.lower().endswith(suffix):
            return path.name[-len(suffix) :]
    raise BadInput(path, f"format '{path.suffix}'", ", ".join(FORMATS), "convert the file")


def _room_of(path: Path) -> ModuleType:
    return import_module(f"snakeseg.io.{FORMATS[suffix_of(path).lower()]}")


def open_image(path: str | Path, dims: int) -> Raster:
    """An image of `dims` spatial dimensions of which nothing is read yet but what its file says about it.

    Raises
    ------
    BadInput
        If the file is missing, damaged, of unknown format or of other dimensions; when pixels are read, if they are
        damaged, NaN or infinite.
    """
    path = Path(path)
    room = _room_of(path)
    if not path.exists():
        raise BadInput(path, "no such file", "an image", "correct the path in the sample sheet or the key 'data'")
    with _damage(path):
        array, axes, spacing = room.read(path)
    if array.dtype.kind not in "biuf":
        raise BadInput(path, f"pixels of type {array.dtype}", "grey values", "save channels apart, as numbers")
    if 0 in array.shape:
        raise BadInput(path, f"shape {array.shape}", "at least one pixel", "remove the row")
    return _canonical(path, array, axes, spacing, dims)


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
    whole = array.dtype.kind in "iub" or (suffix_of(raster.path).lower().startswith(".nii") and _integral(array))
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
    """Raise BadInput unless image and label cover the same pixels."""
    if image.array.shape[1:] != label.array.shape:
        raise BadInput(
            label.path, f"shape {label.array.shape}", f"{image.array.shape[1:]}, the shape of {image.path}",
            "pair each image with its own label",
        )  # fmt: skip


def same_place(image: Raster, label: Raster) -> bool:
    """Whether two files of one format say that their pixels lie in the same place, as far as they say anything."""
    rooms = [_room_of(each.path) for each in (image, label)]
    if rooms[0] is not rooms[1]:
        return True
    if hasattr(rooms[0], "affine"):
        first, second = (rooms[0].affine(each.path) for each in (image, label))
        return np.allclose(first, second, rtol=0.01, atol=0.01 * min(image.spacing))
    silent = {1.0} in (set(image.spacing), set(label.spacing))
    return silent or np.allclose(image.spacing, label.spacing, rtol=0.01)


def _integral(array: np.ndarray) -> bool:
    return bool((array == np.rint(array)).all())


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Whatever decoders raise on damaged files, as BadInput."""
    try:
        yield
    except (BadInput, MemoryError):
        raise
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE):
            raise  # not the file's fault
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(
            path, f"a damaged file ({cause})", "a readable image", "copy it again from its source"
        ) from error


def _canonical(path: Path, array, axes: str, spacing: tuple[float, ...], dims: int) -> Raster:
    """Axes named by letters as (channel, *spatial), without those of length 1 that nobody asked for."""
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
    return Raster(lazy, tuple(size_of[a] for a in spatial), path)


def _chunks(array) -> tuple[int, ...]:
    return getattr(array, "chunks", None) or (1,) * len(array.shape)
