"""Small RGB pictures of images, labels and weights."""

import numpy as np
from skimage.segmentation import find_boundaries
from skimage.transform import resize

TRUTH, PREDICTION, BOTH = (0, 190, 255), (255, 140, 0), (255, 255, 255)
LARGEST = 360
# A caption and an RGB or grey array.
Picture = tuple[str, np.ndarray]


def plane(array: np.ndarray, dims: int) -> np.ndarray:
    """The array itself, or the middle slice of a volume; leading channels are kept."""
    return array if dims == 2 else array.take(array.shape[-dims] // 2, axis=-dims)


def thumbnail(array: np.ndarray, order: int) -> np.ndarray:
    """Shrink an (y, x) array so that its longer side is at most `LARGEST`; order 0 keeps labels."""
    scale = LARGEST / max(array.shape)
    if scale >= 1:
        return array
    shape = [max(1, round(size * scale)) for size in array.shape]
    return resize(array, shape, order=order, preserve_range=True, anti_aliasing=order > 0).astype(array.dtype)


def grey(image: np.ndarray) -> np.ndarray:
    """uint8 RGB of an image (channels, y, x): three channels as colours, else the first, stretched to its range."""
    channels = image if len(image) == 3 else image[:1]
    shown = []
    for channel in channels:
        small = thumbnail(channel.astype(np.float32), 1)
        low, high = np.percentile(small, [0.2, 99.8])
        shown.append(np.clip((small - low) / max(high - low, 1e-12), 0, 1) * 255)
    return np.stack(shown * (3 // len(shown)), axis=-1).astype(np.uint8)


def outlines(picture: np.ndarray, truth: np.ndarray | None, predicted: np.ndarray | None) -> np.ndarray:
    """The picture with outlines of true objects in blue, predicted ones in orange, and white where they agree."""
    picture = picture.copy()
    edges = [
        np.zeros(picture.shape[:2], bool) if label is None else find_boundaries(thumbnail(label, 0), mode="inner")
        for label in (truth, predicted)
    ]
    for mask, colour in ((edges[0], TRUTH), (edges[1], PREDICTION), (edges[0] & edges[1], BOTH)):
        picture[mask] = colour
    return picture
