"""PNG through Pillow: 8 and 16 bit, grey and colour; no spacing."""

import math

import numpy as np
from PIL import Image, ImageMode
from PIL.PngImagePlugin import PngInfo

from snakeseg.arrays import decoded_whole
from snakeseg.errors import BadInput
from snakeseg.io.files import DEFLATE_RATIO, require_memory, require_stored
from snakeseg.io.readers import StoredImage

# Of an image, that are held while it is read.
COPIES = 4


def read(path) -> StoredImage:
    """Open an image, whose pixels are decoded when they are read. Palettes give their indices, alpha is dropped."""
    Image.MAX_IMAGE_PIXELS = None  # large images are what we are for; those that lie about it are caught here
    with Image.open(path, formats=["PNG"]) as file:  # whatever else is named .png, such as PostScript, stays closed
        require_memory(path, file.size, COPIES * len(file.getbands()), "convert it to a tiled TIFF or Zarr")
        pixels_per_byte = 8 * DEFLATE_RATIO  # of one bit
        require_stored(path, file.size, path.stat().st_size, math.prod(file.size) / pixels_per_byte)
        _require_chunks(path)
        mode, (width, height) = ImageMode.getmode(file.mode), file.size
    values, kind = len(mode.bands), np.dtype(mode.typestr)
    kind = np.dtype(np.uint8) if kind.kind == "b" else kind
    if values == 1:
        array = decoded_whole((height, width), kind, lambda: _pixels(path).astype(kind, copy=False))
        return StoredImage(array, "YX", (1.0, 1.0))
    colours = {2: 1, 4: 3}.get(values, values)
    array = decoded_whole((height, width, colours), kind, lambda: _pixels(path)[..., :colours])
    return StoredImage(array, "YXC", (1.0, 1.0))


def _pixels(path) -> np.ndarray:
    with Image.open(path, formats=["PNG"]) as file:
        file.load()
        return np.asarray(file)


def _require_chunks(path) -> None:
    """Raise an error if a chunk is longer than the file: Pillow would make room for all of it."""
    with open(path, "rb") as file:
        end, at, kind = file.seek(0, 2), 8, b""
        while at < end and kind != b"IEND":
            file.seek(at)
            length, kind = int.from_bytes(file.read(4)), file.read(4)
            at += 12 + length
    if at > end:
        raise EOFError(f"{end} bytes of {at}")


def write(path, labels, source, largest, note) -> None:
    """8 bit where the ids fit, else 16; PNG is written whole."""
    if largest > 65535:
        raise BadInput(path, f"{largest} objects", "at most 65535 in a PNG", "give the images as TIFF")
    info = PngInfo()
    if note:
        info.add_text("Comment", note)
    kind = np.uint8 if largest < 256 else np.uint16
    Image.fromarray(labels[:].astype(kind)).save(path, format="PNG", pnginfo=info)
