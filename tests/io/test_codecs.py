"""Compressed chunks: valid ones are decoded; chunks with wrong headers or of excessive size are refused."""

import json
import lzma
import shutil
import struct
from itertools import product

import numcodecs
import numpy as np
import pytest
import zarr
from numcodecs import BZ2, LZ4, LZMA, Blosc, GZip, Zlib, Zstd

from snakeseg.errors import BadInput
from snakeseg.io.images import open_image
from snakeseg.io.readers.codecs import (
    BLOSC_HEADER,
    MIN_LIMIT_BYTES,
    chunks_of,
    require_sound_blosc,
    trust_no_chunk,
    zstd_size,
)

RNG = np.random.default_rng(0)
ARRAYS = {
    "one": np.ones(1, np.uint8),
    "zeros": np.zeros(300_000, np.uint16),
    "noise": RNG.integers(0, 2**16, 200_000).astype(np.uint16),
    "labels": np.repeat(RNG.integers(0, 9, 3000), 100).astype(np.uint32),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_valid_chunks_are_decoded(name):
    trust_no_chunk()
    for compressor, shuffle, block in product(["lz4", "zstd", "blosclz", "zlib", "lz4hc"], [0, 1, 2], [0, 1000]):
        codec = Blosc(compressor, 3, shuffle, block)
        assert codec.decode(codec.encode(ARRAYS[name])) == ARRAYS[name].tobytes()


def chunk_with(position: int, value: int) -> bytes:
    """Return a chunk of several blocks with one number overwritten in its header or table of blocks."""
    chunk = bytearray(Blosc("lz4", blocksize=1000).encode(ARRAYS["labels"]))
    struct.pack_into("<I", chunk, position, value)
    return bytes(chunk)


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        b"\x02\x01\x21\x02",
        chunk_with(4, 2**31 - 1),  # unpacked size
        chunk_with(8, 0),  # block size
        chunk_with(8, 2**31),
        chunk_with(12, 2**20),  # compressed size
        chunk_with(BLOSC_HEADER.size, 2**30),  # offset of the first block
        chunk_with(BLOSC_HEADER.size + 4, 3),
        Blosc("lz4").encode(ARRAYS["noise"])[:-5],
        bytes(Blosc("lz4", 0).encode(ARRAYS["noise"]))[:-5],
    ],
)
def test_chunks_with_wrong_headers_are_refused(chunk):
    trust_no_chunk()
    with pytest.raises(ValueError, match="a chunk"):
        require_sound_blosc(memoryview(chunk))
    with pytest.raises(ValueError, match="a chunk"):
        Blosc().decode(chunk)


RAW = {"format": lzma.FORMAT_RAW, "filters": [{"id": lzma.FILTER_LZMA2, "preset": 1}]}
CODECS = [BZ2(), LZ4(), LZMA(), LZMA(**RAW), Blosc(), GZip(), Zlib(), Zstd(), Zstd(checksum=True)]


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_chunks_are_decompressed_up_to_their_size(codec):
    trust_no_chunk()
    for array in ARRAYS.values():
        packed = codec.encode(array)
        with chunks_of(array.size):
            assert bytes(codec.decode(packed)) == array.tobytes()
            out = np.empty_like(array)
            codec.decode(packed, out)
            np.testing.assert_array_equal(out, array)
    zeros = np.zeros(MIN_LIMIT_BYTES + 1, np.uint8)
    assert bytes(codec.decode(codec.encode(zeros))) == zeros.tobytes()
    with chunks_of(9), pytest.raises(ValueError, match="unpacks to more"):
        codec.decode(codec.encode(zeros))


@pytest.mark.parametrize("codec", [BZ2(), LZMA(), GZip(), Zlib(), Zstd()], ids=str)
def test_truncated_chunks_are_refused(codec):
    trust_no_chunk()
    with pytest.raises(ValueError, match="cut off"):
        codec.decode(bytes(codec.encode(ARRAYS["labels"]))[:-5])


@pytest.mark.parametrize("name", ARRAYS)
def test_zstd_size_equals_the_decompressed_size(name):
    chunk = bytes(Zstd().encode(ARRAYS[name]))
    skipped = struct.pack("<II", 0x184D2A53, 7) + bytes(7)
    assert zstd_size(memoryview(chunk + skipped + chunk)) == 2 * ARRAYS[name].nbytes


def test_zstd_size_without_frame_sizes_is_bounded_by_the_blocks():
    """Without a frame size, the bound follows from stored, repeated and compressed blocks."""
    blocks = [(5, 0, bytes(5)), (1000, 1, b"x"), (3, 2, bytes(3))]
    written = [(n << 3 | kind << 1 | (kind == 2)).to_bytes(3, "little") + content for n, kind, content in blocks]
    chunk = struct.pack("<IBBH", 0xFD2FB528, 0b00000110, 0x38, 7) + b"".join(written) + bytes(4)
    assert zstd_size(memoryview(chunk)) == 5 + 1000 + 2**17
    with pytest.raises(ValueError, match="cut off"):
        zstd_size(memoryview(chunk[:-1]))
    with pytest.raises(ValueError, match="not Zstandard's"):
        zstd_size(memoryview(b"text" + chunk))


@pytest.mark.parametrize("codec", [BZ2(), GZip(), Zlib(), LZMA()], ids=str)
def test_data_after_a_chunk_is_ignored(codec):
    """Data after a chunk may be padding, or many empty frames, each of which a library would parse."""
    trust_no_chunk()
    packed = bytes(codec.encode(ARRAYS["labels"]))
    for trailing in (bytes(9), bytes(codec.encode(b"")) * 100_000):
        assert bytes(codec.decode(packed + trailing)) == ARRAYS["labels"].tobytes()


@pytest.mark.parametrize("sharded", [False, True])
def test_chunks_are_limited_by_the_size_of_their_array(tmp_path, sharded):
    """The limit also holds in the threads in which zarr decodes."""
    whole = ARRAYS["noise"][:4096].reshape(64, 64)
    settings = {"compressors": zarr.codecs.GzipCodec(), "dtype": whole.dtype}
    for name, side in (("a.zarr", 64), ("large.zarr", 4096)):
        sides = {"shards": (side // 2,) * 2, "chunks": (side // 4,) * 2} if sharded else {"chunks": (side // 2,) * 2}
        array = zarr.create_array(tmp_path / name, shape=(side, side), **sides, **settings)
        array[:] = whole if side == 64 else np.ones((), whole.dtype)
    path = tmp_path / "a.zarr"
    np.testing.assert_array_equal(open_image(path, 2).array[:][0], whole)
    shutil.copy(tmp_path / "large.zarr/c/1/1", path / "c/1/1")
    with pytest.raises(BadInput, match="unpacks to more than its shape"):
        open_image(path, 2).array[:]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", ["<U100000", "|O", "|S9", [["a", "<f8"]]])
def test_codecs_that_do_not_give_numbers_are_refused(tmp_path, version, kind):
    """Conversions to text could turn a character into gigabytes."""
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=np.ones((24, 24), np.uint8), zarr_format=version, compressors=None)
    description = path / (".zarray" if version == 2 else "zarr.json")
    metadata = json.loads(description.read_text(encoding="utf-8"))
    types = {"encode_dtype": "|u1", "decode_dtype": kind}
    if version == 2:
        metadata["filters"] = [{"id": "astype", **types}]
    else:
        metadata["codecs"].insert(0, {"name": "numcodecs.astype", "configuration": types})
    description.write_text(json.dumps(metadata), encoding="utf-8")
    with pytest.raises(BadInput, match="a damaged file"):
        open_image(path, 2)


@pytest.mark.parametrize("name", ["pickle", "categorize", "json2", "msgpack2", "vlen-utf8", "vlen-bytes"])
def test_codecs_of_objects_and_text_are_unavailable(name):
    trust_no_chunk()
    with pytest.raises(ValueError, match="codec not available"):
        numcodecs.get_codec({"id": name})
