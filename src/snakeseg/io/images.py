"""Read images and write label images, independently of their format."""

import math
import os
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from operator import index
from pathlib import Path
from types import ModuleType

import numpy as np
import psutil

from snakeseg.arrays import Lazy, Region
from snakeseg.errors import BadInput, BadInputs, collect
from snakeseg.io.colours import COLOURS, encode_label, expand_palette, first_channel, has_equal_channels
from snakeseg.io.file_names import IMAGE_SUFFIXES, split_file_names
from snakeseg.io.formats import DICOM, reader_name, require_lossless, suffix_of
from snakeseg.io.input_checks import damage_as_bad_input, require_kind
from snakeseg.io.raster import Raster, fit_to_image, has_same_geometry
from snakeseg.io.readers import StoredImage
from snakeseg.io.whole_numbers import to_integers

SPATIAL = "XYZ"
# Headers with more pixels are damaged; the largest existing images have a thousandth of it.
MAX_PIXELS = 10**15


def _reader_of(path: Path) -> ModuleType:
    return import_module(f"snakeseg.io.readers.{reader_name(path)}")


def open_image(path: str | Path, dims: int) -> Raster:
    """Open an image with `dims` spatial axes; only its header is read.

    Parameters
    ----------
    path : path
        A file, or one file per channel, separated by ";".
    dims : int

    Returns
    -------
    Raster
        With a lazy array, shape (channels, *spatial).

    Raises
    ------
    BadInput, BadInputs
        If a file is missing, damaged, of unknown format or has other axes, or if the channels have different grids;
        when pixels are read, also if they are damaged, NaN or infinite.
    """
    files = split_file_names(path)
    if len(files) == 1:
        raster = _open_file(files[0], dims)
        return replace(raster, array=expand_palette(raster.array, raster.palette), palette=None)
    problems: list[str] = []
    opened = [collect(problems, lambda file=file: _open_file(file, dims)) for file in files]
    rasters = [raster for raster in opened if raster]
    channels = [collect(problems, lambda raster=raster: _fit_channel(rasters[0], raster)) for raster in rasters]
    if problems:
        raise BadInputs(problems)
    return _stack_channels(channels)


def _fit_channel(first: Raster, raster: Raster) -> Raster:
    """Bring a file to the axes of the first file; raise BadInput unless it has a single channel on the same grid."""
    if raster.array.shape[0] != 1:
        found, remedy = f"{raster.array.shape[0]} channels", "name this file alone, or save each channel as a file"
        raise BadInput(raster.path, found, "one channel, as the image consists of several files", remedy)
    raster = fit_to_image(first, raster)
    if not has_same_geometry(first, raster):
        found, expected = (" x ".join(f"{size:g}" for size in file.spacing) for file in (raster, first))
        expected = f"{expected}, as in {first.path}"
        raise BadInput(raster.path, f"pixels of {found}", expected, "resample it onto that file")
    return raster


def _stack_channels(rasters: list[Raster]) -> Raster:
    """Combine files of one channel each into an image; a region is read only from the files of its channels."""
    arrays = [raster.array for raster in rasters]
    kind = np.result_type(*(array.dtype for array in arrays))

    def read_region(region: Region) -> np.ndarray:
        return np.concatenate([array[(slice(0, 1), *region[1:])].astype(kind) for array in arrays[region[0]]])

    return replace(rasters[0], array=Lazy((len(arrays), *arrays[0].shape[1:]), kind, read_region, arrays[0].chunks))


def _open_file(path: Path, dims: int) -> Raster:
    reader, suffix = _reader_of(path), suffix_of(path).lower()
    folder = suffix == DICOM or IMAGE_SUFFIXES[suffix] == "ome_zarr"
    require_kind(path, folder, "an image", "correct the path in the sample sheet or the key 'data'")
    with damage_as_bad_input(path):
        stored = reader.read(path)
        array, spacing = stored.array, stored.spacing
        if array.dtype.kind not in "biuf":
            found, remedy = f"pixels of type {array.dtype}", "save each channel as integers or floats"
            raise BadInput(path, found, "one real number per pixel and channel", remedy)
        sides = [index(length) for length in array.shape]  # a damaged header may state floats or negative numbers
        if min(sides, default=0) < 1:
            raise BadInput(path, f"shape {array.shape}", "at least one pixel", "remove its row from the sheet")
        if math.prod(sides) > MAX_PIXELS:
            raise BadInput(path, f"shape {array.shape}", f"at most {MAX_PIXELS:.0e} pixels", "export the image again")
        known = [size for size in spacing if size is not None]
        if not all(0 < size < math.inf for size in known):
            found = f"pixels of {' x '.join(f'{size:g}' for size in known)}"
            raise BadInput(path, found, "positive sizes", "correct the pixel size in its header")
        return _canonical(path, stored, dims)


def list_images_in_file(path: Path) -> list[Path]:
    """List the images in a file: `name.lif#1`, `name.lif#2`, ..., or the fields and series in an OME-Zarr.

    A file that cannot be opened counts as one image: opening it later raises the error.
    """
    with suppress(BadInput), damage_as_bad_input(path):
        is_regular = os.path.isfile(path) or os.path.isdir(path)  # opening a pipe would wait
        if is_regular and hasattr(_reader_of(path), "list_images"):
            return _reader_of(path).list_images(path)
    return [path]


def open_label(path: str | Path, dims: int) -> Raster:
    """Open a label image as `open_image`, but with the indices of a palette, and one channel of a grey colour image."""
    raster = _open_file(require_lossless(path), dims)
    return replace(raster, array=first_channel(raster.array)) if has_equal_channels(raster.array) else raster


def read(path: str | Path, dims: int) -> Raster:
    """Read a whole image into memory; parameters and errors as in `open_image`, and BadInput if it does not fit."""
    return _in_memory(path, open_image(path, dims))


def _in_memory(path: str | Path, raster: Raster) -> Raster:
    size, memory = np.prod(raster.array.shape, dtype=float) * raster.array.dtype.itemsize, psutil.virtual_memory().total
    if size > memory:
        found = f"{size / 1e9:.0f} GB of pixels ({raster.array.shape})"
        raise BadInput(path, found, f"an image that fits in {memory / 1e9:.0f} GB of memory", "crop the image")
    return replace(raster, array=raster.array[:])


def read_label(path: str | Path, dims: int) -> Raster:
    """Read a label image.

    Returns
    -------
    Raster
        With an array of integers, shape (*spatial). The values of colours are those of `colours.encode_colours`.

    Raises
    ------
    BadInput
        As `read`, and if the file has several channels or values that are not whole numbers (see `to_integers`).
    """
    raster = _in_memory(path, open_label(path, dims))
    array = raster.array
    if len(array) == COLOURS and array.dtype == np.uint8:
        array = encode_label(path, array)[None]
    if len(array) != 1:
        remedy = "save object ids or class values, not colours"
        raise BadInput(path, f"{len(array)} channels", "a label image of one channel", remedy)
    labels, distance = label_integers(path, array[0])
    return replace(raster, array=labels, rounded=distance)


def label_integers(path: str | Path, array: np.ndarray) -> tuple[np.ndarray, float]:
    """Convert the values of a label file, or a part of it, to integers (see `to_integers`)."""
    step = getattr(_reader_of(Path(path)), "value_step", None) if array.dtype.kind == "f" else None
    return to_integers(path, array, step(Path(path)) if step else 0.0)


def read_label_for(image: Raster, path: str | Path) -> Raster:
    """Read the label of an image, in the image's axes; errors as `read_label` and `fit_to_image`."""
    return fit_to_image(image, read_label(path, len(image.spacing)))


def write_labels(path: Path, labels, source: Raster, largest: int | None = None, note: str = "") -> None:
    """Write labels block by block in the format and with the geometry of the image `source`.

    Parameters
    ----------
    path : path
    labels : array-like of unsigned integers, shape (*spatial)
    source : Raster
    largest : int, optional
        Largest label; required if `labels` is lazy.
    note : str
        Comment for the header of the file.

    Raises
    ------
    BadInput
        If the format cannot store the largest label.
    """
    largest = int(np.max(labels, initial=0)) if largest is None else largest
    _reader_of(source.path).write(path, labels, source, largest, note)


def _canonical(path: Path, stored: StoredImage, dims: int) -> Raster:
    """Reorder the axes to (channel, *spatial) and drop surplus axes of length 1."""
    array, axes, spacing, affine, doubt, palette = stored
    size_of = dict(zip((letter for letter in axes if letter in SPATIAL), spacing, strict=True))
    kept = axes
    for letter in sorted(axes, key="Z".find, reverse=True):  # Z first: a stack of one slice is a plane
        too_many = sum(a in SPATIAL for a in kept) > dims if letter in SPATIAL else letter != "C"
        if too_many and array.shape[axes.index(letter)] == 1:
            kept = kept.replace(letter, "", 1)
    spatial = [letter for letter in kept if letter in SPATIAL]
    spatial = sorted(spatial, key="ZYX".index) if affine is None else spatial
    if len(spatial) != dims or set(kept) - set(SPATIAL) not in (set(), {"C"}) or len(set(axes)) < len(axes):
        raise BadInput(
            path,
            f"shape {array.shape} with axes '{axes}'",
            f"{dims} spatial axes and at most one channel axis",
            "set spatial_dims, or save the file with its axes named",
        )
    order = [*(["C"] if "C" in kept else []), *spatial]
    length, chunk = dict(zip(axes, array.shape, strict=True)), dict(zip(axes, _chunks(array), strict=True))

    def read_region(region: Region) -> np.ndarray:
        slices = dict(zip(["C", *spatial], region, strict=True))
        with damage_as_bad_input(path):
            pixels = np.asarray(array[tuple(slices[a] if a in kept else slice(0, 1) for a in axes)])
        pixels = pixels.squeeze(tuple(i for i, a in enumerate(axes) if a not in kept))
        pixels = pixels.transpose([kept.index(a) for a in order])
        pixels = pixels if "C" in kept else pixels[None]
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            bad = int((~np.isfinite(pixels)).sum())
            raise BadInput(path, f"{bad} pixels that are NaN or infinite", "finite numbers", "repair or drop the image")
        return pixels

    shape = (length.get("C", 1), *(length[a] for a in spatial))
    chunks = (chunk.get("C", 1), *(chunk[a] for a in spatial))
    lazy = Lazy(shape, array.dtype, read_region, chunks if math.prod(chunks) > 1 else None)
    if affine is not None:
        affine = affine[:, [*("XYZ".index(letter) for letter in spatial), 3]]
    sizes = [size_of[letter] for letter in spatial]
    unknown = "".join(letter.lower() for letter in spatial if size_of[letter] is None)
    assumed = min((size for size in sizes if size is not None), default=1.0)
    spacing = tuple(assumed if size is None else size for size in sizes)
    names = "".join(spatial).lower()
    return Raster(lazy, spacing, path, names, affine, unknown=unknown, doubt=doubt, palette=palette)


def _chunks(array) -> tuple[int, ...]:
    return getattr(array, "chunks", None) or (1,) * len(array.shape)
