# ruff: noqa: E501 - messages are on one line, so that they can be searched
"""Cases of bad Zarr and OME-Zarr."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import zarr
from bad_input.case import PLANES, Bomb, Case, damaged, folder, image, link, pipe, zeros
from bad_input.planes import IMAGE, LINK_OUTSIDE
from bad_input.volumes import gzip_gigabyte


def write_array(name: str = "a.zarr", version: int = 2, **changes):
    """Return a function that writes a Zarr array of one plane and changes its metadata."""

    def make():
        zarr.create_array(name, data=np.zeros((24, 24), np.uint8), chunks=(24, 24), zarr_format=version)
        description = Path(name) / (".zarray" if version == 2 else "zarr.json")
        description.write_text(
            json.dumps({**json.loads(description.read_text(encoding="utf-8")), **changes}), encoding="utf-8"
        )

    return make


def with_chunk(content, **changes):
    """Return a function that writes a Zarr array whose only chunk contains the bytes of `content()`."""

    def make():
        write_array(**changes)()
        Path("a.zarr/0.0").write_bytes(content())

    return make


def with_pipe(part: str) -> Case:
    """Make a case of a Zarr array with a pipe in place of a file."""

    def make():
        write_array()()
        Path(part).unlink(missing_ok=True)
        pipe(part)()

    message = (
        f"{part}: found a pipe, socket or device, not a file; expected a part of a Zarr; copy it again from its source"
    )
    return Case(make, ["predict", PLANES, "a.zarr", "-o", "out"], message)


def with_link(part: str) -> Case:
    """Make a case of a Zarr array with a link to a file outside in place of a file."""

    def make():
        write_array()()
        Path(part).unlink(missing_ok=True)
        link(part, "/etc/passwd")()

    return Case(make, ["predict", PLANES, "a.zarr", "-o", "out"], f"{part}: {LINK_OUTSIDE}")


def with_shards(*sides: list[int]):
    """Return a function that writes a Zarr of one shard of 20000 x 20000 pixels, with nested shards and chunks."""
    codecs = [{"name": "bytes"}]
    for side in reversed(sides):
        index = [{"name": "bytes", "configuration": {"endian": "little"}}]
        settings = {"chunk_shape": side, "codecs": codecs, "index_codecs": index, "index_location": "end"}
        codecs = [{"name": "sharding_indexed", "configuration": settings}]
    grid = {"name": "regular", "configuration": {"chunk_shape": [20000, 20000]}}
    return write_array(version=3, shape=[20000, 20000], chunk_grid=grid, codecs=codecs)


def zstd_zeros() -> bytes:
    """Make a Zstandard frame of half a megabyte without a size, whose repeating blocks decompress to 16 GB."""
    block = (2**17 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    return (0xFD2FB528).to_bytes(4, "little") + bytes([0, 0x38]) + block * 2**17 + b"\1\0\0"


def ome_zarr(axes: str = "yx", path: str = "0", scale=(1.0, 1.0), version: int = 2):
    """Return a function that writes an OME-Zarr 0.4 (Zarr version 2) or 0.5 (version 3) of one level."""

    def make():
        group = zarr.create_group("a.ome.zarr", zarr_format=version)
        group.create_array("0", data=np.zeros((24, 24), np.uint8))
        level = {"path": path, "coordinateTransformations": [{"type": "scale", "scale": list(scale)}]}
        scales = {"axes": [{"name": axis, "type": "space"} for axis in axes], "datasets": [level]}
        group.attrs.update({"multiscales": [scales]} if version == 2 else {"ome": {"multiscales": [scales]}})

    return make


TOO_LARGE_CHUNK = damaged("a chunk that unpacks to more than its shape")
PICKLE = {"compressor": {"id": "pickle", "protocol": 5}, "filters": None}
CASES: dict[str, Case] = {
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
        "a.zarr", write_array(dtype="<U8", fill_value=""), "found pixels of type ...; expected one real number per pixel and channel; save each channel as integers or floats"
    ),
    "zarr: a chunk of a terabyte": image(
        "a.zarr", write_array(shape=[10**6, 10**6], chunks=[10**6, 10**6]),
        "found 1000000 x 1000000 pixels in one piece; expected at most ... million (half of the memory); store it in smaller chunks",
    ),
    "zarr: more pixels than there are": image(
        "a.zarr", write_array(shape=[10**9, 10**9]),
        "found 1000000000 x 1000000000 pixels in ... bytes; expected at least ... bytes for them; copy it again from its source",
    ),
    "zarr: no pixels": image("a.zarr", write_array(shape=[0, 24]), "found shape (0, 24); expected at least one pixel; remove its row from the sheet"),
    "zarr: a chunk that is a pipe": with_pipe("a.zarr/0.0"),
    "zarr: a chunk that leads elsewhere": with_link("a.zarr/0.0"),
    "zarr: a description that leads elsewhere": with_link("a.zarr/.zarray"),
    "ome-zarr: a level that leads elsewhere": Case(
        lambda: (ome_zarr(path="1")(), write_array("b.zarr")(), link("a.ome.zarr/1", "../b.zarr")()),
        ["predict", PLANES, "a.ome.zarr", "-o", "out"], f"a.ome.zarr/1/...: {LINK_OUTSIDE.replace('/etc/passwd', '.../work/b.zarr/...')}",
    ),
    "zarr: a terapixel that is not stored": image(
        "a.zarr", write_array(shape=[10**7, 10**7]), "found 10000000 x 10000000 pixels in ... bytes; expected at least 173611126745 bytes for them; copy it again from its source"
    ),
    "zarr: chunks of one pixel that are not stored": image(
        "a.zarr", write_array(shape=[10**4, 10**4], chunks=[1, 1]), "found 10000 x 10000 pixels in ... bytes; expected at least ... bytes for them; copy it again from its source"
    ),
    "zarr: a shard of many chunks": image("a.zarr", with_shards([1, 1]), damaged("400000000 chunks in a shard, of 262144 at most")),
    "zarr: a shard in a shard of many chunks": image("a.zarr", with_shards([10000, 20000], [1, 1]), damaged("200000000 chunks in a shard, of 262144 at most")),
    "zarr: a description that is a pipe": with_pipe("a.zarr/.zarray"),
    "zarr: a bomb of zlib": image("a.zarr", with_chunk(lambda: zeros(8), compressor={"id": "zlib", "level": 1}), TOO_LARGE_CHUNK),
    "zarr: a bomb of gzip": image("a.zarr", with_chunk(gzip_gigabyte, compressor={"id": "gzip", "level": 1}), TOO_LARGE_CHUNK),
    "zarr: a bomb of Zstandard": image("a.zarr", with_chunk(zstd_zeros, compressor={"id": "zstd", "level": 1}), TOO_LARGE_CHUNK),
    "zarr: a bomb of LZ4": image(
        "a.zarr", with_chunk(lambda: struct.pack("<I", 2**31 - 1) + bytes(99), compressor={"id": "lz4"}), TOO_LARGE_CHUNK
    ),
    "zarr: a chunk of something else": image("a.zarr", with_chunk(lambda: b"nothing", compressor={"id": "zlib", "level": 1}), damaged()),
    "ome-zarr: no multiscales": image(
        "a.ome.zarr", lambda: zarr.create_group("a.ome.zarr"),
        "found a Zarr group without multiscales; expected a Zarr array, or OME-Zarr; name the folder of an array in it",
    ),
    "ome-zarr: a level elsewhere": image("a.ome.zarr", ome_zarr(path="../../b"), damaged()),
    "ome-zarr: a level that is not there": image("a.ome.zarr", ome_zarr(path="7"), damaged()),
    "ome-zarr: an axis too many": image("a.ome.zarr", ome_zarr(axes="zyx", scale=(1, 1, 1)), damaged()),
    "ome-zarr: a scale too few": image("a.ome.zarr", ome_zarr(scale=(1,)), damaged()),
    "ome-zarr: pixels of no size": image(
        "a.ome.zarr", ome_zarr(scale=(0, 1), version=3), "found pixels of 0 x 1; expected positive sizes; correct the pixel size in its header"
    ),
}  # fmt: skip
