"""Which codecs files may ask for, and what of a chunk must be true before a library believes it."""

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps

import numcodecs
import numpy as np
import psutil
from numcodecs.registry import codec_registry

# Bytes that a chunk may unpack to; it goes along into the threads that zarr decodes in.
MOST: ContextVar[int] = ContextVar("MOST")
# Filters that may be asked for besides; others make more than numbers, or run what a file holds (pickle).
FILTERS = {
    "astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize", "shuffle",
    "adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3",
}  # fmt: skip
COMPRESSORS = {"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"}
# Filters may widen numbers on the way, and other parts of a file than pixels be packed, too.
WIDEST, LEAST = 8, 2**20
# Of Blosc's header: version, version of the compressor, flags, bytes of a type; bytes unpacked, of a block, packed.
BLOSC_HEADER = struct.Struct("<4B3I")
STORED = 2  # flag: not compressed, so that there is no table of blocks
# Zstandard (RFC 8878): what frames start with, and to how much a block unpacks at most.
ZSTD_FRAME, ZSTD_SKIPPED, ZSTD_BLOCK = 0xFD2FB528, 0x184D2A5, 2**17


@contextmanager
def chunks_of(pixels: int) -> Iterator[None]:
    """In the block, chunks that unpack to more than so many pixels could be are errors; else to half of the memory."""
    token = MOST.set(max(WIDEST * pixels, LEAST))
    try:
        yield
    finally:
        MOST.reset(token)


@cache
def trust_no_chunk() -> None:
    """To be called before any Zarr is opened: only codecs of numbers; chunks are looked at first, since libraries
    unpack them to any size, and Blosc's follows wrong headers out of memory that is its own."""
    for name in set(codec_registry) - FILTERS - COMPRESSORS:
        del codec_registry[name]
    _check(numcodecs.Blosc, require_sound_blosc)
    _check(numcodecs.Zstd, lambda chunk: _require_fitting(zstd_size(chunk)))
    _check(numcodecs.LZ4, lambda chunk: _require_fitting(int.from_bytes(chunk[:4], "little")))
    _unpack(numcodecs.Zlib, lambda codec: zlib.decompressobj())
    _unpack(numcodecs.GZip, lambda codec: zlib.decompressobj(zlib.MAX_WBITS | 16))
    _unpack(numcodecs.BZ2, lambda codec: bz2.BZ2Decompressor())
    _unpack(numcodecs.LZMA, _lzma)


def require_numbers(settings) -> None:
    """Raise ValueError if codecs, as an array's metadata tells of them, make anything else on the way."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            if key.endswith("type") and np.dtype(value).kind not in "biuf":
                raise ValueError(f"a codec to {str(value)[:40]}")
            require_numbers(value)
    elif isinstance(settings, list | tuple):
        for each in settings:
            require_numbers(each)


def _check(codec: type, require: Callable[[memoryview], None]) -> None:
    """Have a codec's chunks looked at before it decodes them."""
    decode = codec.decode

    @wraps(decode)
    def checked(self, buf, out=None):
        require(memoryview(buf).cast("B"))
        return decode(self, buf, out)

    codec.decode = checked


def _unpack(codec: type, start: Callable) -> None:
    """Have a codec's chunks unpacked by the standard library, which can stop."""

    @wraps(codec.decode)
    def unpacked(self, buf, out=None):
        decompressor = start(self)
        found = decompressor.decompress(bytes(memoryview(buf).cast("B")), _most() + 1)
        _require_fitting(len(found))
        if not decompressor.eof:
            raise ValueError("a chunk that is cut off")
        return found if out is None else numcodecs.compat.ndarray_copy(found, out)

    codec.decode = unpacked


def _lzma(codec) -> lzma.LZMADecompressor:
    raw = codec.format == lzma.FORMAT_RAW
    return lzma.LZMADecompressor(codec.format, None if raw else _most() + 2**28, codec.filters)


def _most() -> int:
    return MOST.get(None) or psutil.virtual_memory().total // 2


def _require_fitting(size: int) -> None:
    if size > _most():
        raise ValueError("a chunk that unpacks to more than its shape")


def require_sound_blosc(chunk: memoryview) -> None:
    """Raise ValueError unless the sizes and the places of blocks in a chunk's header lie within it."""
    if len(chunk) < BLOSC_HEADER.size:
        raise ValueError(f"a chunk of {len(chunk)} bytes")
    *_, flags, _, unpacked, block, packed = BLOSC_HEADER.unpack_from(chunk)
    _require_fitting(unpacked)
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


def zstd_size(chunk: memoryview) -> int:
    """To how many bytes Zstandard unpacks a chunk, at most: as its frames say, or by their blocks where they do not.

    Raises
    ------
    ValueError
        If it ends before its frames do, or holds anything else.
    """
    size, at = 0, 0

    def take(count: int) -> memoryview:
        nonlocal at
        if at + count > len(chunk):
            raise ValueError("a chunk that is cut off")
        at += count
        return chunk[at - count : at]

    def number(count: int) -> int:
        return int.from_bytes(take(count), "little")

    while at < len(chunk):
        magic = number(4)
        if magic >> 4 == ZSTD_SKIPPED:
            take(number(4))
            continue
        if magic != ZSTD_FRAME:
            raise ValueError("a chunk that is not Zstandard's")
        about = number(1)
        alone = about >> 5 & 1
        take((1 - alone) + (0, 1, 2, 4)[about & 3])  # the window, and a dictionary's name
        width = (alone, 2, 4, 8)[about >> 6]
        said, blocks, last = number(width) + (256 if width == 2 else 0), 0, 0
        while not last:
            header = number(3)
            last, kind, length = header & 1, header >> 1 & 3, header >> 3
            blocks += ZSTD_BLOCK if kind == 2 else length
            take(1 if kind == 1 else length)
        take(4 * (about >> 2 & 1))  # a checksum
        size += said if width else blocks
    return size
