"""NIfTI-1 and -2 through nibabel: read in canonical orientation (RAS+), written in the source's, with its header."""

import gzip
import io
import math
import shutil
import struct
import tempfile
from functools import cache

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes

from snakeseg.arrays import BLOCK, Lazy, Region, blocks
from snakeseg.errors import BadInput
from snakeseg.io.files import DEFLATE_RATIO
from snakeseg.io.readers import StoredImage
from snakeseg.io.readers.orientation import to_canonical, turned, turned_affine, with_axes

# The fourth axis is time and the fifth channels; but most who have channels put them into the fourth.
AXES = {4: "XYZC", 5: "XYZTC"}
# How hard gzip tries: at 9, its default, large labels take minutes.
QUICK = 3
# Header and its extensions are held in memory; so many bytes are plenty for them.
LONGEST_HEADER = 2**26
# nibabel makes an object of each extension; files have one or two.
MAX_EXTENSIONS = 1000
# Axes of length 1 that enclose less than this volume lie in a plane.
FLAT = 1e-4


def read(path) -> StoredImage:
    """Open an image, in canonical orientation; scaled integers come out scaled.

    What is compressed is unpacked into a nameless file when its pixels are first read.
    """
    kind, header = _header(path)
    file = kind.from_filename(path)
    _require_sound(path, header, file.affine)
    packed = path.name.lower().endswith(".gz")
    file = _require_packed(path, file) if packed else _whole(path, file)
    unpacked = cache(lambda: _unpacked(path, file).dataobj) if packed else lambda: file.dataobj
    shape = _volume_shape(file.shape)
    axes = AXES.get(len(shape), "XYZTCUV"[: len(shape)])
    if len(shape) == 5 and shape[4] == 1:
        axes = "XYZCT"

    def cut(region: Region) -> np.ndarray:
        return np.asanyarray(unpacked()[region[: len(file.shape)]]).reshape([part.stop - part.start for part in region])

    dtype = np.asanyarray(file.dataobj[(slice(0, 1),) * len(file.shape)]).dtype
    # Whole planes are cheap to read, or whole rows of large ones.
    plane = (*shape[:2], 1) if math.prod(shape[:2]) <= BLOCK else (shape[0], 1, 1)
    stored = Lazy(shape, dtype, cut, plane + (1,) * len(shape[3:]))
    turn = to_canonical(file.affine)
    affine = turned_affine(file.affine, shape, turn)
    return StoredImage(turned(stored, turn), axes, tuple(voxel_sizes(affine).tolist()), affine)


def write(path, labels, source, largest, note) -> None:
    """Smallest unsigned integer that holds the ids, in the source's space and order of axes; slab by slab."""
    file = nibabel.load(source.path)
    header, shape, turn = file.header.copy(), _volume_shape(file.shape[:3]), to_canonical(file.affine)
    header.set_data_shape(file.shape[:3])
    stored = turned(with_axes(labels, [shape[axis] for axis in turn.order]), turn.back)
    write_stored(path, stored, header, largest, note, str(source.path).lower().endswith(".gz"))


def write_stored(path, labels, header, largest: int, note: str, packed: bool) -> None:
    """Labels in the order of a header's axes, slab by slab; of the header, what tells of grey values is reset."""
    dtype = np.min_scalar_type(largest)
    header.set_data_dtype(dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0  # which grey values to show
    if note:
        header["descrip"] = note.encode()[:79]
    plain = open(path, "wb")  # noqa: SIM115
    with plain, gzip.GzipFile("", "wb", QUICK, plain, mtime=0) if packed else plain as out:
        header.set_data_offset(0)  # the least there is room for
        header.write_to(out)
        kind = dtype.newbyteorder(header.endianness)
        for region in blocks(labels.shape[::-1], limit=BLOCK):  # the first axis is the fastest
            out.write(labels[region[::-1]].astype(kind).tobytes(order="F"))


def _volume_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """With the axes of length 1 that a plane leaves out."""
    return (*shape, *(1,) * (3 - len(shape)))


def _header(path):
    """The kind of image, and its header as it was written: nibabel mends some of it on loading.

    nibabel takes for granted what extensions say of their length, and would unpack gigabytes; so they are read from no
    more than what lies before the pixels.
    """
    with gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb") as raw:
        start = raw.read(nibabel.Nifti2Header.single_vox_offset)
        kinds = (nibabel.Nifti1Image, nibabel.Nifti2Image)
        kind = next((kind for kind in kinds if kind.header_class.may_contain_header(start)), None)
        if kind is None:
            raise ValueError("no NIfTI header")
        least, size = kind.header_class.single_vox_offset, kind.header_class.sizeof_hdr
        end = int(kind.header_class(start[:size], check=False)["vox_offset"])
        if end > LONGEST_HEADER or (end < least and any(start[size:least])):
            raise ValueError(f"pixels that begin at byte {end}")
        start += raw.read(max(0, end - len(start)))
    _require_few_extensions(start[size + 4 : end], kind.header_class(start[:size], check=False).endianness)
    return kind, kind.header_class.from_fileobj(io.BytesIO(start[: max(end, least)]), check=False)


def _require_few_extensions(extensions: bytes, endianness: str) -> None:
    """Raise ValueError if there are too many, each of which begins with its length."""
    count, at = 0, 0
    while at + 8 <= len(extensions):
        (length,) = struct.unpack_from(f"{endianness}i", extensions, at)
        if length <= 0:  # which nibabel refuses
            return
        count, at = count + 1, at + length
        if count > MAX_EXTENSIONS:
            raise ValueError(f"more than {MAX_EXTENSIONS} extensions of its header")


def _require_sound(path, header, affine) -> None:
    """Raise BadInput unless the header says what lies where."""
    shape = header.get_data_shape()
    if min(shape, default=0) < 1:
        raise BadInput(path, f"shape {shape}", "at least one pixel along each axis", "repair its header")
    sizes = header["pixdim"][1:4].tolist()
    if not all(0 < size < math.inf for size, n in zip(sizes, shape[:3], strict=False) if n > 1):
        found = f"pixels of {' x '.join(f'{size:g}' for size in sizes)}"
        raise BadInput(path, found, "positive sizes", "repair pixdim in its header")
    if not (header["sform_code"] > 0 or header["qform_code"] > 0):
        raise BadInput(
            path, "neither sform nor qform (their codes are 0)", "one that tells left from right",
            "set one that you know to be right, as with nibabel's set_sform",
        )  # fmt: skip
    if not _spans_space(affine):
        found = " / ".join(" ".join(f"{number:g}" for number in row) for row in affine[:3])
        raise BadInput(path, f"the affine {found}", "finite numbers that span a volume", "repair sform or qform")


def _spans_space(affine: np.ndarray) -> bool:
    """Whether the axes point into three directions."""
    lengths = voxel_sizes(affine)
    if not (np.isfinite(affine).all() and lengths.all()):
        return False
    return abs(np.linalg.det(affine[:3, :3] / lengths)) > FLAT


def _end_of(file) -> int:
    """How long the header says that the file is, in bytes."""
    return int(file.dataobj.offset) + math.prod(map(int, file.shape)) * file.get_data_dtype().itemsize


def _disagreement(path, file, found: str) -> BadInput:
    expected = f"{_end_of(file)} for {'x'.join(map(str, file.shape))} pixels of type {file.get_data_dtype()}"
    return BadInput(path, found, f"{expected}, as its header says", "copy it again from its source")


def _whole(path, file):
    """The file, which must be as long as its header says."""
    size = path.stat().st_size
    if size != _end_of(file):
        raise _disagreement(path, file, f"{size} bytes")
    return file


def _require_packed(path, file):
    """The image; BadInput if its file is too small to hold, packed, what the header says."""
    most = DEFLATE_RATIO * path.stat().st_size
    if _end_of(file) > most:
        raise _disagreement(path, file, f"{most} bytes at most, packed")
    return file


def _unpacked(path, file):
    """The same image from a nameless file; no more is unpacked than its header says."""
    end = _end_of(file)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if end > free:
        room = f"{free / 1e9:.3g} GB of room for temporary files"
        raise BadInput(path, room, f"{end / 1e9:.3g} GB to unpack it", "set TMPDIR, or unpack it to .nii yourself")
    unpacked, size = tempfile.TemporaryFile(), 0  # noqa: SIM115 - lives as long as what reads from it
    with gzip.open(path) as packed:
        while block := packed.read(2**20):  # to the end, where the checksum is
            size += len(block)
            if size > end:
                raise _disagreement(path, file, "more bytes")
            unpacked.write(block)
    if size < end:
        raise _disagreement(path, file, f"{size} bytes")
    holder = nibabel.FileHolder(fileobj=unpacked)
    return type(file).from_file_map({"image": holder, "header": holder})
