"""NIfTI-1 and -2 through nibabel; affine and header survive."""

import gzip
import shutil
import tempfile

import nibabel
import numpy as np

from snakeseg.lazy import BLOCK, Lazy

AXES = "XYZTC"


def read(path):
    """Array, axes and spacing; scaled integers come out scaled. What is compressed is unpacked into a nameless file."""
    file = nibabel.load(path)
    if path.name.lower().endswith(".gz"):
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as what reads from it
        with gzip.open(path) as packed:
            shutil.copyfileobj(packed, unpacked, 2**20)  # to the end, where the checksum is
        holder = nibabel.FileHolder(fileobj=unpacked)
        file = type(file).from_file_map({"image": holder, "header": holder})
    proxy = file.dataobj
    dtype = np.asanyarray(proxy[(slice(0, 1),) * len(proxy.shape)]).dtype
    spacing = tuple(float(s) for s in file.header.get_zooms()[: min(3, len(proxy.shape))])
    return Lazy(proxy.shape, dtype, lambda region: np.asanyarray(proxy[region])), AXES[: len(proxy.shape)], spacing


def affine(path) -> np.ndarray:
    """Where in the world the pixels are; shape (4, 4)."""
    return nibabel.load(path).affine


def write(path, labels, source, largest, note) -> None:
    """Smallest unsigned integer that holds the ids, in the source's space; slab by slab along the last axis."""
    file = nibabel.load(source.path)
    header, dtype = file.header.copy(), np.min_scalar_type(largest)
    header.set_data_dtype(dtype)
    header.set_data_shape(file.shape[:3])
    header.set_slope_inter(1, 0)
    if note:
        header["descrip"] = note.encode()[:79]
    plain = open(path, "wb")  # noqa: SIM115
    packed = str(source.path).lower().endswith(".gz")
    with plain, gzip.GzipFile("", "wb", fileobj=plain, mtime=0) if packed else plain as out:
        header.set_data_offset(0)  # the least there is room for
        header.write_to(out)
        kind = dtype.newbyteorder(header.endianness)
        depth = max(1, BLOCK // max(1, int(np.prod(labels.shape[:-1]))))
        for start in range(0, labels.shape[-1], depth):
            out.write(
                labels[(*[slice(None)] * (labels.ndim - 1), slice(start, start + depth))]
                .astype(kind)
                .tobytes(order="F")
            )
