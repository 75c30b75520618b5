"""TIFF and OME-TIFF by tifffile."""

import math
import struct
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from snakeseg.arrays import MAX_BLOCK_PIXELS, Lazy, Region, as_lazy, decode_on_first_read
from snakeseg.errors import BadInput
from snakeseg.io.file_names import file_and_number, number_images
from snakeseg.io.input_checks import PIXELS_PER_BYTE, image_index, require_memory, require_stored, require_upright
from snakeseg.io.readers import StoredImage
from snakeseg.io.readers.ome_xml import read_header_elsewhere, require_harmless
from snakeseg.io.readers.tiff_series import list_images as images_of
from snakeseg.io.readers.tiff_sizes import MAX_CLASSIC_BYTES, OME_SIZES, contradiction, label_options, stated_sizes

# tifffile's letters for channels and samples.
CHANNELS = "CS"
# Meanings of extra samples that are no channels.
ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
# Side of tiles in pixels. Larger labels than MAX_BLOCK_PIXELS are written in tiles, so that no page must fit in memory.
TILE_SIDE = 256
# Largest side of the coarsest level of a pyramid, in pixels.
COARSEST_PAGE_SIDE = 1024
# Tags of a page's width and length. Files with pages of more than `MAX_PAGE_SIZES` sizes are rejected: pyramids have
# far fewer.
SIZE_TAGS, MAX_PAGE_SIZES = (256, 257), 500


def list_images(path) -> list[Path]:
    """Return the paths of the images in a file."""
    with _open(path) as file:
        return number_images(path, len(_images_of(path, file)))


def read(path) -> StoredImage:
    """Open an image; the path ends in its number if the file contains several. Unnamed axes become the z axis."""
    # The file is closed here, and tifffile opens it again for the first tile, so that opened images keep no handles.
    name, number = file_and_number(path)
    with _open(name) as file:
        series = _image(path, file, number)
        axes = "".join("C" if a in CHANNELS else "Z" if a in "IQ" else a for a in series.axes)
        require_upright(name, series.keyframe.tags.valueof("Orientation"))
        sizes = stated_sizes(file, series)
        spacing = tuple(sizes.get(a) for a in axes if a in OME_SIZES)
        _require_all_data(path, series)
        lazy = _without_alpha(_lazy_series(name, file, series), series)
        if _is_white_zero(series.keyframe) and series.keyframe.bitspersample == 1:
            lazy = lazy.map(np.logical_not, lazy.dtype)  # as viewers show masks of fax compression: 1 is black
        doubt, palette = contradiction(file, series), _palette(series.keyframe)
        return StoredImage(lazy, axes, spacing, doubt=doubt, palette=palette)


def _without_alpha(lazy: Lazy, series: tifffile.TiffPageSeries) -> Lazy:
    """Drop the last samples of a pixel that the tag ExtraSamples calls alpha; unspecified ones are channels."""
    kinds = list(series.keyframe.extrasamples)
    count = 0
    while kinds and kinds.pop() in ALPHA:
        count += 1
    if not count or "S" not in series.axes:
        return lazy
    axis = series.axes.index("S")

    def without(sizes: tuple[int, ...], size: int) -> tuple[int, ...]:
        return (*sizes[:axis], min(sizes[axis], size), *sizes[axis + 1 :])

    kept = lazy.shape[axis] - count
    return Lazy(without(lazy.shape, kept), lazy.dtype, lazy.read, lazy.chunks and without(lazy.chunks, kept))


def _palette(page) -> np.ndarray | None:
    """Return the colours of a page of palette indices, uint8 if 8 bits hold them, else uint16; None without any."""
    if page.photometric != tifffile.PHOTOMETRIC.PALETTE or page.colormap is None:
        return None
    colours = np.asarray(page.colormap, np.uint16).T
    return (colours >> 8).astype(np.uint8) if page.dtype == np.uint8 else colours


def is_shown_inverted(path) -> bool:
    """Return True if an image states that 0 is white, but keeps its values, as those with more than 1 bit do."""
    name, number = file_and_number(path)
    with _open(name) as file:
        page = _image(path, file, number).keyframe
        return _is_white_zero(page) and page.bitspersample != 1


def _is_white_zero(page) -> bool:
    return page.photometric == tifffile.PHOTOMETRIC.MINISWHITE


def _open(path) -> tifffile.TiffFile:
    """Open a file; formats of several files other than OME are off."""
    options = {"is_ndtiff": False, "is_mmstack": False}
    file = tifffile.TiffFile(path, **options)
    if not file.is_ome or "BinaryOnly" not in file.ome_metadata:
        return file
    with file:
        header = read_header_elsewhere(path, file.ome_metadata)
    return tifffile.TiffFile(path, omexml=header, **options)


def _images_of(path, file: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return the images in a file; `path` is for errors."""
    pages = _count_pages(file)
    if file.is_ome:
        require_harmless(path, file.ome_metadata)
    return images_of(file) if pages > 1 else images_of(file)[:1]


def _image(path, file: tifffile.TiffFile, number: int | None) -> tifffile.TiffPageSeries:
    images = _images_of(path, file)
    return images[image_index(path, number, len(images)) or 0]


def _count_pages(file: tifffile.TiffFile) -> int:
    """Count the pages; raise ValueError for a cycle of pages, or pages of many sizes, which take tifffile minutes."""
    layout, handle, offsets, sizes = file.tiff, file.filehandle, set(), set()
    offset = file.pages.first.offset
    while 0 < offset < handle.size - layout.tagnosize:
        if offset in offsets:
            raise ValueError("pages that follow each other in a circle")
        offsets.add(offset)
        handle.seek(offset)
        (tags,) = struct.unpack(layout.tagnoformat, handle.read(layout.tagnosize))
        end = offset + layout.tagnosize + tags * layout.tagsize
        if end + layout.offsetsize > handle.size:
            break
        content = handle.read(tags * layout.tagsize)
        entries = [content[i : i + layout.tagsize] for i in range(0, len(content), layout.tagsize)]
        sizes.add(b"".join(tag for tag in entries if struct.unpack_from(layout.tagformat1, tag)[0] in SIZE_TAGS))
        if len(sizes) > MAX_PAGE_SIZES:
            raise ValueError(f"pages of more than {MAX_PAGE_SIZES} sizes")
        handle.seek(end)
        (offset,) = struct.unpack(layout.offsetformat, handle.read(layout.offsetsize))
    return len(offsets)


def _require_all_data(path, series: tifffile.TiffPageSeries) -> None:
    """Raise an error if planes, tiles or strips are missing, as tifffile would fill in zeros."""
    planes = list(series.pages)
    if missing := sum(page is None for page in planes):
        found = f"{missing} of {len(planes)} planes missing"
        raise BadInput(path, found, "all files that its OME header names", "copy all of its files into one folder")
    pages_of: dict[tifffile.TiffFile, list] = {}
    for page in planes:
        pages_of.setdefault(page.parent, []).append(page)
    for source, pages in pages_of.items():
        ends = [a + n for page in pages for a, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if max(ends, default=0) > source.filehandle.size:
            raise EOFError(f"{source.filehandle.size} bytes of {max(ends)}")
        # Tiles with a byte count of 0 contain zeros. Other tiles never share an offset.
        stored = sum(n for page in pages for n in page.databytecounts) if series.dataoffset is None else 0
        if stored > source.filehandle.size:
            raise ValueError(f"{stored} bytes of tiles or strips in a file of {source.filehandle.size}")
    for page in planes if series.dataoffset is None else ():
        if len(page.dataoffsets) < (pieces := math.prod(page.chunked)):
            raise EOFError(f"{len(page.dataoffsets)} of {pieces} tiles or strips")


def _lazy_series(path, file: tifffile.TiffFile, series: tifffile.TiffPageSeries):
    """Return a lazy array of a series, which is mapped if it is uncompressed, else read by tiles or strips."""
    if series.dataoffset is not None and series.keyframe.dtype == series.dtype:
        stored_dtype = series.dtype.newbyteorder(file.byteorder)
        options = {"dtype": stored_dtype, "mode": "r", "offset": series.dataoffset, "shape": series.shape}

        def read_region(region) -> np.ndarray:  # mapped for each region, so that only its pixels stay in memory
            return np.memmap(path, **options)[region].astype(series.dtype)

        return Lazy(series.shape, series.dtype, read_region)
    import zarr  # slower than reading a small image

    array = zarr.open_array(series.aszarr(level=0), mode="r")
    require_memory(path, array.chunks, array.dtype.itemsize, "convert it to a tiled TIFF or Zarr")
    stored = sum(source.filehandle.size for source in {page.parent for page in series.pages})
    require_stored(path, series.shape, stored, math.prod(series.shape) / PIXELS_PER_BYTE)
    if array.chunks == array.shape:
        lazy = decode_on_first_read(array.shape, array.dtype, lambda: array[...])
    else:
        lazy = Lazy(array.shape, array.dtype, lambda region: array[region], array.chunks)
    weakref.finalize(lazy, file.close)  # without waiting for the garbage collector: pages and files form cycles
    return lazy


def write(path, labels, source, largest, note) -> None:
    """Write labels in their dtype, compressed by deflate, with the pixel size of the source (see `label_options`).

    Large OME-TIFF files are written as pyramids.
    """
    name, number = file_and_number(source.path)
    with _open(name) as file:
        series = _image(source.path, file, number)
        options = label_options(file, series, source.path, labels.shape, labels.dtype, largest)
    write_as(path, labels, options, note)


def write_as(path, labels, options: dict, note: str) -> None:
    """Write labels with tifffile's options for the geometry.

    Parameters
    ----------
    path : path
    labels : array-like of unsigned integers, shape (y, x) or (z, y, x)
    options : dict
        Options of `TiffWriter.write`, and `ome` and `imagej` of `TiffWriter`; optionally the dtype to write.
    note : str
        Value of the tag Software.
    """
    dtype, pixels = options.get("dtype", labels.dtype), math.prod(labels.shape)
    labels = as_lazy(labels).map(lambda block: block.astype(dtype, copy=False), dtype)
    # BigTIFF if offsets may exceed 4 GB; "minisblack", since tifffile takes some shapes for colours.
    is_large = pixels * labels.dtype.itemsize > MAX_CLASSIC_BYTES
    options = {**options, "compression": "zlib", "photometric": "minisblack", "software": note or "tifffile.py"}
    steps = _pyramid_steps(labels.shape) if options["ome"] and pixels > MAX_BLOCK_PIXELS else []
    ome, imagej, _ = options.pop("ome"), options.pop("imagej", False), options.pop("dtype", None)
    with tifffile.TiffWriter(path, bigtiff=is_large, ome=ome, imagej=imagej) as file:
        if pixels <= MAX_BLOCK_PIXELS:
            file.write(labels[:], **options)
            return
        if imagej:  # ImageJ reads no tiles
            file.write(_planes(labels), shape=labels.shape, dtype=labels.dtype, **options)
            return
        for step in [1, *steps]:
            level = as_lazy(labels) if step == 1 else _subsampled(labels, step)
            options |= {"subifds": len(steps)} if step == 1 else {"subifds": None, "subfiletype": 1, "metadata": None}
            file.write(_tiles(level), shape=level.shape, dtype=level.dtype, tile=(TILE_SIDE, TILE_SIDE), **options)


def _pyramid_steps(shape: tuple[int, ...]) -> list[int]:
    """Return the subsampling factors of the coarser levels: 2, 4, ..., until a page fits on a screen."""
    return [2**level for level in range(1, 20) if max(shape[-2:]) > COARSEST_PAGE_SIDE * 2 ** (level - 1)]


def _subsampled(labels, step: int) -> Lazy:
    """Take every `step`-th row and column of each page, lazily."""
    rows, columns = (-(-n // step) for n in labels.shape[-2:])

    def read(region: Region) -> np.ndarray:
        source = (slice(step * part.start, step * part.stop) for part in region[-2:])
        return labels[(*region[:-2], *source)][..., ::step, ::step]

    return Lazy((*labels.shape[:-2], rows, columns), labels.dtype, read)


def _planes(labels) -> Iterator[np.ndarray]:
    """Yield the planes of labels, shape (z, y, x), one at a time."""
    for z in range(labels.shape[0]):
        yield labels[z : z + 1, :, :][0]


def _tiles(labels) -> Iterator[np.ndarray]:
    """Yield the tiles in the order of the file, page by page; a band of rows is read at a time."""
    height, width = labels.shape[-2:]
    for page in np.ndindex(labels.shape[:-2]):
        for row in range(0, height, TILE_SIDE):
            band = labels[(*(slice(i, i + 1) for i in page), slice(row, row + TILE_SIDE))].reshape(-1, width)
            for column in range(0, width, TILE_SIDE):
                yield np.ascontiguousarray(band[:, column : column + TILE_SIDE])
