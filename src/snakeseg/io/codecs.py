"""Which codecs files may ask for, and what of a chunk must be true before a library believes it."""

import struct
from functools import cache, wraps

import numpy as np
from numcodecs.blosc import Blosc
from numcodecs.registry import codec_registry

# Of Blosc's header: version, version of the compressor, flags, bytes of a type; bytes unpacked, of a block, packed.
BLOSC_HEADER = struct.Struct("<4B3I")
STORED = 2  # flag: not compressed, so that there is no table of blocks


@cache
def trust_no_chunk() -> None:
    """To be called before any Zarr is opened: no pickles, which could run what a file holds; Blosc's chunks are
    looked at first, since its library follows wrong headers out of memory that is its own."""
    codec_registry.pop("pickle", None)
    decode = Blosc.decode

    @wraps(decode)
    def checked(self, buf, out=None):
        require_sound_blosc(memoryview(buf).cast("B"))
        return decode(self, buf, out)

    Blosc.decode = checked


def require_sound_blosc(chunk: memoryview) -> None:
    """Raise ValueError unless the sizes and the places of blocks in a chunk's header lie within it."""
    if len(chunk) < BLOSC_HEADER.size:
        raise ValueError(f"a chunk of {len(chunk)} bytes")
    *_, flags, _, unpacked, block, packed = BLOSC_HEADER.unpack_from(chunk)
    if packed > len(chunk) or (unpacked and not 0 < block <= unpacked):
        raise ValueError("a chunk with a wrong header")
    if flags & STORED:
        if unpacked + BLOSC_HEADER.size > len(chunk):
            raise ValueError("a chunk that is cut off")
        return
    blocks = -(-unpacked // block) if unpacked else 0
    end = BLOSC_HEADER.size + 4 * blocks
    if end > packed:
        raise ValueError("a chunk with a wrong header")
    starts = np.frombuffer(chunk[BLOSC_HEADER.size : end], "<i4")
    if starts.size and not end <= starts.min() <= starts.max() < packed:
        raise ValueError("a chunk whose blocks lie outside of it")
