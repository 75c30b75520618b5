# ruff: noqa: E501 - messages are on one line, so that they can be searched
"""Cases of bad volumes as NIfTI."""

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
from bad_input.case import VOLUMES, Case, damaged, folder, image, pipe
from bad_input.planes import IMAGE

SMALL = np.random.default_rng(0).integers(0, 255, (8, 7, 6)).astype(np.uint8)


def nifti(name: str = "a.nii", array: np.ndarray = SMALL, **fields):
    """Return a function that writes a NIfTI file and sets fields of its header."""

    def make():
        volume = nibabel.Nifti1Image(array, np.eye(4))
        plain = Path("plain.nii")
        nibabel.save(volume, plain)
        content = plain.read_bytes()
        plain.unlink()
        header = np.frombuffer(content[:348], nibabel.Nifti1Header.template_dtype).copy()
        for field, value in fields.items():
            header[field] = value
        content = header.tobytes() + content[348:]
        Path(name).write_bytes(gzip.compress(content, mtime=0) if name.endswith("gz") else content)

    return make


def with_trailing(name: str, trailing: bytes):
    """Return a function that writes a compressed NIfTI file with bytes after it."""

    def make():
        nifti(name)()
        with open(name, "ab") as file:
            file.write(trailing)

    return make


def gzip_gigabyte() -> bytes:
    """Compress a gigabyte of zeros by gzip."""
    return gzip.compress(bytes(2**26), 9, mtime=0) * 16


def with_extension(length: int, offset: float):
    """Return a function that writes a compressed NIfTI file with an extension that claims this length."""

    def make():
        nifti("a.nii", vox_offset=offset)()
        head = Path("a.nii").read_bytes()[:348]
        Path("a.nii").unlink()
        Path("a.nii.gz").write_bytes(
            gzip.compress(head + struct.pack("<4Bii", 1, 0, 0, 0, length, 6), mtime=0) + gzip_gigabyte()
        )

    return make


def write_many_extensions() -> None:
    """Write a NIfTI file of a hundred kilobytes with 64 megabytes of header extensions."""
    nifti("a.nii", vox_offset=2**26)()
    head = Path("a.nii").read_bytes()[:348]
    Path("a.nii").unlink()
    content = head + struct.pack("<4B", 1, 0, 0, 0) + struct.pack("<ii8x", 16, 6) * (2**26 // 16 - 22) + SMALL.tobytes()
    Path("a.nii.gz").write_bytes(gzip.compress(content, 1, mtime=0))


def volume(name: str, make, message: str) -> Case:
    """Make a case of a volume for prediction."""
    return image(name, make, message, VOLUMES)


CASES: dict[str, Case] = {
    "nifti: nothing in it": volume("a.nii", b"", damaged("no NIfTI header")),
    "nifti: text": volume("a.nii", b"no image" * 99, damaged("no NIfTI header")),
    "nifti: not compressed": volume("a.nii.gz", b"no image" * 99, damaged("Not a gzipped file ...")),
    "nifti: cut off": volume(
        "a.nii", lambda: (nifti()(), Path("a.nii").write_bytes(Path("a.nii").read_bytes()[:-9])),
        "found 679 bytes; expected 688 for 8x7x6 pixels of type uint8, as its header says; copy it again from its source",
    ),
    "nifti: compressed and cut off": volume(
        "a.nii.gz", lambda: (nifti("a.nii.gz")(), Path("a.nii.gz").write_bytes(Path("a.nii.gz").read_bytes()[:-9])),
        damaged("Compressed file ended before the end-of-stream marker was reached"),
    ),
    "nifti: a gigabyte behind the pixels": volume(
        "a.nii.gz", with_trailing("a.nii.gz", gzip_gigabyte()),
        "found more bytes; expected 688 for 8x7x6 pixels of type uint8, as its header says; copy it again from its source",
    ),
    "nifti: more than could be packed": volume(
        "a.nii.gz", nifti("a.nii.gz", dim=[3, 30000, 30000, 30000, 1, 1, 1, 1]),
        "found ... bytes at most, packed; expected 27000000000352 for 30000x30000x30000 pixels of type uint8,"
        " as its header says; copy it again from its source",
    ),
    "nifti: more than there is": volume(
        "a.nii", nifti(dim=[3, 30000, 30000, 30000, 1, 1, 1, 1]),
        "found 688 bytes; expected 27000000000352 for 30000x30000x30000 pixels of type uint8,"
        " as its header says; copy it again from its source",
    ),
    "nifti: an axis of no length": volume(
        "a.nii", nifti(dim=[3, 8, 0, 6, 1, 1, 1, 1]),
        "found shape (8, 0, 6); expected at least one pixel along each axis; correct dim in its header",
    ),
    "nifti: an axis of a length below none": volume(
        "a.nii", nifti(dim=[3, 8, -7, 6, 1, 1, 1, 1]),
        "found shape (8, -7, 6); expected at least one pixel along each axis; correct dim in its header",
    ),
    "nifti: a gigabyte as an extension": volume("a.nii.gz", with_extension(2**31 - 16, 2.0**31), damaged("pixels that begin at byte 2147483648")),
    "nifti: an extension of a length below none": volume("a.nii.gz", with_extension(-64, 1024), damaged("failed to read extension content")),
    "nifti: an extension in no place": volume("a.nii.gz", with_extension(64, 0), damaged("pixels that begin at byte 0")),
    "nifti: four million extensions": volume(
        "a.nii.gz", write_many_extensions, damaged("more than 1000 extensions of its header")
    ),
    "nifti: pixels at no number": volume("a.nii", nifti(vox_offset=np.nan), damaged("cannot convert float NaN to integer")),
    "nifti: an affine of NaN": volume(
        "a.nii", nifti(srow_x=[np.nan, 0, 0, 0]),
        "found the affine nan 0 0 0 / 0 1 0 0 / 0 0 1 0; expected finite numbers that span a volume; correct sform or qform",
    ),
    "nifti: left or right": volume(
        "a.nii", nifti(sform_code=0, qform_code=0),
        "found neither sform nor qform (their codes are 0); expected one of them, to tell left from right;"
        " set the correct one, for example by set_sform(affine, 1) of nibabel",
    ),
    "nifti: pixels of no size": volume(
        "a.nii", nifti(pixdim=[1, 0, 1, 1, 0, 0, 0, 0]),
        "found pixels of 0 x 1 x 1; expected positive sizes; correct pixdim in its header",
    ),
    "nifti: an unknown type": volume("a.nii", nifti(datatype=77), damaged("...77...")),
    "nifti: colours": volume(
        "a.nii", nifti(array=np.zeros((8, 7, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])),
        "found pixels of type [('R', 'u1'), ('G', 'u1'), ('B', 'u1')]; expected one real number per pixel and channel; save each channel as integers or floats",
    ),
    "nifti: a folder": volume("a.nii.gz", folder("a.nii.gz"), f"found a folder, not a file; {IMAGE}"),
    "nifti: a pipe": volume("a.nii.gz", pipe("a.nii.gz"), f"found a pipe, socket or device, not a file; {IMAGE}"),
}  # fmt: skip
