"""Pixel sizes of TIFF files: OME header, ImageJ description, resolution tags; and how labels state them again."""

import math
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import tifffile

from snakeseg.arrays import MAX_BLOCK_PIXELS
from snakeseg.io.units import MICROMETRES_PER_INCH, micrometres

# Attributes of the OME header with the pixel size along each axis.
OME_SIZES = {"Z": "PhysicalSizeZ", "Y": "PhysicalSizeY", "X": "PhysicalSizeX"}
RESOLUTION_TAGS = {"Y": "YResolution", "X": "XResolution"}
# Micrometres in the units of the resolution tags.
RESOLUTION_UNITS = {2: MICROMETRES_PER_INCH, 3: 1e4}
# Resolutions in pixels per inch that programs write without a known pixel size: none, and those of screens. ImageJ
# ignores 72, too.
PLACEHOLDERS_PER_INCH, PLACEHOLDER_RTOL = (1, 72, 96), 1e-3
# Keys of ImageJ's description that state the pixel size.
IMAGEJ_KEYS = ("unit", "yunit", "zunit", "spacing")
# A TIFF of more bytes needs 64-bit offsets.
MAX_CLASSIC_BYTES = 2**32 - 2**25


def stated_sizes(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> dict[str, float]:
    """Return the pixel size of an image in micrometres along each axis (X, Y, Z) for which its file states it.

    The OME header counts before ImageJ's description, and that before the resolution tags.
    """
    return _ome_sizes(file, series) or _imagej_sizes(file, series) or _tag_sizes(series)


def contradiction(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> str:
    """Describe how the OME header and the resolution tags contradict each other; "" if they do not."""
    header, tags = _ome_sizes(file, series), _tag_sizes(series)
    for axis in sorted(header.keys() & tags.keys()):
        if not math.isclose(header[axis], tags[axis], rel_tol=0.01):
            return f"{header[axis]:g} µm along {axis.lower()} in the OME header, {tags[axis]:g} µm by the resolution"
    return ""


def ome_attributes(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> dict[str, str]:
    """Return the attributes PhysicalSize* (pixel size and unit) of an image in an OME header."""
    if not file.is_ome:
        return {}
    images = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
    pixels = [image["Pixels"] for image in (images if isinstance(images, list) else [images])]
    sizes = [{k: v for k, v in image.items() if k.startswith("PhysicalSize")} for image in pixels]
    if len(sizes) == len(file.series):
        return next(size for size, image in zip(sizes, file.series, strict=True) if image is series)
    # The number of the image is unknown, as tifffile skips images without data.
    return sizes[0] if all(size == sizes[0] for size in sizes) else {}


def _ome_sizes(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> dict[str, float]:
    attributes = ome_attributes(file, series)
    units = {axis: micrometres(str(attributes.get(f"{name}Unit", "µm"))) for axis, name in OME_SIZES.items()}
    known = {axis: name for axis, name in OME_SIZES.items() if name in attributes and units[axis]}
    return {axis: float(attributes[name]) * units[axis] for axis, name in known.items()}


def _imagej_sizes(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> dict[str, float]:
    """Return the sizes of an ImageJ file; the resolution is in pixels per unit of its description."""
    description = (file.imagej_metadata or {}) if file.is_imagej else {}
    names = {axis: description.get(f"{axis.lower()}unit", description.get("unit", "")) for axis in "XYZ"}
    units = {axis: micrometres(str(name)) for axis, name in names.items()}
    sizes = {axis: 1 / resolution for axis, resolution in _resolutions(series).items()}
    depth = abs(float(description.get("spacing", 0)))
    if 0 < depth < math.inf:  # ImageJ writes 0 and NaN, too, where it has no size
        sizes["Z"] = depth
    return {axis: size * units[axis] for axis, size in sizes.items() if units[axis]}


def _tag_sizes(series: tifffile.TiffPageSeries) -> dict[str, float]:
    """Return the sizes by the resolution tags, unless they have no unit or are those of a screen."""
    unit = RESOLUTION_UNITS.get(series.keyframe.tags.valueof("ResolutionUnit"))
    if unit is None:
        return {}
    sizes = {axis: unit / resolution for axis, resolution in _resolutions(series).items()}
    per_inch = [MICROMETRES_PER_INCH / size for size in sizes.values()]
    is_placeholder = any(np.isclose(n, PLACEHOLDERS_PER_INCH, rtol=PLACEHOLDER_RTOL).any() for n in per_inch)
    return {} if is_placeholder else sizes


def _resolutions(series: tifffile.TiffPageSeries) -> dict[str, float]:
    """Return the pixels per unit of the resolution tags, if both tags have positive numbers."""
    values = {axis: series.keyframe.tags.valueof(name) for axis, name in RESOLUTION_TAGS.items()}
    are_fractions = all(isinstance(value, tuple) and len(value) == 2 and min(value) > 0 for value in values.values())
    return {axis: value[0] / value[1] for axis, value in values.items()} if are_fractions else {}


def label_options(
    file: tifffile.TiffFile,
    series: tifffile.TiffPageSeries,
    path,
    shape: tuple[int, ...],
    dtype: np.dtype,
    largest: int,
) -> dict:
    """Return tifffile's options for labels that state the pixel size of an image as its file does.

    Labels of an ImageJ stack are one, too, unless it cannot hold them: ids above 65535, planes that do not fit in
    memory, and more than 4 GB. These become OME-TIFF.

    Parameters
    ----------
    file : TiffFile
        File of the image, open.
    series : TiffPageSeries
        The image.
    path : path
        Path of the image.
    shape : tuple of int
        Shape of the labels, (y, x) or (z, y, x).
    dtype : dtype
        Data type of the labels.
    largest : int
        Largest label.

    Returns
    -------
    dict
        Options of `TiffWriter.write` with the dtype to write, and `ome` and `imagej` of `TiffWriter`.
    """
    dtype = np.dtype(np.uint16) if file.is_imagej and dtype.itemsize > 2 and largest < 2**16 else dtype
    is_imagej = file.is_imagej and not file.is_ome and _fits_imagej(shape, dtype)
    is_ome = file.is_ome or (file.is_imagej and not is_imagej)
    if file.is_ome:
        sizes = ome_attributes(file, series)
    else:
        description = file.imagej_metadata or {}
        stated = {key: _escaped(description[key]) for key in IMAGEJ_KEYS if key in description}
        sizes = ome_metadata(_imagej_sizes(file, series)) if is_ome else stated
    metadata = {"axes": "ZYX"[-len(shape) :], **sizes, **({"UUID": fixed_uuid(path)} if is_ome else {})}
    return {"ome": is_ome, "imagej": is_imagej, "metadata": metadata, "dtype": dtype, **_resolution_options(series)}


def _escaped(value: object) -> object:
    """Escape letters other than ASCII in a text as ImageJ does; its descriptions are ASCII."""
    if not isinstance(value, str):
        return value
    return "".join(letter if letter.isascii() else f"\\u{ord(letter):04X}" for letter in value)


def _fits_imagej(shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Return True if an ImageJ stack can hold labels, whose planes are written one at a time."""
    is_small = math.prod(shape) * dtype.itemsize <= MAX_CLASSIC_BYTES
    return is_small and math.prod(shape[-2:]) <= MAX_BLOCK_PIXELS and dtype.itemsize <= 2


def _resolution_options(series: tifffile.TiffPageSeries) -> dict:
    """Return tifffile's options that repeat the resolution tags of an image."""
    if not _resolutions(series):
        return {}
    tags = series.keyframe.tags
    unit = tags.valueof("ResolutionUnit")
    return {
        "resolution": tuple(tags.valueof(name) for name in ("XResolution", "YResolution")),
        "resolutionunit": unit if isinstance(unit, int) and unit in list(tifffile.RESUNIT) else None,
    }


def ome_metadata(sizes: dict[str, float]) -> dict:
    """Return tifffile's metadata for sizes in micrometres by axis (X, Y, Z), with the unit of each."""
    names = {OME_SIZES[axis]: size for axis, size in sizes.items()}
    return names | {f"{name}Unit": "µm" for name in names}


def fixed_uuid(path) -> str:
    """Return the identifier of the labels of an image in their OME header, equal in every run."""
    return str(uuid5(NAMESPACE_URL, Path(path).name))
