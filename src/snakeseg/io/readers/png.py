"""PNG by Pillow, and colours of 16 bits by imagecodecs: grey and colour, without pixel size."""

import math

import imagecodecs
import numpy as np
from PIL import ExifTags, Image, ImageMode
from PIL.PngImagePlugin import PngInfo

from snakeseg.arrays import decode_on_first_read
from snakeseg.errors import BadInput
from snakeseg.io.colours import COLOUR_BASE, decode_colours
from snakeseg.io.input_checks import DEFLATE_RATIO, require_memory, require_stored, require_upright
from snakeseg.io.readers import StoredImage

# Number of copies of the pixels in memory while an image is read.
PIXEL_COPIES = 4
# Offset of bit depth and colour type in the file, and colour types with several samples: colour, grey and alpha, both.
DEPTH_OFFSET, SEVERAL_SAMPLES = 24, (2, 4, 6)
# Number of channels without alpha, by the number of samples of a pixel.
CHANNELS = {2: 1, 4: 3}
# Kinds of chunks with pixels, and what the decoder needs of the others.
PIXEL_CHUNKS = (b"IHDR", b"IDAT", b"IEND")


def read(path) -> StoredImage:
    """Open an image; its pixels are decoded on the first read. Alpha is dropped."""
    Image.MAX_IMAGE_PIXELS = None  # large images are allowed; the checks below replace Pillow's limit
    with Image.open(path, formats=["PNG"]) as file:  # no other format, such as PostScript named .png
        is_deep = _is_deep(path)
        samples = len(file.getbands())
        copies = PIXEL_COPIES * samples * (2 if is_deep else 1)
        require_memory(path, file.size, copies, "convert it to a tiled TIFF or Zarr")
        pixels_per_byte = 8 * DEFLATE_RATIO  # for pixels of one bit
        require_stored(path, file.size, path.stat().st_size, math.prod(file.size) / pixels_per_byte)
        require_upright(path, _exif_orientation(file, _require_chunks_in_file(path)))
        mode, (width, height) = ImageMode.getmode(file.mode), file.size
        palette = np.array(file.getpalette("RGB"), np.uint8).reshape(-1, 3) if file.mode == "P" else None
    if is_deep:
        return _deep_image(path, (height, width))
    dtype = np.dtype(mode.typestr)
    dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype
    if samples == 1:
        array = decode_on_first_read((height, width), dtype, lambda: _pixels(path).astype(dtype, copy=False))
        return StoredImage(array, "YX", (None, None), palette=palette)
    channels = CHANNELS.get(samples, samples)
    array = decode_on_first_read((height, width, channels), dtype, lambda: _pixels(path)[..., :channels])
    return StoredImage(array, "YXC", (None, None))


def _pixels(path) -> np.ndarray:
    with Image.open(path, formats=["PNG"]) as file:
        file.load()
        return np.asarray(file)


def _is_deep(path) -> bool:
    """Return True for several samples of 16 bits, of which Pillow would drop the lower 8."""
    with open(path, "rb") as file:
        file.seek(DEPTH_OFFSET)
        depth, colour_type = file.read(2)
    return depth == 16 and colour_type in SEVERAL_SAMPLES


def _deep_image(path, shape: tuple[int, int]) -> StoredImage:
    """Return an image of several samples of 16 bits, without alpha."""
    with open(path, "rb") as file:
        file.seek(DEPTH_OFFSET + 1)
        channels = 1 if file.read(1)[0] == 4 else 3
    array = decode_on_first_read((*shape, channels), np.dtype(np.uint16), lambda: _deep_pixels(path)[..., :channels])
    return StoredImage(array, "YXC", (None, None))


def _deep_pixels(path) -> np.ndarray:
    """Decode only the chunks with pixels, so that no other one is decompressed without limit."""
    content = path.read_bytes()
    pieces, position, kind = [content[:8]], 8, b""
    while position < len(content) and kind != b"IEND":
        length, kind = int.from_bytes(content[position : position + 4]), content[position + 4 : position + 8]
        if kind in PIXEL_CHUNKS:
            pieces.append(content[position : position + 12 + length])
        position += 12 + length
    return imagecodecs.png_decode(b"".join(pieces))


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
    """Write labels with 8 bits if the ids fit, else 16, or in colours; the image must fit in memory."""
    if 65535 < largest < COLOUR_BASE:
        raise BadInput(path, f"{largest} objects", "at most 65535 in a PNG", "convert the images to TIFF")
    info = PngInfo()
    if note:
        info.add_text("Comment", note)
    dtype = np.uint8 if largest < 256 else np.uint16
    pixels = decode_colours(labels[:]) if largest >= COLOUR_BASE else labels[:].astype(dtype)
    Image.fromarray(pixels).save(path, format="PNG", pnginfo=info)
