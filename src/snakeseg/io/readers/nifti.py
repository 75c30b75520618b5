"""NIfTI-1 and NIfTI-2 by nibabel: read in canonical orientation (RAS+), written with the source's header."""

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

from snakeseg.arrays import MAX_BLOCK_PIXELS, Lazy, Region, iterate_blocks
from snakeseg.errors import BadInput
from snakeseg.io.input_checks import DEFLATE_RATIO
from snakeseg.io.readers import StoredImage
from snakeseg.io.readers.orientation import to_canonical, turned, turned_affine, with_axes

# Letters of the axes by their number. By the standard the fourth axis is time, but most files have channels there.
AXES_BY_COUNT = {4: "XYZC", 5: "XYZTC"}
# Millimetres in the spatial units of a header: 1 metre, 2 millimetre, 3 micrometre. Other bits are the unit of time.
MILLIMETRES, UNIT_BITS = {1: 1e3, 3: 1e-3}, 7
# Compression level of gzip; with its default of 9, large labels take minutes.
GZIP_LEVEL = 3
# Largest size of the header with its extensions, which are read into memory.
MAX_HEADER_BYTES = 2**26
# nibabel creates an object for each extension; usual files have one or two.
MAX_EXTENSIONS = 1000
# Smallest volume that the unit vectors of the axes span; less means that they lie in a plane.
MIN_UNIT_VOLUME = 1e-4


def read(path) -> StoredImage:
    """Open an image, in canonical orientation and with its intensity scaling applied.

    The first read of pixels decompresses a .nii.gz to an unnamed temporary file.
    """
    image_class, header = _read_header(path)
    image = image_class.from_filename(path)
    _require_sound_geometry(path, header, image.affine)
    is_compressed = path.name.lower().endswith(".gz")
    if is_compressed:
        _require_possible_size(path, image)
    else:
        _require_exact_size(path, image)
    pixels = cache(lambda: _decompress(path, image).dataobj) if is_compressed else lambda: image.dataobj
    shape = _volume_shape(image.shape)
    axes = AXES_BY_COUNT.get(len(shape), "XYZTCUV"[: len(shape)])
    if len(shape) == 5 and shape[4] == 1:
        axes = "XYZCT"

    def read_region(region: Region) -> np.ndarray:
        return np.asanyarray(pixels()[region[: len(image.shape)]]).reshape([part.stop - part.start for part in region])

    dtype = np.asanyarray(image.dataobj[(slice(0, 1),) * len(image.shape)]).dtype
    # Planes are contiguous; of large planes, rows are.
    plane = (*shape[:2], 1) if math.prod(shape[:2]) <= MAX_BLOCK_PIXELS else (shape[0], 1, 1)
    stored = Lazy(shape, dtype, read_region, plane + (1,) * len(shape[3:]))
    turn = to_canonical(image.affine)
    affine = turned_affine(_in_millimetres(header, image.affine), shape, turn)
    spacing = tuple(voxel_sizes(affine).tolist())
    return StoredImage(turned(stored, turn), axes, spacing, affine, _contradiction(header, image.affine))


def value_step(path) -> float:
    """Return the distance of neighbouring values of scaled integers; 0 for files without scaling, and floats."""
    _, header = _read_header(path)
    slope = float(header["scl_slope"])
    return abs(slope) if header.get_data_dtype().kind in "iu" and math.isfinite(slope) else 0.0


def _in_millimetres(header, affine: np.ndarray) -> np.ndarray:
    """Convert an affine to millimetres, the unit of files that state none."""
    factor = MILLIMETRES.get(int(header["xyzt_units"]) & UNIT_BITS, 1.0)
    return np.diag([factor, factor, factor, 1.0]) @ affine


def _contradiction(header, affine: np.ndarray) -> str:
    """Describe how pixdim and the affine contradict each other; "" if they do not."""
    stated, used = header["pixdim"][1:4].tolist(), voxel_sizes(affine).tolist()
    sides = [*header.get_data_shape()[:3], 1, 1, 1]
    differ = [not math.isclose(a, b, rel_tol=0.01) for a, b, n in zip(stated, used, sides, strict=False) if n > 1]
    sizes = (" x ".join(f"{size:g}" for size in sizes) for sizes in (stated, used))
    return "{} in pixdim, {} by the affine".format(*sizes) if any(differ) else ""


def write(path, labels, source, largest, note) -> None:
    """Write labels as the smallest sufficient unsigned integers, with the source's geometry, slab by slab."""
    image = nibabel.load(source.path)
    header, shape, turn = image.header.copy(), _volume_shape(image.shape[:3]), to_canonical(image.affine)
    header.set_data_shape(image.shape[:3])
    stored = turned(with_axes(labels, [shape[axis] for axis in turn.order]), turn.back)
    write_stored(path, stored, header, largest, note, str(source.path).lower().endswith(".gz"))


def write_stored(path, labels, header, largest: int, note: str, packed: bool) -> None:
    """Write labels slab by slab with a header, whose fields on intensities are reset.

    Parameters
    ----------
    path : path
    labels : array-like of unsigned integers, shape (x, y, z)
        In the axis order of the header.
    header : Nifti1Header or Nifti2Header
        Changed in place.
    largest : int
        Largest label, which determines the dtype of the file.
    note : str
        Description in the header, at most 79 bytes.
    packed : bool
        True to compress the file by gzip.
    """
    dtype = np.min_scalar_type(largest)
    header.set_data_dtype(dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0  # the intensities that viewers display
    if note:
        header["descrip"] = note.encode()[:79]
    plain = open(path, "wb")  # noqa: SIM115
    with plain, gzip.GzipFile("", "wb", GZIP_LEVEL, plain, mtime=0) if packed else plain as out:
        header.set_data_offset(0)  # 0: the smallest valid offset
        header.write_to(out)
        stored_dtype = dtype.newbyteorder(header.endianness)
        for region in iterate_blocks(
            labels.shape[::-1], limit=MAX_BLOCK_PIXELS
        ):  # in the file, the first axis varies fastest
            out.write(labels[region[::-1]].astype(stored_dtype).tobytes(order="F"))


def _volume_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Append axes of length 1 to a shape with fewer than three axes."""
    return (*shape, *(1,) * (3 - len(shape)))


def _read_header(path):
    """Return nibabel's image class and the unchanged header, of which nibabel corrects fields on loading.

    nibabel trusts the stated length of an extension and would decompress gigabytes. Extensions are therefore parsed
    from the bytes before the pixels only.
    """
    with gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb") as raw:
        start = raw.read(nibabel.Nifti2Header.single_vox_offset)
        classes = (nibabel.Nifti1Image, nibabel.Nifti2Image)
        image_class = next((item for item in classes if item.header_class.may_contain_header(start)), None)
        if image_class is None:
            raise ValueError("no NIfTI header")
        header_class = image_class.header_class
        least, size = header_class.single_vox_offset, header_class.sizeof_hdr
        end = int(header_class(start[:size], check=False)["vox_offset"])
        if end > MAX_HEADER_BYTES or (end < least and any(start[size:least])):
            raise ValueError(f"pixels that begin at byte {end}")
        start += raw.read(max(0, end - len(start)))
    _require_few_extensions(start[size + 4 : end], header_class(start[:size], check=False).endianness)
    return image_class, header_class.from_fileobj(io.BytesIO(start[: max(end, least)]), check=False)


def _require_few_extensions(extensions: bytes, endianness: str) -> None:
    """Raise ValueError if a header has too many extensions, each of which begins with its length in bytes."""
    count, position = 0, 0
    while position + 8 <= len(extensions):
        (length,) = struct.unpack_from(f"{endianness}i", extensions, position)
        if length <= 0:  # nibabel raises an error for it
            return
        count, position = count + 1, position + length
        if count > MAX_EXTENSIONS:
            raise ValueError(f"more than {MAX_EXTENSIONS} extensions of its header")


def _require_sound_geometry(path, header, affine) -> None:
    """Raise BadInput unless the header states a valid shape, pixel size and affine."""
    shape = header.get_data_shape()
    if min(shape, default=0) < 1:
        raise BadInput(path, f"shape {shape}", "at least one pixel along each axis", "correct dim in its header")
    sizes = header["pixdim"][1:4].tolist()
    if not all(0 < size < math.inf for size, n in zip(sizes, shape[:3], strict=False) if n > 1):
        found = f"pixels of {' x '.join(f'{size:g}' for size in sizes)}"
        raise BadInput(path, found, "positive sizes", "correct pixdim in its header")
    if not (header["sform_code"] > 0 or header["qform_code"] > 0):
        raise BadInput(
            path, "neither sform nor qform (their codes are 0)", "one of them, to tell left from right",
            "set the correct one, for example by set_sform(affine, 1) of nibabel",
        )  # fmt: skip
    if not _spans_space(affine):
        found = " / ".join(" ".join(f"{number:g}" for number in row) for row in affine[:3])
        raise BadInput(path, f"the affine {found}", "finite numbers that span a volume", "correct sform or qform")


def _spans_space(affine: np.ndarray) -> bool:
    """Return True if the axes of an affine are linearly independent."""
    lengths = voxel_sizes(affine)
    if not (np.isfinite(affine).all() and lengths.all()):
        return False
    return abs(np.linalg.det(affine[:3, :3] / lengths)) > MIN_UNIT_VOLUME


def _size_by_header(image) -> int:
    """Return the size of the uncompressed file in bytes, by its header."""
    return int(image.dataobj.offset) + math.prod(map(int, image.shape)) * image.get_data_dtype().itemsize


def _wrong_size(path, image, found: str) -> BadInput:
    expected = f"{_size_by_header(image)} for {'x'.join(map(str, image.shape))} pixels of type {image.get_data_dtype()}"
    return BadInput(path, found, f"{expected}, as its header says", "copy it again from its source")


def _require_exact_size(path, image) -> None:
    """Raise BadInput unless an uncompressed file has the size that its header implies."""
    size = path.stat().st_size
    if size != _size_by_header(image):
        raise _wrong_size(path, image, f"{size} bytes")


def _require_possible_size(path, image) -> None:
    """Raise BadInput if a compressed file is too small for the pixels that its header states."""
    limit = DEFLATE_RATIO * path.stat().st_size
    if _size_by_header(image) > limit:
        raise _wrong_size(path, image, f"{limit} bytes at most, packed")


def _decompress(path, image):
    """Return the same image, decompressed to an unnamed temporary file, at most to the size by its header."""
    expected_size = _size_by_header(image)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if expected_size > free:
        found, expected = f"{free / 1e9:.3g} GB free for temporary files", f"{expected_size / 1e9:.3g} GB to unpack it"
        raise BadInput(path, found, expected, "set TMPDIR to a larger disk, or unpack it to .nii")
    unpacked, size = tempfile.TemporaryFile(), 0  # noqa: SIM115 - stays open as long as the image that reads it
    with gzip.open(path) as packed:
        while block := packed.read(2**20):  # to the end, where gzip verifies the checksum
            size += len(block)
            if size > expected_size:
                raise _wrong_size(path, image, "more bytes")
            unpacked.write(block)
    if size < expected_size:
        raise _wrong_size(path, image, f"{size} bytes")
    holder = nibabel.FileHolder(fileobj=unpacked)
    return type(image).from_file_map({"image": holder, "header": holder})
