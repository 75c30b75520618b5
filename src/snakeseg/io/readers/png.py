"""PNG by Pillow: 8 and 16 bits, grey and colour, without pixel size."""

import math

import numpy as np
from PIL import ExifTags, Image, ImageMode
from PIL.PngImagePlugin import PngInfo

from snakeseg.arrays import decode_on_first_read
from snakeseg.errors import BadInput
from snakeseg.io.input_checks import DEFLATE_RATIO, require_memory, require_stored, require_upright
from snakeseg.io.readers import StoredImage

# Number of copies of the pixels in memory while an image is read.
PIXEL_COPIES = 4


def read(path) -> StoredImage:
    """Open an image; its pixels are decoded on the first read. Palettes give indices, and alpha is dropped."""
    Image.MAX_IMAGE_PIXELS = None  # large images are allowed; the checks below replace Pillow's limit
    with Image.open(path, formats=["PNG"]) as file:  # no other format, such as PostScript named .png
        require_memory(path, file.size, PIXEL_COPIES * len(file.getbands()), "convert it to a tiled TIFF or Zarr")
        pixels_per_byte = 8 * DEFLATE_RATIO  # for pixels of one bit
        require_stored(path, file.size, path.stat().st_size, math.prod(file.size) / pixels_per_byte)
        require_upright(path, _exif_orientation(file, _require_chunks_in_file(path)))
        mode, (width, height) = ImageMode.getmode(file.mode), file.size
    bands, dtype = len(mode.bands), np.dtype(mode.typestr)
    dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype
    if bands == 1:
        array = decode_on_first_read((height, width), dtype, lambda: _pixels(path).astype(dtype, copy=False))
        return StoredImage(array, "YX", (None, None))
    colours = {2: 1, 4: 3}.get(bands, bands)
    array = decode_on_first_read((height, width, colours), dtype, lambda: _pixels(path)[..., :colours])
    return StoredImage(array, "YXC", (None, None))


def _pixels(path) -> np.ndarray:
    with Image.open(path, formats=["PNG"]) as file:
        file.load()
        return np.asarray(file)


def _exif_orientation(file: Image.Image, chunks: set[bytes]) -> int | None:
    """Return the orientation by EXIF data, in a chunk or, by ImageMagick, in a text; None without any."""
    has_exif = b"eXIf" in chunks or "Raw profile type exif" in file.info
    return file.getexif().get(ExifTags.Base.Orientation) if has_exif else None  # may decode the image to find it


def _require_chunks_in_file(path) -> set[bytes]:
    """Return the kinds of the chunks.

    Raises
    ------
    EOFError
        If a chunk ends behind the end of the file: Pillow would allocate its stated length.
    """
    kinds = set()
    with open(path, "rb") as file:
        end, position, kind = file.seek(0, 2), 8, b""
        while position < end and kind != b"IEND":
            file.seek(position)
            length, kind = int.from_bytes(file.read(4)), file.read(4)
            position += 12 + length
            kinds.add(kind)
    if position > end:
        raise EOFError(f"{end} bytes of {position}")
    return kinds


def write(path, labels, source, largest, note) -> None:
    """Write labels with 8 bits if the ids fit, else 16; the image must fit in memory."""
    if largest > 65535:
        raise BadInput(path, f"{largest} objects", "at most 65535 in a PNG", "convert the images to TIFF")
    info = PngInfo()
    if note:
        info.add_text("Comment", note)
    dtype = np.uint8 if largest < 256 else np.uint16
    Image.fromarray(labels[:].astype(dtype)).save(path, format="PNG", pnginfo=info)
