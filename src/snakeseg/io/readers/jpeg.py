"""JPEG by Pillow: images of 8 bits, grey or colour, without pixel size. Labels of them are written as TIFF."""

import numpy as np
from PIL import ExifTags, Image, ImageOps

from snakeseg.arrays import decode_on_first_read
from snakeseg.errors import BadInput
from snakeseg.io.input_checks import PIXELS_PER_BYTE, require_memory, require_stored
from snakeseg.io.readers import StoredImage, tiff

# Number of copies of the pixels in memory while an image is read.
PIXEL_COPIES = 4
# Numbers of channels by Pillow's modes.
CHANNELS = {"L": 1, "RGB": 3}
# Orientations by EXIF that exchange rows and columns.
EXCHANGED = (5, 6, 7, 8)


def read(path) -> StoredImage:
    """Open an image, turned as its EXIF orientation says; its pixels are decoded on the first read."""
    Image.MAX_IMAGE_PIXELS = None  # large images are allowed; the checks below replace Pillow's limit
    with Image.open(path, formats=["JPEG"]) as file:
        (width, height), mode = file.size, file.mode
        if mode not in CHANNELS:
            raise BadInput(path, f"colours of the kind {mode}", "grey or RGB", "save it as RGB in PNG or TIFF")
        require_memory(path, file.size, PIXEL_COPIES * CHANNELS[mode], "convert it to a tiled TIFF or Zarr")
        require_stored(path, file.size, path.stat().st_size, width * height / PIXELS_PER_BYTE)
        if file.getexif().get(ExifTags.Base.Orientation) in EXCHANGED:
            width, height = height, width
    shape, axes = ((height, width), "YX") if mode == "L" else ((height, width, CHANNELS[mode]), "YXC")
    return StoredImage(decode_on_first_read(shape, np.dtype(np.uint8), lambda: _pixels(path)), axes, (None, None))


def _pixels(path) -> np.ndarray:
    with Image.open(path, formats=["JPEG"]) as file:
        return np.asarray(ImageOps.exif_transpose(file))


def write(path, labels, source, largest, note) -> None:
    """Write labels as TIFF, since JPEG would change them."""
    tiff.write_as(path, labels, {"ome": False, "metadata": {"axes": "YX"}}, note)
