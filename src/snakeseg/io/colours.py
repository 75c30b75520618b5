"""Colours of images and label images: palettes, grey images stored as colours."""

import numpy as np

from snakeseg.arrays import MAX_BLOCK_PIXELS, Lazy, Region, as_lazy, iterate_blocks
from snakeseg.errors import BadInput

# Number of channels of a colour image.
COLOURS = 3
# Minimum number of entries, and maximum difference of neighbours in levels from 0 to 255, of a palette that only
# displays intensities in other colours, as the lookup tables of ImageJ do.
MIN_RAMP_ENTRIES, MAX_RAMP_STEP = 64, 32
# Value of a colour in a label image: its levels of red, green and blue in decimal digits after a 1, so that red is
# 1255000000. Grey levels keep their value.
COLOUR_BASE = 10**9
# Label images of more colours are pictures: in any image, in a small image, and per pixel of others.
MAX_LABEL_COLOURS, MIN_LABEL_COLOURS, LABEL_COLOURS_PER_PIXEL = 256, 8, 1 / 16


def has_equal_channels(array) -> bool:
    """Return True if a colour image is grey: its three channels are equal in every pixel.

    Parameters
    ----------
    array : array-like, shape (channels, *spatial)
        Read block by block until the channels differ.
    """
    if array.shape[0] != COLOURS:
        return False
    chunks = getattr(array, "chunks", None)
    for region in iterate_blocks(array.shape[1:], chunks and chunks[1:], MAX_BLOCK_PIXELS // COLOURS):
        block = np.asarray(array[(slice(None), *region)])
        if (block[1:] != block[:1]).any():
            return False
    return True


def first_channel(array) -> Lazy:
    """Return the first channel of an array-like, shape (channels, *spatial), as a lazy array (1, *spatial)."""
    source = as_lazy(array)
    chunks = source.chunks and (1, *source.chunks[1:])
    return Lazy((1, *source.shape[1:]), source.dtype, lambda region: source[(slice(0, 1), *region[1:])], chunks)


def expand_palette(array, palette: np.ndarray | None) -> Lazy:
    """Replace palette indices by their colours, unless the palette is grey or a ramp that displays intensities.

    Parameters
    ----------
    array : array-like of unsigned integers, shape (1, *spatial)
        Indices of the palette.
    palette : uint8 or uint16 array, shape (entries, 3), or None
        Colours by index; None for images without a palette.

    Returns
    -------
    Lazy, shape (3, *spatial), of the dtype of the palette; or (1, *spatial) with the indices
    """
    indices = as_lazy(array)
    if palette is None or is_ramp(palette):
        return indices

    def read(region: Region) -> np.ndarray:
        # Indices beyond the palette are black, as in viewers.
        rows = np.concatenate([palette, np.zeros((1, COLOURS), palette.dtype)])
        colours = rows[np.minimum(indices[(slice(0, 1), *region[1:])][0].astype(np.intp), len(palette))]
        return np.moveaxis(colours, -1, 0)[region[0]]

    chunks = indices.chunks and (COLOURS, *indices.chunks[1:])
    return Lazy((COLOURS, *indices.shape[1:]), palette.dtype, read, chunks)


def is_ramp(palette: np.ndarray) -> bool:
    """Return True for a palette of intensities: grey levels equal to their indices, or colours without jumps."""
    levels = palette.astype(float) * (255 / np.iinfo(palette.dtype).max)
    if (palette == np.arange(len(palette))[:, None] * (257 if palette.dtype == np.uint16 else 1)).all():
        return True
    return len(palette) >= MIN_RAMP_ENTRIES and bool(np.abs(np.diff(levels, axis=0)).max() <= MAX_RAMP_STEP)


def encode_colours(colours: np.ndarray) -> np.ndarray:
    """Return the value of each colour of a label image, int64, shape (*spatial), of levels, shape (3, *spatial)."""
    red, green, blue = colours.astype(np.int64)
    is_grey = (red == green) & (green == blue)
    return np.where(is_grey, red, COLOUR_BASE + 10**6 * red + 10**3 * green + blue)


def encode_label(where: object, colours: np.ndarray) -> np.ndarray:
    """Return the values of a label image in colours as `encode_colours`; raise BadInput if the file is a picture."""
    values = encode_colours(colours)
    limit = min(MAX_LABEL_COLOURS, max(MIN_LABEL_COLOURS, int(LABEL_COLOURS_PER_PIXEL * values.size)))
    if (count := len(np.unique(values))) > limit:
        expected = f"a label image of one channel, or of at most {limit} colours"
        raise BadInput(where, f"{count} colours", expected, "save object ids or class values, not colours")
    return values


def decode_colours(values: np.ndarray) -> np.ndarray:
    """Return the colours of values from `encode_colours`, uint8, shape (*values.shape, 3)."""
    values = np.asarray(values, np.int64)
    digits = np.where(values < COLOUR_BASE, values * 1_001_001, values - COLOUR_BASE)
    return np.stack([digits // 10**6, digits // 10**3 % 10**3, digits % 10**3], -1).astype(np.uint8)
