"""Blosc's chunks: all that its library writes is taken, what would lead it astray is refused."""

import struct
from itertools import product

import numpy as np
import pytest
from numcodecs.blosc import Blosc

from snakeseg.io.codecs import BLOSC_HEADER, require_sound_blosc, trust_no_chunk

RNG = np.random.default_rng(0)
ARRAYS = {
    "one": np.ones(1, np.uint8),
    "zeros": np.zeros(300_000, np.uint16),
    "noise": RNG.integers(0, 2**16, 200_000).astype(np.uint16),
    "labels": np.repeat(RNG.integers(0, 9, 3000), 100).astype(np.uint32),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_sound_chunks_are_read(name):
    trust_no_chunk()
    for compressor, shuffle, block in product(["lz4", "zstd", "blosclz", "zlib", "lz4hc"], [0, 1, 2], [0, 1000]):
        codec = Blosc(compressor, 3, shuffle, block)
        assert codec.decode(codec.encode(ARRAYS[name])) == ARRAYS[name].tobytes()


def changed(position: int, value: int) -> bytes:
    """A chunk of several blocks, one number of whose header or table is changed."""
    chunk = bytearray(Blosc("lz4", blocksize=1000).encode(ARRAYS["labels"]))
    struct.pack_into("<I", chunk, position, value)
    return bytes(chunk)


@pytest.mark.parametrize(
    "chunk",
    [
        b"",
        b"\x02\x01\x21\x02",
        changed(4, 2**31 - 1),  # bytes unpacked
        changed(8, 0),  # bytes of a block
        changed(8, 2**31),
        changed(12, 2**20),  # bytes packed
        changed(BLOSC_HEADER.size, 2**30),  # place of the first block
        changed(BLOSC_HEADER.size + 4, 3),
        Blosc("lz4").encode(ARRAYS["noise"])[:-5],
        bytes(Blosc("lz4", 0).encode(ARRAYS["noise"]))[:-5],
    ],
)
def test_chunks_that_lead_astray_are_refused(chunk):
    trust_no_chunk()
    with pytest.raises(ValueError, match="a chunk"):
        require_sound_blosc(memoryview(chunk))
    with pytest.raises(ValueError, match="a chunk"):
        Blosc().decode(chunk)
