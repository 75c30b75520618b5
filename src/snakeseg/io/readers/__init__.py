"""Readers of image files: one module per format, and checks of headers."""

from typing import Any, NamedTuple


class StoredImage(NamedTuple):
    """Image in the axis order of its file, as a reader returns it.

    Attributes
    ----------
    array : array-like
        Has shape, dtype and slicing; read on demand if the format allows it.
    axes : str
        Letter of each axis of the array: X, Y and Z are spatial, C is channels.
    spacing : tuple of float or None
        Pixel size along each spatial axis, in the order of `axes`: in millimetres for formats with an affine, in
        micrometres for others; None if the file does not state it.
    affine : array or None, shape (4, 4)
        Maps indices (x, y, z) to world coordinates; None for formats without an affine.
    doubt : str
        How two statements of the pixel size in the file contradict each other; "" if they do not.
    palette : array or None, shape (entries, 3)
        Colours, uint8 or uint16, if the pixels are indices of a palette.
    """

    array: Any
    axes: str
    spacing: tuple[float | None, ...]
    affine: Any = None
    doubt: str = ""
    palette: Any = None
