# ruff: noqa: E501 - messages stand in one piece, as they are looked for
"""Bad images of volumes, and in folders: NIfTI, Zarr and OME-Zarr, MHA, MHD, NRRD, DICOM."""

import gzip
import json
import pickle
import struct
from pathlib import Path

import nibabel
import numpy as np
import zarr
from bad_input.case import PLANES, VOLUMES, Bomb, Case, damaged, folder, image, link, pipe, zeros
from bad_input.planes import IMAGE, OUTSIDE

SMALL = np.random.default_rng(0).integers(0, 255, (8, 7, 6)).astype(np.uint8)


def nifti(name: str = "a.nii", array: np.ndarray = SMALL, **fields):
    """A NIfTI file with fields of its header set afterwards; those of nothing stay."""

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


def behind(name: str, more: bytes):
    """A compressed NIfTI file with another member of gzip after it."""

    def make():
        nifti(name)()
        with open(name, "ab") as file:
            file.write(more)

    return make


def gigabyte() -> bytes:
    return gzip.compress(bytes(2**26), 9, mtime=0) * 16


def extension(length: int, offset: float):
    """A compressed NIfTI file with an extension that says it has this length."""

    def make():
        nifti("a.nii", vox_offset=offset)()
        head = Path("a.nii").read_bytes()[:348]
        Path("a.nii").unlink()
        Path("a.nii.gz").write_bytes(
            gzip.compress(head + struct.pack("<4Bii", 1, 0, 0, 0, length, 6), mtime=0) + gigabyte()
        )

    return make


def volume(name: str, make, told: str) -> Case:
    return image(name, make, told, VOLUMES)


def array(name: str = "a.zarr", version: int = 2, **changes):
    """A Zarr array of one plane, with its description changed afterwards."""

    def make():
        zarr.create_array(name, data=np.zeros((24, 24), np.uint8), chunks=(24, 24), zarr_format=version)
        description = Path(name) / (".zarray" if version == 2 else "zarr.json")
        description.write_text(
            json.dumps({**json.loads(description.read_text(encoding="utf-8")), **changes}), encoding="utf-8"
        )

    return make


def with_chunk(content, **changes):
    """A Zarr array whose one chunk holds these bytes."""

    def make():
        array(**changes)()
        Path("a.zarr/0.0").write_bytes(content())

    return make


def as_a_pipe(part: str) -> Case:
    """A Zarr array one of whose files is a pipe."""

    def make():
        array()()
        Path(part).unlink(missing_ok=True)
        pipe(part)()

    told = (
        f"{part}: found a pipe, socket or device, not a file; expected a part of a Zarr; copy it again from its source"
    )
    return Case(make, ["predict", PLANES, "a.zarr", "-o", "out"], told)


def zstd_zeros() -> bytes:
    """16 GB of them in half a megabyte: a frame that says no size, of blocks that repeat a byte."""
    block = (2**17 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    return (0xFD2FB528).to_bytes(4, "little") + bytes([0, 0x38]) + block * 2**17 + b"\1\0\0"


def ome_zarr(axes: str = "yx", path: str = "0", scale=(1.0, 1.0), version: int = 2):
    """OME-Zarr 0.4 or 0.5 of one level."""

    def make():
        group = zarr.create_group("a.ome.zarr", zarr_format=version)
        group.create_array("0", data=np.zeros((24, 24), np.uint8))
        level = {"path": path, "coordinateTransformations": [{"type": "scale", "scale": list(scale)}]}
        scales = {"axes": [{"name": axis, "type": "space"} for axis in axes], "datasets": [level]}
        group.attrs.update({"multiscales": [scales]} if version == 2 else {"ome": {"multiscales": [scales]}})

    return make


def text(name: str, content: str, *others):
    """A header, and what else is to be made."""

    def make():
        Path(name).write_text(content, encoding="utf-8")
        for other in others:
            other()

    return make


def mhd(data: str, size: str = "8 7 6") -> str:
    return f"ObjectType = Image\nNDims = 3\nDimSize = {size}\nElementType = MET_UCHAR\nElementDataFile = {data}\n"


def nhdr(data: str) -> str:
    return f"NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 8 7 6\nencoding: raw\ndata file: {data}\n\n"


BOMB = damaged("a chunk that unpacks to more than its shape")
PIPE = "b.raw: found a pipe, socket or device; expected a file; move it elsewhere"
PICKLE = {"compressor": {"id": "pickle", "protocol": 5}, "filters": None}
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
        "a.nii.gz", behind("a.nii.gz", gigabyte()),
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
        "found shape (8, 0, 6); expected at least one pixel along each axis; repair its header",
    ),
    "nifti: an axis of a length below none": volume(
        "a.nii", nifti(dim=[3, 8, -7, 6, 1, 1, 1, 1]),
        "found shape (8, -7, 6); expected at least one pixel along each axis; repair its header",
    ),
    "nifti: a gigabyte as an extension": volume("a.nii.gz", extension(2**31 - 16, 2.0**31), damaged("pixels that begin at byte 2147483648")),
    "nifti: an extension of a length below none": volume("a.nii.gz", extension(-64, 1024), damaged("failed to read extension content")),
    "nifti: an extension in no place": volume("a.nii.gz", extension(64, 0), damaged("pixels that begin at byte 0")),
    "nifti: pixels at no number": volume("a.nii", nifti(vox_offset=np.nan), damaged("cannot convert float NaN to integer")),
    "nifti: an affine of NaN": volume(
        "a.nii", nifti(srow_x=[np.nan, 0, 0, 0]),
        "found the affine nan 0 0 0 / 0 1 0 0 / 0 0 1 0; expected finite numbers that span a volume; repair sform or qform",
    ),
    "nifti: left or right": volume(
        "a.nii", nifti(sform_code=0, qform_code=0),
        "found neither sform nor qform (their codes are 0); expected one that tells left from right;"
        " set one that you know to be right, as with nibabel's set_sform",
    ),
    "nifti: pixels of no size": volume(
        "a.nii", nifti(pixdim=[1, 0, 1, 1, 0, 0, 0, 0]),
        "found pixels of 0 x 1 x 1; expected positive sizes; repair pixdim in its header",
    ),
    "nifti: an unknown type": volume("a.nii", nifti(datatype=77), damaged("...77...")),
    "nifti: colours": volume(
        "a.nii", nifti(array=np.zeros((8, 7, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])),
        "found pixels of type [('R', 'u1'), ('G', 'u1'), ('B', 'u1')]; expected grey values; save channels apart, as numbers",
    ),
    "nifti: a folder": volume("a.nii.gz", folder("a.nii.gz"), f"found a folder, not a file; {IMAGE}"),
    "nifti: a pipe": volume("a.nii.gz", pipe("a.nii.gz"), f"found a pipe, socket or device, not a file; {IMAGE}"),
    "zarr: a file": image("a.zarr", b"x", f"found a file, not a folder; {IMAGE}"),
    "zarr: a device": image("a.zarr", link("a.zarr", "/dev/zero"), f"found a pipe, socket or device, not a file; {IMAGE}"),
    "zarr: an empty folder": image("a.zarr", folder("a.zarr"), damaged()),
    "zarr: a description that is no JSON": image(
        "a.zarr", lambda: (folder("a.zarr")(), Path("a.zarr/zarr.json").write_text("{", encoding="utf-8")), damaged()
    ),
    "zarr: a pickle": image("a.zarr", with_chunk(lambda: pickle.dumps(Bomb()), **PICKLE), damaged("...'pickle'...")),
    "zarr: a pickle as a filter": image(
        "a.zarr", with_chunk(lambda: pickle.dumps(Bomb()), compressor=None, filters=[{"id": "pickle"}]), damaged("...'pickle'...")
    ),
    "zarr: objects": image(
        "a.zarr", with_chunk(lambda: pickle.dumps(Bomb()), compressor=None, dtype="|O", filters=[{"id": "pickle"}]), damaged()
    ),
    "zarr: text": image(
        "a.zarr", array(dtype="<U8", fill_value=""), "found pixels of type ...; expected grey values; save channels apart, as numbers"
    ),
    "zarr: a chunk of a terabyte": image(
        "a.zarr", array(shape=[10**6, 10**6], chunks=[10**6, 10**6]),
        "found 1000000 x 1000000 pixels in one piece; expected less than ... million of them; store it in smaller chunks",
    ),
    "zarr: more pixels than there are": image(
        "a.zarr", array(shape=[10**9, 10**9]),
        "found shape (1000000000, 1000000000); expected no more than 1e+15 pixels; check its header",
    ),
    "zarr: no pixels": image("a.zarr", array(shape=[0, 24]), "found shape (0, 24); expected at least one pixel; remove the row"),
    "zarr: a chunk that is a pipe": as_a_pipe("a.zarr/0.0"),
    "zarr: a description that is a pipe": as_a_pipe("a.zarr/.zarray"),
    "zarr: a bomb of zlib": image("a.zarr", with_chunk(lambda: zeros(8), compressor={"id": "zlib", "level": 1}), BOMB),
    "zarr: a bomb of gzip": image("a.zarr", with_chunk(gigabyte, compressor={"id": "gzip", "level": 1}), BOMB),
    "zarr: a bomb of Zstandard": image("a.zarr", with_chunk(zstd_zeros, compressor={"id": "zstd", "level": 1}), BOMB),
    "zarr: a bomb of LZ4": image(
        "a.zarr", with_chunk(lambda: struct.pack("<I", 2**31 - 1) + bytes(99), compressor={"id": "lz4"}), BOMB
    ),
    "zarr: a chunk of something else": image("a.zarr", with_chunk(lambda: b"nothing", compressor={"id": "zlib", "level": 1}), damaged()),
    "ome-zarr: no multiscales": image(
        "a.ome.zarr", lambda: zarr.create_group("a.ome.zarr"),
        "found a Zarr group without multiscales; expected an array, or OME-Zarr; give one array's folder",
    ),
    "ome-zarr: a level elsewhere": image("a.ome.zarr", ome_zarr(path="../../b"), damaged()),
    "ome-zarr: a level that is not there": image("a.ome.zarr", ome_zarr(path="7"), damaged()),
    "ome-zarr: an axis too many": image("a.ome.zarr", ome_zarr(axes="zyx", scale=(1, 1, 1)), damaged()),
    "ome-zarr: a scale too few": image("a.ome.zarr", ome_zarr(scale=(1,)), damaged()),
    "ome-zarr: pixels of no size": image(
        "a.ome.zarr", ome_zarr(scale=(0, 1), version=3), "found pixels of 0 x 1; expected positive sizes; repair them in its header"
    ),
    "mha: text": volume("a.mha", b"no image" * 99, damaged()),
    "mha: cut off": volume("a.mha", mhd("LOCAL").encode() + bytes(99), damaged()),
    "mha: a terapixel": volume(
        "a.mha", mhd("LOCAL", "10000 10000 10000").encode() + bytes(99),
        "found 10000 x 10000 x 10000 pixels in one piece; expected less than ... million of them; convert it to .nii",
    ),
    "mha: a header without end": volume(
        "a.mha", b"Comment = " + b"x" * 2**20 + b"\n" + mhd("/etc/hostname").encode(), damaged("a header that does not end ...")
    ),
    "mhd: more axes than there are": volume(
        "a.mhd", text("a.mhd", mhd("b.raw").replace("NDims = 3", f"NDims = {10**20}")), damaged("1... axes")
    ),
    "mhd: a file elsewhere": volume("a.mhd", text("a.mhd", mhd("../b.raw")), f"found '../b.raw' in its header; {OUTSIDE}"),
    "mhd: a file by its whole path": volume("a.mhd", text("a.mhd", mhd("/dev/zero")), f"found '/dev/zero' in its header; {OUTSIDE}"),
    "mhd: no such file": volume("a.mhd", text("a.mhd", mhd("b.raw")), damaged()),
    "mhd: a file that is a pipe": Case(text("a.mhd", mhd("b.raw"), pipe("b.raw")), ["predict", VOLUMES, "a.mhd", "-o", "out"], PIPE),
    "mhd: a list with a pipe": Case(
        text("a.mhd", mhd("LIST") + "b.raw\n", pipe("b.raw")), ["predict", VOLUMES, "a.mhd", "-o", "out"], PIPE
    ),
    "mhd: a pattern that fits a pipe": Case(
        text("a.mhd", mhd("%s.raw 1 1 1"), pipe("b.raw")), ["predict", VOLUMES, "a.mhd", "-o", "out"], PIPE
    ),
    "nrrd: nothing in it": volume("a.nrrd", b"", damaged()),
    "nrrd: cut off": volume("a.nrrd", nhdr("x").replace("data file: x\n", "").encode() + bytes(99), damaged()),
    "nhdr: a file elsewhere": volume("a.nhdr", text("a.nhdr", nhdr("../b.raw")), f"found '../b.raw' in its header; {OUTSIDE}"),
    "nhdr: a file that is a pipe": Case(
        text("a.nhdr", nhdr("b.raw"), pipe("b.raw")), ["predict", VOLUMES, "a.nhdr", "-o", "out"], PIPE
    ),
    "dicom: an empty folder": volume(
        "a", folder("a"), "found a folder without DICOM files; expected one series; give the folder of one series alone"
    ),
    "dicom: other files": volume(
        "a", lambda: (folder("a")(), Path("a/b.txt").write_text("none", encoding="utf-8")),
        "found a folder without DICOM files; expected one series; give the folder of one series alone",
    ),
    "dicom: a pipe among the files": Case(
        lambda: (folder("a")(), pipe("a/b.dcm")()), ["predict", VOLUMES, "a", "-o", "out"],
        "a/b.dcm: found a pipe, socket or device; expected a file; move it elsewhere",
    ),
}  # fmt: skip
