"""MHA, MHD, NRRD and folders with one DICOM series, read whole and in canonical orientation by SimpleITK (an extra).

Labels are written as MHA or NRRD. Those of a DICOM series are written as NIfTI, since labels must not claim the
acquisition data of DICOM files.
"""

import math
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes

from snakeseg.arrays import Lazy, decode_on_first_read
from snakeseg.errors import BadInput
from snakeseg.io.input_checks import DEFLATE_RATIO, PIXELS_PER_BYTE, require_kind, require_memory, require_stored
from snakeseg.io.readers import StoredImage, itk_worker, nifti
from snakeseg.io.readers.isolated import call_isolated
from snakeseg.io.readers.orientation import to_canonical, turned, turned_affine, with_axes
from snakeseg.io.readers.sidecar_files import require_beside, require_plain
from snakeseg.io.readers.text_headers import named_files

# Converts ITK's world axes (left, back, top: LPS) to those of NIfTI (right, front, top: RAS).
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# ITK reader by suffix; by default ITK would try all its readers.
READERS = {".mha": "MetaImageIO", ".mhd": "MetaImageIO", ".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO"}
# Slowest speeds that the time limit allows for: bytes read, DICOM headers read, pixels decompressed.
BYTES_PER_S, FILES_PER_S, PIXELS_PER_S = 10**7, 20, 10**7
# Largest relative difference between the distances of neighbouring DICOM slices.
SLICE_DISTANCE_RTOL = 0.01


class Volume(NamedTuple):
    """Image with ITK's geometry.

    Parameters
    ----------
    array : array, shape (x, y, z) or (x, y, z, components or time)
        The z axis of a 2D image has length 1.
    dims : int
        Number of axes of the file, without components.
    components : int
        Number of values per pixel.
    origin, spacing : arrays, shape (dims,)
        Position of the first pixel, and pixel size along each axis, in millimetres.
    direction : array, shape (dims, dims)
        Unit vector of each axis, as a column.
    """

    array: np.ndarray
    dims: int
    components: int
    origin: np.ndarray
    spacing: np.ndarray
    direction: np.ndarray


def read(path) -> StoredImage:
    """Open an image, in canonical orientation."""
    time = path.stat().st_mtime_ns
    volume = _volume(path, time)
    array, affine = volume.array, _affine(volume)
    turn = to_canonical(affine)
    axes = "XYZC" if volume.components > 1 else "XYZT"[: array.ndim]
    affine = turned_affine(affine, array.shape, turn)
    # Decoded again on the first read, so that an opened image holds no pixels; copied, since the array is cached.
    decoded = decode_on_first_read(array.shape, array.dtype, lambda: _volume(path, time).array)
    copied = Lazy(array.shape, array.dtype, lambda region: decoded[region].copy("K"))
    return StoredImage(turned(copied, turn), axes, tuple(voxel_sizes(affine).tolist()), affine)


def write(path, labels, source, largest, note) -> None:
    """Write labels as the smallest sufficient unsigned integers, with the geometry and axis order of the source."""
    if source.path.is_dir():
        _write_nifti(path, labels, source, largest, note)
        return
    import SimpleITK as sitk

    volume = _volume(source.path, source.path.stat().st_mtime_ns)
    shape = volume.array.shape[:3]
    turn, dims = to_canonical(_affine(volume)), min(volume.dims, 3)
    stored = turned(with_axes(labels, [shape[axis] for axis in turn.order]), turn.back)
    array = stored[:].astype(np.min_scalar_type(largest)).reshape(shape[:dims])
    image = sitk.GetImageFromArray(array.T)
    image.SetOrigin(volume.origin[:dims].tolist())
    image.SetSpacing(volume.spacing[:dims].tolist())
    image.SetDirection(volume.direction[:dims, :dims].ravel().tolist())
    if note:
        image.SetMetaData("comment", note)
    sitk.WriteImage(image, str(path), useCompression=True)


def _write_nifti(path, labels, source, largest, note) -> None:
    affine, axes = np.eye(4), ["xyz".index(letter) for letter in source.axes]
    affine[:, [*axes, 3]] = source.affine
    for axis in {0, 1, 2} - set(axes):  # any thickness: that of a single slice is unknown
        affine[:3, axis] = np.cross(affine[:3, axis - 2], affine[:3, axis - 1]) / math.prod(source.spacing)
    sides = dict(zip(axes, labels.shape, strict=True))
    labels = with_axes(labels, [sides.get(axis, 1) for axis in range(3)])
    header = nibabel.Nifti1Header()
    header.set_data_shape(labels.shape)
    header.set_xyzt_units("mm")
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    nifti.write_stored(path, labels, header, largest, note, packed=True)


@lru_cache(maxsize=2)
def _volume(path: Path, _time: int) -> Volume:
    """Read the whole image. The last ones are cached, as image and label are opened several times."""
    if find_spec("SimpleITK") is None:
        remedy = "pip install SimpleITK (conda: simpleitk), or convert the image to .nii.gz"
        raise BadInput(path, "no SimpleITK", "the package SimpleITK, for this format", remedy)
    content = _read_series(path) if path.is_dir() else _read_file(path)
    array, dims = content["array"], len(content["origin"])
    array = array.transpose([*reversed(range(dims)), *range(dims, array.ndim)])
    array = array if dims > 2 else np.expand_dims(array, 2)
    origin, spacing = np.array(content["origin"]), np.array(content["spacing"])
    return Volume(array, dims, content["components"], origin, spacing, content["direction"])


def _read_file(path: Path) -> dict:
    names = named_files(path)
    require_beside(path, names)
    files = [path.parent / name for name in names] or [path]
    for file in files:
        require_kind(file, False, f"the data of {path.name}", "copy all files of the image into one folder")
    call = os.path.abspath(path), READERS[path.suffix.lower()]
    header = call_isolated(itk_worker.image_header, *call)
    stored = sum(file.stat().st_size for file in files)
    _require_possible_size(path, header, stored, DEFLATE_RATIO)
    return call_isolated(itk_worker.read_image, *call, extra_s=_reading_time_s(header, stored))


def _read_series(path: Path) -> dict:
    require_plain(path)
    files = [entry for entry in path.iterdir() if entry.is_file()]
    header = call_isolated(itk_worker.series_header, os.path.abspath(path), extra_s=len(files) / FILES_PER_S)
    if header["series"] != 1:
        found = f"{header['series']} DICOM series" if header["series"] else "a folder without DICOM files"
        raise BadInput(path, found, "one DICOM series", "name a folder with the files of a single series")
    stored = sum(file.stat().st_size for file in files)
    _require_possible_size(path, header, stored, PIXELS_PER_BYTE)
    _require_even_distances(path, np.array(header["origins"]))
    extra_s = _reading_time_s(header, stored) + len(files) / FILES_PER_S
    return call_isolated(itk_worker.read_series, header["files"], extra_s=extra_s)


def _require_even_distances(path: Path, origins: np.ndarray) -> None:
    """Raise BadInput unless slices with these origins, shape (slices, 3), are evenly spaced."""
    steps = np.diff(origins, axis=0)
    if len(steps) and np.linalg.norm(steps - steps[0], axis=1).max() > SLICE_DISTANCE_RTOL * np.linalg.norm(steps[0]):
        lengths = np.linalg.norm(steps, axis=1)
        found = f"slices {lengths.min():.3g} to {lengths.max():.3g} mm apart"
        raise BadInput(path, found, "even distances", "add the missing files, or convert the series to .nii.gz")


def _require_possible_size(path: Path, header: dict, stored: int, ratio: int) -> None:
    """Raise BadInput if an image does not fit in memory, or is larger than files of `stored` bytes can contain."""
    require_memory(path, header["size"], 4 * header["components"], "convert it to .nii")
    require_stored(path, header["size"], stored, math.prod(header["size"]) / ratio)


def _reading_time_s(header: dict, stored: int) -> float:
    """Return the time limit for reading an image, in seconds."""
    return stored / BYTES_PER_S + math.prod(header["size"]) * header["components"] / PIXELS_PER_S


def _affine(volume: Volume) -> np.ndarray:
    """Return the affine, shape (4, 4), that maps indices (x, y, z) to world coordinates (right, front, top)."""
    dims, affine = min(volume.dims, 3), np.eye(4)
    affine[:dims, :dims] = volume.direction[:dims, :dims] * volume.spacing[:dims]
    affine[:dims, 3] = volume.origin[:dims]
    return LPS_TO_RAS @ affine
