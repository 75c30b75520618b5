"""MHA, MHD, NRRD and folders of one DICOM series through SimpleITK, an extra; read whole, in canonical orientation.

Labels are written as MHA or NRRD; of a DICOM series as NIfTI, since its files hold much that labels must not claim.
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

from snakeseg.arrays import Lazy, decoded_whole
from snakeseg.errors import BadInput
from snakeseg.io.files import DEFLATE_RATIO, PIXELS_PER_BYTE, require_kind, require_memory, require_stored
from snakeseg.io.readers import StoredImage, itk_worker, nifti
from snakeseg.io.readers.isolated import call_isolated
from snakeseg.io.readers.orientation import to_canonical, turned, turned_affine, with_axes
from snakeseg.io.readers.sidecar_files import require_beside, require_plain
from snakeseg.io.readers.text_headers import named_files

# ITK's first axes go to the left and the back, ours to the right and the front.
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# The reader of each suffix; left to choose, ITK would try all that it has.
READERS = {".mha": "MetaImageIO", ".mhd": "MetaImageIO", ".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO"}
# The slowest disk that is waited for, DICOM headers on it, and pixels that are unpacked.
BYTES_PER_S, FILES_PER_S, PIXELS_PER_S = 10**7, 20, 10**7
# Steps from slice to slice that differ by more than this share are no grid.
UNEVEN = 0.01


class Volume(NamedTuple):
    """An image as ITK reads it.

    Parameters
    ----------
    array : array
        Shape (x, y, z), with a last axis of components or time, if there are any; of planes, z has length 1.
    dims : int
        Number of axes of the file, without components.
    components : int
        Values of each pixel.
    origin, spacing, direction : arrays
        Place of the first pixel and steps along the axes, in millimetres; direction of each axis as a column.
    """

    array: np.ndarray
    dims: int
    components: int
    origin: np.ndarray
    spacing: np.ndarray
    direction: np.ndarray


def read(path) -> StoredImage:
    """Open an image, in canonical orientation."""
    mark = path.stat().st_mtime_ns
    volume = _volume(path, mark)
    array, affine = volume.array, _affine(volume)
    turn = to_canonical(affine)
    axes = "XYZC" if volume.components > 1 else "XYZT"[: array.ndim]
    affine = turned_affine(affine, array.shape, turn)
    # Images that wait for their turn hold no pixels. What is read is a copy, so that the array stays as it is.
    held = decoded_whole(array.shape, array.dtype, lambda: _volume(path, mark).array)
    copied = Lazy(array.shape, array.dtype, lambda region: held[region].copy("K"))
    return StoredImage(turned(copied, turn), axes, tuple(voxel_sizes(affine).tolist()), affine)


def write(path, labels, source, largest, note) -> None:
    """Smallest unsigned integer that holds the ids, in the source's space and order of axes."""
    if source.path.is_dir():
        _write_nifti(path, labels, source, largest, note)
        return
    import SimpleITK as sitk

    volume = _volume(source.path, source.path.stat().st_mtime_ns)
    shape = volume.array.shape[:3]
    turn, inside = to_canonical(_affine(volume)), min(volume.dims, 3)
    stored = turned(with_axes(labels, [shape[axis] for axis in turn.order]), turn.back)
    array = stored[:].astype(np.min_scalar_type(largest)).reshape(shape[:inside])
    written = sitk.GetImageFromArray(array.T)
    written.SetOrigin(volume.origin[:inside].tolist())
    written.SetSpacing(volume.spacing[:inside].tolist())
    written.SetDirection(volume.direction[:inside, :inside].ravel().tolist())
    if note:
        written.SetMetaData("comment", note)
    sitk.WriteImage(written, str(path), useCompression=True)


def _write_nifti(path, labels, source, largest, note) -> None:
    affine, axes = np.eye(4), ["xyz".index(letter) for letter in source.axes]
    affine[:, [*axes, 3]] = source.affine
    for axis in {0, 1, 2} - set(axes):  # a slice is as thick as need be
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
def _volume(path: Path, _mark: int) -> Volume:
    """The whole image; kept, as image and label are opened several times over."""
    if find_spec("SimpleITK") is None:
        remedy = "pip install SimpleITK (conda: simpleitk), or convert it to .nii.gz"
        raise BadInput(path, "no SimpleITK to read it with", "it", remedy)
    facts = _series(path) if path.is_dir() else _image(path)
    array, dims = facts["array"], len(facts["origin"])
    array = array.transpose([*reversed(range(dims)), *range(dims, array.ndim)])
    array = array if dims > 2 else np.expand_dims(array, 2)
    origin, spacing = np.array(facts["origin"]), np.array(facts["spacing"])
    return Volume(array, dims, facts["components"], origin, spacing, facts["direction"])


def _image(path: Path) -> dict:
    names = named_files(path)
    require_beside(path, names)
    files = [path.parent / name for name in names] or [path]
    for file in files:
        require_kind(file, False, f"the data of {path.name}", "copy all files of the image into one folder")
    call = os.path.abspath(path), READERS[path.suffix.lower()]
    header = call_isolated(itk_worker.image_header, *call)
    stored = sum(file.stat().st_size for file in files)
    _require_room(path, header, stored, DEFLATE_RATIO)
    return call_isolated(itk_worker.read_image, *call, extra_s=_time_of(header, stored))


def _series(path: Path) -> dict:
    require_plain(path)
    files = [entry for entry in path.iterdir() if entry.is_file()]
    header = call_isolated(itk_worker.series_header, os.path.abspath(path), extra_s=len(files) / FILES_PER_S)
    if header["series"] != 1:
        found = f"{header['series']} DICOM series" if header["series"] else "a folder without DICOM files"
        raise BadInput(path, found, "one series", "give the folder of one series alone")
    stored = sum(file.stat().st_size for file in files)
    _require_room(path, header, stored, PIXELS_PER_BYTE)
    _require_even_steps(path, np.array(header["origins"]))
    extra_s = _time_of(header, stored) + len(files) / FILES_PER_S
    return call_isolated(itk_worker.read_series, header["files"], extra_s=extra_s)


def _require_even_steps(path: Path, origins: np.ndarray) -> None:
    steps = np.diff(origins, axis=0)
    if len(steps) and np.linalg.norm(steps - steps[0], axis=1).max() > UNEVEN * np.linalg.norm(steps[0]):
        lengths = np.linalg.norm(steps, axis=1)
        found = f"slices {lengths.min():.3g} to {lengths.max():.3g} mm apart"
        raise BadInput(path, found, "even steps", "look for missing files, or convert the series to .nii.gz")


def _require_room(path: Path, header: dict, stored: int, ratio: int) -> None:
    """Raise BadInput if an image takes more memory than there is, or than its files could hold."""
    require_memory(path, header["size"], 4 * header["components"], "convert it to .nii")
    require_stored(path, header["size"], stored, math.prod(header["size"]) / ratio)


def _time_of(header: dict, stored: int) -> float:
    """Seconds that reading may take."""
    return stored / BYTES_PER_S + math.prod(header["size"]) * header["components"] / PIXELS_PER_S


def _affine(volume: Volume) -> np.ndarray:
    """From indices (x, y, z) to right, front, top."""
    inside, affine = min(volume.dims, 3), np.eye(4)
    affine[:inside, :inside] = volume.direction[:inside, :inside] * volume.spacing[:inside]
    affine[:inside, 3] = volume.origin[:inside]
    return LPS @ affine
