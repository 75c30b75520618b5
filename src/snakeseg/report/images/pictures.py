"""Small pictures of images, labels and weights: as arrays, and as data URLs."""

import base64
import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image
from skimage.segmentation import find_boundaries

Colour = tuple[int, int, int]
TRUTH, PREDICTION, BOTH = (0, 190, 255), (255, 140, 0), (255, 255, 255)
# Of what became of objects, and of classes: from Okabe and Ito's palette, which the colour-blind can tell apart.
KIND_COLOURS: dict[str, Colour] = {
    "match": (0, 158, 115), "split": (86, 180, 233), "merge": (204, 121, 167), "miss": (213, 94, 0),
    "false": (240, 228, 66),
}  # fmt: skip
CLASS_COLOURS: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
# A caption and an RGB or grey array.
Picture = tuple[str, np.ndarray]


def shrink(array: np.ndarray, side: int) -> np.ndarray:
    """An array (y, x) or (y, x, colours) whose longer side is at most `side`, by means of pixels."""
    height, width = _fitting(array.shape[:2], side)
    return cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)


def shrink_labels(labels: np.ndarray, side: int) -> np.ndarray:
    """Labels (y, x) of which the longer side is at most `side`, by the nearest pixel."""
    rows, columns = (
        (np.arange(small) + 0.5) * large // small
        for small, large in zip(_fitting(labels.shape, side), labels.shape, strict=True)
    )
    return labels[np.ix_(rows.astype(np.intp), columns.astype(np.intp))]


def _fitting(shape: tuple[int, ...], side: int) -> tuple[int, ...]:
    scale = min(1.0, side / max(shape))
    return tuple(max(1, round(size * scale)) for size in shape)


def grey(image: np.ndarray) -> np.ndarray:
    """uint8 RGB of an image (channels, y, x): three channels as colours, else the first, stretched to its range."""
    channels = image if len(image) == 3 else image[:1]
    shown = []
    for channel in channels.astype(np.float32):
        low, high = np.percentile(channel, [0.2, 99.8])
        shown.append(np.clip((channel - low) / max(high - low, 1e-12), 0, 1) * 255)
    return np.stack(shown * (3 // len(shown)), axis=-1).astype(np.uint8)


def outlines(picture: np.ndarray, truth: np.ndarray | None, predicted: np.ndarray | None) -> np.ndarray:
    """The picture with outlines of true objects in blue, predicted ones in orange, and white where they agree."""
    picture = picture.copy()
    edges = [
        np.zeros(picture.shape[:2], bool) if label is None else find_boundaries(label, mode="inner")
        for label in (truth, predicted)
    ]
    for mask, colour in ((edges[0], TRUTH), (edges[1], PREDICTION), (edges[0] & edges[1], BOTH)):
        picture[mask] = colour
    return picture


def jpeg_url(picture: np.ndarray, quality: int) -> str:
    """A data URL of an RGB picture."""
    return _url(Image.fromarray(picture), format="JPEG", quality=quality)


def layer_url(codes: np.ndarray, colours: Sequence[Colour], opacity: Sequence[int]) -> str:
    """A data URL of what lies over a picture.

    Parameters
    ----------
    codes : uint8 array, shape (y, x)
        0 shows what is below, i the i-th colour.
    colours : sequence of (red, green, blue)
    opacity : sequence of int
        Of each colour, 0 to 255.
    """
    picture = Image.fromarray(codes)
    picture.putpalette([0, 0, 0, *(value for colour in colours for value in colour)])
    return _url(picture, format="PNG", transparency=bytes([0, *opacity]), optimize=True)


def webp_url(picture: np.ndarray, quality: int) -> str:
    """A data URL of an RGB picture, or of one with opacity."""
    return _url(Image.fromarray(picture), format="WEBP", quality=quality)


def _url(picture: Image.Image, **how) -> str:
    stream = io.BytesIO()
    picture.save(stream, **how)
    return f"data:image/{how['format'].lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
