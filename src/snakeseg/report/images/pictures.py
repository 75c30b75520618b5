"""Small pictures of images, labels and weight maps, as arrays and as data URLs."""

import base64
import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image
from skimage.segmentation import find_boundaries

Colour = tuple[int, int, int]
# Colours of outlines: of true objects, of predicted ones, and where both agree.
TRUTH, PREDICTION, BOTH = (0, 190, 255), (255, 140, 0), (255, 255, 255)
# Colours of matched, split, ... objects, and of classes, from Okabe and Ito's palette for the colour-blind.
KIND_COLOURS: dict[str, Colour] = {
    "match": (0, 158, 115), "split": (86, 180, 233), "merge": (204, 121, 167), "miss": (213, 94, 0),
    "false": (240, 228, 66),
}  # fmt: skip
CLASS_COLOURS: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
# A caption, and an array (y, x, 3) in RGB or (y, x).
Picture = tuple[str, np.ndarray]


def shrink(array: np.ndarray, side: int) -> np.ndarray:
    """Shrink an image to at most `side` pixels a side, by means over pixels.

    Parameters
    ----------
    array : array, shape (y, x) or (y, x, colours)
        The image; one that is small enough keeps its size.
    side : int
        Largest height and width, in pixels.

    Returns
    -------
    array, shape (y, x) or (y, x, colours)
        Of the same dtype.
    """
    height, width = _fitting_shape(array.shape[:2], side)
    return cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)


def shrink_labels(labels: np.ndarray, side: int) -> np.ndarray:
    """Shrink a label image to at most `side` pixels a side, by nearest-neighbour sampling.

    Parameters
    ----------
    labels : int array, shape (y, x)
        Ids of objects, or classes.
    side : int
        Largest height and width, in pixels.

    Returns
    -------
    int array, shape (y, x)
        Of the same dtype.
    """
    rows, columns = (
        (np.arange(small) + 0.5) * large // small
        for small, large in zip(_fitting_shape(labels.shape, side), labels.shape, strict=True)
    )
    return labels[np.ix_(rows.astype(np.intp), columns.astype(np.intp))]


def _fitting_shape(shape: tuple[int, ...], side: int) -> tuple[int, ...]:
    """Return the shape scaled down so that its longest side is at most `side`."""
    scale = min(1.0, side / max(shape))
    return tuple(max(1, round(size * scale)) for size in shape)


def stretch_to_rgb(image: np.ndarray) -> np.ndarray:
    """Stretch each channel of an image from its 0.2nd to its 99.8th percentile, and return it in RGB.

    Parameters
    ----------
    image : array, shape (channels, *spatial)
        Three channels become red, green and blue; of any other number of channels, the first one is shown in grey.

    Returns
    -------
    uint8 array, shape (*spatial, 3)
        The picture.
    """
    channels = image if len(image) == 3 else image[:1]
    stretched = []
    for channel in channels.astype(np.float32):
        low, high = np.percentile(channel, [0.2, 99.8])
        stretched.append(np.clip((channel - low) / max(high - low, 1e-12), 0, 1) * 255)
    return np.stack(stretched * (3 // len(stretched)), axis=-1).astype(np.uint8)


def draw_outlines(picture: np.ndarray, truth: np.ndarray | None, predicted: np.ndarray | None) -> np.ndarray:
    """Draw outlines of true objects in blue, of predicted ones in orange, and white where both agree.

    Parameters
    ----------
    picture : uint8 array, shape (y, x, 3)
        The image in RGB.
    truth, predicted : int array, shape (y, x), or None
        Ids of objects.

    Returns
    -------
    uint8 array, shape (y, x, 3)
        A copy of the picture with outlines.
    """
    picture = picture.copy()
    edges = [
        np.zeros(picture.shape[:2], bool) if label is None else find_boundaries(label, mode="inner")
        for label in (truth, predicted)
    ]
    for mask, colour in ((edges[0], TRUTH), (edges[1], PREDICTION), (edges[0] & edges[1], BOTH)):
        picture[mask] = colour
    return picture


def jpeg_url(picture: np.ndarray, quality: int) -> str:
    """Return an RGB picture, uint8 of shape (y, x, 3), as a data URL in JPEG of a quality from 1 to 95."""
    return _data_url(Image.fromarray(picture), format="JPEG", quality=quality)


def layer_url(codes: np.ndarray, colours: Sequence[Colour], opacity: Sequence[int]) -> str:
    """Return a layer that lies over a picture as a data URL in PNG.

    Parameters
    ----------
    codes : uint8 array, shape (y, x)
        0 is transparent, i has the i-th colour.
    colours : sequence of (red, green, blue)
        Each from 0 to 255.
    opacity : sequence of int
        Opacity of each colour, from 0 to 255.
    """
    picture = Image.fromarray(codes)
    picture.putpalette([0, 0, 0, *(value for colour in colours for value in colour)])
    return _data_url(picture, format="PNG", transparency=bytes([0, *opacity]), optimize=True)


def webp_url(picture: np.ndarray, quality: int) -> str:
    """Return a picture, uint8 of shape (y, x, 3 or 4), as a data URL in WebP of a quality from 1 to 100."""
    return _data_url(Image.fromarray(picture), format="WEBP", quality=quality)


def _data_url(picture: Image.Image, **options) -> str:
    """Return a picture as a data URL, saved with these options of Pillow."""
    stream = io.BytesIO()
    picture.save(stream, **options)
    return f"data:image/{options['format'].lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
