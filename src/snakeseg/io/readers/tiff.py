"""TIFF and OME-TIFF through tifffile."""

import math
import struct
import weakref
from collections.abc import Iterator

import numpy as np
import tifffile

from snakeseg.arrays import BLOCK, Lazy, Region, as_lazy, decoded_whole
from snakeseg.errors import BadInput
from snakeseg.io.files import PIXELS_PER_BYTE, require_memory, require_stored
from snakeseg.io.readers import StoredImage
from snakeseg.io.readers.ome_xml import require_harmless

CHANNELS = "CS"
OME_SIZES = {"Z": "PhysicalSizeZ", "Y": "PhysicalSizeY", "X": "PhysicalSizeX"}
# Labels larger than BLOCK are written in tiles, so that no page must be held at once.
TILE = 256
# Side of the smallest copy in a pyramid.
SCREEN = 1024
# Tags of a page's width and length; pages of more sizes than pyramids and series have are no image.
SIZE_TAGS, MAX_PAGE_SIZES = (256, 257), 500


def read(path) -> StoredImage:
    """Open the first series. A stack of pages without names is taken for depth."""
    # Sets of files are read by their OME header only. Images that wait for their turn hold no file open: it is closed
    # here, and tifffile opens it again for the first tile.
    with tifffile.TiffFile(path, is_ndtiff=False, is_mmstack=False) as file:
        _require_end_of_pages(file)
        if file.is_ome:
            require_harmless(path, file.ome_metadata)
        series = file.series[0]
        axes = "".join("C" if a in CHANNELS else "Z" if a in "IQ" else a for a in series.axes)
        sizes = _ome_sizes(file)
        spacing = tuple(float(sizes.get(OME_SIZES[a], 1.0)) for a in axes if a in OME_SIZES)
        _require_whole(path, series)
        return StoredImage(_on_demand(path, file, series), axes, spacing)


def _require_end_of_pages(file: tifffile.TiffFile) -> None:
    """Raise ValueError if pages lead back to pages before, or are of many sizes: tifffile would be busy for minutes."""
    kind, handle, seen, sizes = file.tiff, file.filehandle, set(), set()
    offset = file.pages.first.offset
    while 0 < offset < handle.size - kind.tagnosize:
        if offset in seen:
            raise ValueError("pages that follow each other in a circle")
        seen.add(offset)
        handle.seek(offset)
        (tags,) = struct.unpack(kind.tagnoformat, handle.read(kind.tagnosize))
        after = offset + kind.tagnosize + tags * kind.tagsize
        if after + kind.offsetsize > handle.size:
            return
        entries = handle.read(tags * kind.tagsize)
        codes = [entries[at : at + kind.tagsize] for at in range(0, len(entries), kind.tagsize)]
        sizes.add(b"".join(code for code in codes if struct.unpack_from(kind.tagformat1, code)[0] in SIZE_TAGS))
        if len(sizes) > MAX_PAGE_SIZES:
            raise ValueError(f"pages of more than {MAX_PAGE_SIZES} sizes")
        handle.seek(after)
        (offset,) = struct.unpack(kind.offsetformat, handle.read(kind.offsetsize))


def _require_whole(path, series: tifffile.TiffPageSeries) -> None:
    """Raise an error unless all is there that the tags tell of; tifffile fills in zeros."""
    planes = list(series.pages)
    if missing := sum(page is None for page in planes):
        found = f"{missing} of {len(planes)} planes that lie in no file here"
        raise BadInput(path, found, "all that its OME header names", "copy all of its files into one folder")
    pages_of: dict[tifffile.TiffFile, list] = {}
    for page in planes:
        pages_of.setdefault(page.parent, []).append(page)
    for source, pages in pages_of.items():
        ends = [a + n for page in pages for a, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if max(ends, default=0) > source.filehandle.size:
            raise EOFError(f"{source.filehandle.size} bytes of {max(ends)}")
        # Tiles with a byte count of 0 are zeros. Other tiles never share an offset.
        held = sum(n for page in pages for n in page.databytecounts) if series.dataoffset is None else 0
        if held > source.filehandle.size:
            raise ValueError(f"{held} bytes of tiles or strips in a file of {source.filehandle.size}")
    for page in planes if series.dataoffset is None else ():
        if len(page.dataoffsets) < (pieces := math.prod(page.chunked)):
            raise EOFError(f"{len(page.dataoffsets)} of {pieces} tiles or strips")


def _on_demand(path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries):
    """The series, of which as little is read as its layout allows."""
    if series.dataoffset is not None and series.keyframe.dtype == series.dtype:
        kind = series.dtype.newbyteorder(file.byteorder)
        options = {"dtype": kind, "mode": "r", "offset": series.dataoffset, "shape": series.shape}

        def cut(region) -> np.ndarray:  # mapped for the moment only, so that no more than the region stays in memory
            return np.memmap(path, **options)[region].astype(series.dtype)

        return Lazy(series.shape, series.dtype, cut)
    import zarr  # takes longer than to read a small image

    array = zarr.open_array(series.aszarr(level=0), mode="r")
    require_memory(path, array.chunks, array.dtype.itemsize, "convert it to a tiled TIFF or Zarr")
    stored = sum(source.filehandle.size for source in {page.parent for page in series.pages})
    require_stored(path, series.shape, stored, math.prod(series.shape) / PIXELS_PER_BYTE)
    if array.chunks == array.shape:
        held = decoded_whole(array.shape, array.dtype, lambda: array[...])
    else:
        held = Lazy(array.shape, array.dtype, lambda region: array[region], array.chunks)
    weakref.finalize(held, file.close)  # at once: pages and files refer to each other in circles
    return held


def write(path, labels, source, largest, note) -> None:
    """In their own type, deflated, with the source's resolution tags or OME pixel sizes; large OME-TIFF as pyramids."""
    write_as(path, labels, _geometry_of(source.path, {"axes": "ZYX"[-labels.ndim :]}), note)


def write_as(path, labels, options: dict, note: str) -> None:
    """With the options of tifffile that say where pixels lie: `ome` and `metadata`, perhaps a resolution."""
    pixels = math.prod(labels.shape)
    # Labels are never colours, whatever their shape; and offsets may exceed 4 GB.
    large = pixels * labels.dtype.itemsize > 2**32 - 2**25
    options = {**options, "compression": "zlib", "photometric": "minisblack", "software": note or "tifffile.py"}
    steps = _pyramid_steps(labels.shape) if options["ome"] and pixels > BLOCK else []
    with tifffile.TiffWriter(path, bigtiff=large, ome=options.pop("ome")) as file:
        if pixels <= BLOCK:
            file.write(labels[:], **options)
            return
        for step in [1, *steps]:
            level = as_lazy(labels) if step == 1 else _thinned(labels, step)
            options |= {"subifds": len(steps)} if step == 1 else {"subifds": None, "subfiletype": 1, "metadata": None}
            file.write(_tiles(level), shape=level.shape, dtype=level.dtype, tile=(TILE, TILE), **options)


def _pyramid_steps(shape: tuple[int, ...]) -> list[int]:
    """Every second row and column, every fourth, ..., down to one screen."""
    return [2**level for level in range(1, 20) if max(shape[-2:]) > SCREEN * 2 ** (level - 1)]


def _thinned(labels, step: int) -> Lazy:
    """Every `step`-th row and column of each page."""
    rows, columns = (-(-n // step) for n in labels.shape[-2:])

    def read(region: Region) -> np.ndarray:
        wide = (slice(step * part.start, step * part.stop) for part in region[-2:])
        return labels[(*region[:-2], *wide)][..., ::step, ::step]

    return Lazy((*labels.shape[:-2], rows, columns), labels.dtype, read)


def _geometry_of(path, metadata: dict) -> dict:
    with tifffile.TiffFile(path) as file:
        tags, found = file.pages[0].tags, {"ome": file.is_ome, "metadata": {**metadata, **_ome_sizes(file)}}
        sizes = [tags.valueof(name) for name in ("XResolution", "YResolution")]
        if all(isinstance(size, tuple) and len(size) == 2 and min(size) > 0 for size in sizes):
            unit = tags.valueof("ResolutionUnit")
            found |= {
                "resolution": tuple(sizes),
                "resolutionunit": unit if isinstance(unit, int) and unit in list(tifffile.RESUNIT) else None,
            }
    return found


def _tiles(labels) -> Iterator[np.ndarray]:
    """Tiles in the file's order, from bands of rows of one page after the other."""
    height, width = labels.shape[-2:]
    for page in np.ndindex(labels.shape[:-2]):
        for row in range(0, height, TILE):
            band = labels[(*(slice(i, i + 1) for i in page), slice(row, row + TILE))].reshape(-1, width)
            for column in range(0, width, TILE):
                yield np.ascontiguousarray(band[:, column : column + TILE])


def _ome_sizes(file: tifffile.TiffFile) -> dict:
    if not file.is_ome:
        return {}
    images = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
    pixels = (images[0] if isinstance(images, list) else images)["Pixels"]
    return {k: v for k, v in pixels.items() if k.startswith("PhysicalSize")}
