"""MHA, MHD, NRRD and folders of one DICOM series through SimpleITK, an extra; read whole, in canonical orientation.

Labels are written as MHA or NRRD; of a DICOM series as NIfTI, since its files hold much that labels must not claim.
"""

import math
import re
from functools import lru_cache
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes

from snakeseg.errors import BadInput
from snakeseg.io import nifti
from snakeseg.io.companions import require_beside, require_plain
from snakeseg.io.files import require_memory
from snakeseg.io.orientation import to_canonical, turned, turned_affine, with_axes

# ITK's first axes go to the left and the back, ours to the right and the front.
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# What ITK may take a file for, by its suffix; left to choose, it would try all that it knows.
READERS = {".mha": "MetaImageIO", ".mhd": "MetaImageIO", ".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO"}
# Of a header that names other files: the names, and how much of it is looked at.
NAMED = re.compile(rb"(?i)^[ \t]*(?:ElementDataFile[ \t]*[=:]|data ?file:)[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
LONGEST_HEADER = 2**20
# A header of more axes than that crashes ITK.
AXES, MOST_AXES = re.compile(rb"(?im)^[ \t]*NDims[ \t]*[=:][ \t]*(.*?)[ \t\r]*$"), 9
# Steps from slice to slice that differ by more than this share are no grid.
UNEVEN = 0.01


def read(path):
    """Array in canonical orientation, axes, spacing and affine."""
    image = _image(path, path.stat().st_mtime_ns)
    array, affine = _array(path, image), _affine(image)
    turn = to_canonical(affine)
    axes = "XYZC" if image.GetNumberOfComponentsPerPixel() > 1 else "XYZT"[: array.ndim]
    affine = turned_affine(affine, array.shape, turn)
    return turned(array, turn), axes, tuple(voxel_sizes(affine).tolist()), affine


def write(path, labels, source, largest, note) -> None:
    """Smallest unsigned integer that holds the ids, in the source's space and order of axes."""
    if source.path.is_dir():
        _write_nifti(path, labels, source, largest, note)
        return
    sitk = _library(source.path)
    image = _image(source.path, source.path.stat().st_mtime_ns)
    turn, shape = to_canonical(_affine(image)), (*image.GetSize()[:3], 1)[:3]
    stored = turned(with_axes(labels, [shape[axis] for axis in turn.order]), turn.back)
    array = stored[:].astype(np.min_scalar_type(largest)).reshape(image.GetSize()[:3])
    written = sitk.GetImageFromArray(array.T)
    inside = written.GetDimension()
    written.SetOrigin(image.GetOrigin()[:inside])
    written.SetSpacing(image.GetSpacing()[:inside])
    written.SetDirection(_direction(image).ravel().tolist())
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


def _library(path):
    try:
        import SimpleITK
    except ImportError as error:
        remedy = "pip install SimpleITK (conda: simpleitk), or convert it to .nii.gz"
        raise BadInput(path, "no SimpleITK to read it with", "it", remedy) from error
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


@lru_cache(maxsize=2)
def _image(path, _mark):
    """The whole image; kept, as image and label are opened several times over."""
    sitk = _library(path)
    if path.is_dir():
        return _series(sitk, path)
    _require_own_files(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(READERS[path.suffix.lower()])
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    _require_room(path, reader.GetSize(), reader.GetNumberOfComponents())
    return reader.Execute()


def _require_own_files(path) -> None:
    """Raise BadInput if the header names files elsewhere, or what is no file."""
    with open(path, "rb") as file:
        header = file.read(LONGEST_HEADER)
    if path.suffix.lower() in (".nrrd", ".nhdr"):
        header = header.split(b"\n\n")[0].split(b"\r\n\r\n")[0]
    axes = AXES.search(header)
    if axes and not (axes[1].isdigit() and 0 < int(axes[1]) <= MOST_AXES):
        raise ValueError(f"{axes[1].decode('latin-1')[:20]} axes")
    found = NAMED.search(header)
    if len(header) == LONGEST_HEADER and found is None:
        raise ValueError(f"a header that does not end within {LONGEST_HEADER} bytes")
    name = found[1].decode("latin-1") if found else "LOCAL"
    if name.upper() == "LOCAL":
        return
    # One file; or a pattern and numbers for it; or LIST, and then one a line.
    if "%" in name or name.upper().startswith("LIST"):
        require_plain(path.parent)
        require_beside(path, [name.split(" ")[0], *header[found.end() :].decode("latin-1").split()])
    else:
        require_beside(path, [name])


def _series(sitk, path):
    require_plain(path)
    names = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(path))
    if len(names) != 1:
        found = f"{len(names)} DICOM series" if names else "a folder without DICOM files"
        raise BadInput(path, found, "one series", "give the folder of one series alone")
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path), names[0])
    reader = sitk.ImageFileReader()
    places = []
    for file in files:
        reader.SetFileName(file)
        reader.ReadImageInformation()
        places.append(reader.GetOrigin())
    _require_room(path, (*reader.GetSize()[:2], len(files)), reader.GetNumberOfComponents())
    steps = np.diff(places, axis=0)
    if len(steps) and np.linalg.norm(steps - steps[0], axis=1).max() > UNEVEN * np.linalg.norm(steps[0]):
        lengths = np.linalg.norm(steps, axis=1)
        found = f"slices {lengths.min():.3g} to {lengths.max():.3g} mm apart"
        raise BadInput(path, found, "even steps", "look for missing files, or convert the series to .nii.gz")
    series = sitk.ImageSeriesReader()
    series.SetFileNames(files)
    return series.Execute()


def _require_room(path, size, components: int) -> None:
    require_memory(path, size, 4 * components, "convert it to .nii")


def _array(path: Path, image) -> np.ndarray:
    """Shape (x, y, z), with a last axis of channels or time, if there are any."""
    sitk = _library(path)
    array = sitk.GetArrayFromImage(image)
    dims = image.GetDimension()
    array = array.transpose([*reversed(range(dims)), *range(dims, array.ndim)])
    return array if dims > 2 else np.expand_dims(array, 2)


def _affine(image) -> np.ndarray:
    """From indices (x, y, z) to right, front, top."""
    direction = _direction(image)
    inside, affine = len(direction), np.eye(4)
    affine[:inside, :inside] = direction * image.GetSpacing()[:inside]
    affine[:inside, 3] = image.GetOrigin()[:inside]
    return LPS @ affine


def _direction(image) -> np.ndarray:
    """Of two axes or three."""
    dims = image.GetDimension()
    return np.reshape(image.GetDirection(), (dims, dims))[:3, :3]
