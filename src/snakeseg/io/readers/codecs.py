"""Safe decoding of Zarr chunks: allowed codecs, and checks of chunk headers before a library uses them."""

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

# Largest unpacked size of a chunk in bytes; a context variable, so that zarr's decoding threads inherit it.
MAX_CHUNK_BYTES: ContextVar[int] = ContextVar("MAX_CHUNK_BYTES")
# Allowed filters. All others are removed, as they decode to objects other than numbers, or run code (pickle).
FILTERS = {
    "astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize", "shuffle",
    "adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3",
}  # fmt: skip
COMPRESSORS = {"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"}
# Largest bytes per pixel, as filters may widen numbers; smallest limit in bytes, as indices are compressed, too.
MAX_BYTES_PER_PIXEL, MIN_LIMIT_BYTES = 8, 2**20
# Blosc header: version, compressor version, flags, bytes per item; sizes in bytes: unpacked, block, compressed.
BLOSC_HEADER = struct.Struct("<4B3I")
BLOSC_STORED = 2  # flag of an uncompressed chunk, which has no table of blocks
# Zstandard (RFC 8878): magic numbers of frames and of skippable frames, largest unpacked size of a block in bytes.
ZSTD_FRAME, ZSTD_SKIPPABLE, ZSTD_BLOCK_BYTES = 0xFD2FB528, 0x184D2A5, 2**17


@contextmanager
def chunks_of(pixels: int) -> Iterator[None]:
    """Reject chunks that decompress to more than `pixels` pixels, within the block; outside, half of the memory."""
    token = MAX_CHUNK_BYTES.set(max(MAX_BYTES_PER_PIXEL * pixels, MIN_LIMIT_BYTES))
    try:
        yield
    finally:
        MAX_CHUNK_BYTES.reset(token)


@cache
def trust_no_chunk() -> None:
    """Remove unsafe codecs from numcodecs, and check each chunk before it is decoded.

    Call this before a Zarr is opened. Libraries would decompress a chunk to any size, and Blosc reads and writes
    outside of its buffers if a header is wrong.
    """
    for name in set(codec_registry) - FILTERS - COMPRESSORS:
        del codec_registry[name]
    _check_before_decoding(numcodecs.Blosc, require_sound_blosc)
    _check_before_decoding(numcodecs.Zstd, lambda chunk: _require_fitting(zstd_size(chunk)))
    _check_before_decoding(numcodecs.LZ4, lambda chunk: _require_fitting(int.from_bytes(chunk[:4], "little")))
    _limit_decoding(numcodecs.Zlib, lambda codec: zlib.decompressobj())
    _limit_decoding(numcodecs.GZip, lambda codec: zlib.decompressobj(zlib.MAX_WBITS | 16))
    _limit_decoding(numcodecs.BZ2, lambda codec: bz2.BZ2Decompressor())
    _limit_decoding(numcodecs.LZMA, _lzma_decompressor)


def require_numbers(settings) -> None:
    """Raise ValueError if the codecs in an array's metadata decode to a type other than numbers."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            if key.endswith("type") and np.dtype(value).kind not in "biuf":
                raise ValueError(f"a codec to {str(value)[:40]}")
            require_numbers(value)
    elif isinstance(settings, list | tuple):
        for item in settings:
            require_numbers(item)


def _check_before_decoding(codec: type, require: Callable[[memoryview], None]) -> None:
    """Make a codec call `require`, which raises ValueError for bad chunks, before it decodes a chunk."""
    decode = codec.decode

    @wraps(decode)
    def checked(self, buf, out=None):
        require(memoryview(buf).cast("B"))
        return decode(self, buf, out)

    codec.decode = checked


def _limit_decoding(codec: type, make_decompressor: Callable) -> None:
    """Make a codec decompress by the standard library, which stops at a given size."""

    @wraps(codec.decode)
    def decode(self, buf, out=None):
        decompressor = make_decompressor(self)
        content = decompressor.decompress(bytes(memoryview(buf).cast("B")), _limit_bytes() + 1)
        _require_fitting(len(content))
        if not decompressor.eof:
            raise ValueError("a chunk that is cut off")
        return content if out is None else numcodecs.compat.ndarray_copy(content, out)

    codec.decode = decode


def _lzma_decompressor(codec) -> lzma.LZMADecompressor:
    is_raw = codec.format == lzma.FORMAT_RAW
    return lzma.LZMADecompressor(codec.format, None if is_raw else _limit_bytes() + 2**28, codec.filters)


def _limit_bytes() -> int:
    return MAX_CHUNK_BYTES.get(None) or psutil.virtual_memory().total // 2


def _require_fitting(size: int) -> None:
    if size > _limit_bytes():
        raise ValueError("a chunk that unpacks to more than its shape")


def require_sound_blosc(chunk: memoryview) -> None:
    """Raise ValueError unless the sizes and block offsets in the header of a Blosc chunk lie within the chunk."""
    if len(chunk) < BLOSC_HEADER.size:
        raise ValueError(f"a chunk of {len(chunk)} bytes")
    *_, flags, _, unpacked, block, packed = BLOSC_HEADER.unpack_from(chunk)
    _require_fitting(unpacked)
    if packed > len(chunk) or (unpacked and not 0 < block <= unpacked):
        raise ValueError("a chunk with a wrong header")
    if flags & BLOSC_STORED:
        if unpacked + BLOSC_HEADER.size > len(chunk):
            raise ValueError("a chunk that is cut off")
        return
    blocks = -(-unpacked // block) if unpacked else 0
    end = BLOSC_HEADER.size + 4 * blocks
    if end > packed:
        raise ValueError("a chunk with a wrong header")
    starts = np.frombuffer(chunk[BLOSC_HEADER.size : end], "<i4")
    if starts.size and not end <= starts.min() <= starts.max() < packed:
        raise ValueError("a chunk with blocks outside of it")


def zstd_size(chunk: memoryview) -> int:
    """Return an upper bound of the unpacked size of a Zstandard chunk (RFC 8878), in bytes.

    The bound of a frame is its stated content size, or the sum over its blocks if it states none.

    Raises
    ------
    ValueError
        If the chunk is truncated, or contains anything but Zstandard frames.
    """
    size, position = 0, 0

    def take(count: int) -> memoryview:
        nonlocal position
        if position + count > len(chunk):
            raise ValueError("a chunk that is cut off")
        position += count
        return chunk[position - count : position]

    def number(count: int) -> int:
        return int.from_bytes(take(count), "little")

    while position < len(chunk):
        magic = number(4)
        if magic >> 4 == ZSTD_SKIPPABLE:
            take(number(4))
            continue
        if magic != ZSTD_FRAME:
            raise ValueError("a chunk that is not Zstandard's")
        descriptor = number(1)
        single_segment = descriptor >> 5 & 1
        take((1 - single_segment) + (0, 1, 2, 4)[descriptor & 3])  # window descriptor and dictionary id
        width = (single_segment, 2, 4, 8)[descriptor >> 6]
        content_size, blocks_size, last = number(width) + (256 if width == 2 else 0), 0, 0
        while not last:
            header = number(3)
            last, kind, length = header & 1, header >> 1 & 3, header >> 3
            blocks_size += ZSTD_BLOCK_BYTES if kind == 2 else length
            take(1 if kind == 1 else length)
        take(4 * (descriptor >> 2 & 1))  # checksum
        size += content_size if width else blocks_size
    return size
