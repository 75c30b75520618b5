"""Read image files: one module per format, and checks of their headers."""

from typing import Any, NamedTuple


class StoredImage(NamedTuple):
    """An image as its reader returns it.

    Attributes
    ----------
    array : array-like
        Sliceable, with shape and dtype; read as needed where the format allows it.
    axes : str
        A letter for each axis of the array: X, Y and Z are spatial, C are channels.
    spacing : tuple of float
        Pixel size along each spatial axis, in the order of `axes`; 1 where the file states none.
    affine : array or None
        Of shape (spatial axes, 4), from indices (x, y, z) to positions; None if the format has none.
    """

    array: Any
    axes: str
    spacing: tuple[float, ...]
    affine: Any = None
