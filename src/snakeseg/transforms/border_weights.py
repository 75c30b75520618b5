"""Border-aware loss weights (Ronneberger et al. 2015, equation 2), computed exactly and block by block."""

from collections.abc import Iterator, Sequence
from itertools import product

import cv2
import numpy as np
from scipy import ndimage

from snakeseg.arrays import Region
from snakeseg.transforms.argument_checks import require_at_least, require_labels, require_positive, require_spacing

# Smallest relevant border term: smaller values are lost in float32 when added to w_c.
NEGLIGIBLE = 1e-7
# Side length in pixels of the cells of the coarse grid on which objects are coloured.
CELL_PIXELS = 2
# Side length of blocks in pixels, by number of axes: a block fits in the caches of a CPU.
BLOCK_SIDE = {1: 2**20, 2: 1024, 3: 128}


def border_weights(
    labels: np.ndarray, w0: float = 10.0, sigma: float = 5.0, spacing: Sequence[float] | None = None
) -> np.ndarray:
    """Compute the border term of the weight map: ``w0 * exp(-(d1 + d2)**2 / (2 * sigma**2))``.

    d1 and d2 are the Euclidean distances of a background pixel to the nearest and to the second nearest object.
    The term is zero inside objects, as in the paper's figure 3d, and everywhere if there are fewer than two objects.
    Objects that touch have no background between them: `separate_touching` first inserts it, as in the workflow.

    The term is negligible unless d1 + d2 <= reach = sigma * sqrt(2 * ln(w0 / 1e-7)), so two objects contribute to the
    same pixel only if they lie within `reach` of each other. Objects are coloured so that objects of one colour lie
    further apart. A distance transform per colour (four or five for cells) then replaces one per object. The result is
    the same to float32 rounding; time is linear in pixels, and memory at most 24 bytes per pixel.

    Parameters
    ----------
    labels : integer array, shape (*spatial)
        0 is background, every other value an object. Time and memory grow with the largest id.
    w0, sigma : float
        Height of the border term, and its width in the unit of `spacing`.
    spacing : sequence of float, optional
        Pixel size along each axis; by default 1.

    Returns
    -------
    float32 array, shape (*spatial)

    Raises
    ------
    BadInput
        If `labels` has no integer dtype or negative ids, or `sigma` or `spacing` is not positive.

    References
    ----------
    Ronneberger, Fischer & Brox (2015), U-Net, equation 2, doi 10.1007/978-3-319-24574-4_28.

    Examples
    --------
    >>> cells = np.array([[1, 0, 0, 2]])
    >>> snakeseg.border_weights(cells, w0=10, sigma=5).round(1)
    array([[0. , 8.4, 8.4, 0. ]], dtype=float32)
    """
    objects = require_labels(labels, "labels")
    require_at_least("w0", w0, 0)
    require_positive("sigma", sigma)
    spacing = require_spacing(spacing, objects.ndim)
    if w0 <= NEGLIGIBLE:
        return np.zeros(objects.shape, np.float32)
    if len(set(spacing)) == 1:
        sigma, spacing = sigma / spacing[0], (1.0,) * objects.ndim
    margin = border_reach(w0, sigma, spacing)
    weights = np.empty(objects.shape, np.float32)
    for block, extended, inner in _blocks(objects.shape, margin):
        nearest, second = _two_distances(objects[extended], margin, spacing)
        weights[block] = _border_term(nearest[inner], second[inner], objects[block], w0, sigma)
    return weights


def border_reach(w0: float, sigma: float, spacing: Sequence[float]) -> list[int]:
    """Return the largest distance between two objects with a relevant border term, in pixels of each axis."""
    reach = sigma * np.sqrt(2 * np.log(w0 / NEGLIGIBLE)) if w0 > NEGLIGIBLE else 0
    return [int(np.ceil(reach / step)) for step in spacing]


def _blocks(shape: Sequence[int], margin: Sequence[int]) -> Iterator[tuple[Region, Region, Region]]:
    """Yield each block of an image, the block extended by the margin, and the block's region in the extended one."""
    side = BLOCK_SIDE[len(shape)]
    for start in product(*(range(0, size, side) for size in shape)):
        block = tuple(slice(a, a + side) for a in start)
        extended = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(block, margin, strict=True))
        inner = tuple(slice(s.start - e.start, s.stop - e.start) for s, e in zip(block, extended, strict=True))
        yield block, extended, inner


def class_weights(counts: Sequence[int]) -> np.ndarray:
    """Compute weights that balance class frequencies (w_c of the paper): ``total / (classes present * count)``.

    Parameters
    ----------
    counts : sequence of int
        Number of pixels of each class.

    Returns
    -------
    float32 array, shape (classes,)
        0 for a class without pixels; the mean weight over all pixels is 1.
    """
    counts = np.asarray(counts, dtype=np.float64)
    present = counts > 0
    balanced = np.zeros_like(counts)
    balanced[present] = counts.sum() / (present.sum() * counts[present])
    return balanced.astype(np.float32)


def _two_distances(objects: np.ndarray, margin: Sequence[int], spacing: tuple[float, ...]):
    """Compute the distances to the nearest and second nearest object; exact if both lie within `margin` pixels."""
    colours, count = _colour_apart(objects, margin)
    nearest = np.full(objects.shape, np.inf, np.float32)
    second = np.full(objects.shape, np.inf, np.float32)
    for colour in range(1, count + 1):
        distance = _distance_to(colours == colour, spacing)
        # Keep the two smallest distances: the larger of this pair may still be the second smallest.
        np.minimum(second, np.maximum(nearest, distance), out=second)
        np.minimum(nearest, distance, out=nearest)
    if spacing == (1.0, 1.0):
        # OpenCV's square roots depend on the alignment of rows in memory. Squared distances are whole numbers, so their
        # square roots are recomputed from them.
        for distance in (nearest, second):
            np.sqrt(np.rint(np.square(distance, out=distance), out=distance), out=distance)
    return nearest, second


def _colour_apart(objects: np.ndarray, reach: Sequence[int]) -> tuple[np.ndarray, int]:
    """Colour objects first-fit so that bounding boxes of one colour are more than `reach` pixels apart.

    Returns
    -------
    colours : unsigned integer array, shape (*spatial)
        0 is background.
    count : int
        Number of colours used.
    """
    cells = tuple(-(-size // CELL_PIXELS) for size in objects.shape)
    occupied: list[np.ndarray] = []
    colour_of = np.zeros(int(objects.max(initial=0)) + 1, np.uint16)
    for object_id, box in enumerate(ndimage.find_objects(objects), start=1):
        if box is None:
            continue
        own = tuple(slice(s.start // CELL_PIXELS, -(-s.stop // CELL_PIXELS)) for s in box)
        grown = tuple(
            slice(max(0, (s.start - r) // CELL_PIXELS), -(-(s.stop + r) // CELL_PIXELS))
            for s, r in zip(box, reach, strict=True)
        )
        free = (k for k, taken in enumerate(occupied) if not taken[grown].any())
        colour = next(free, len(occupied))
        if colour == len(occupied):
            occupied.append(np.zeros(cells, bool))
        occupied[colour][own] = True
        colour_of[object_id] = colour + 1
    return colour_of.astype(np.min_scalar_type(len(occupied)))[objects], len(occupied)


def _distance_to(mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Compute the Euclidean distance of each pixel to the mask, in the unit of `spacing`."""
    if spacing == (1.0, 1.0):
        return cv2.distanceTransform(np.logical_not(mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return ndimage.distance_transform_edt(~mask, sampling=spacing).astype(np.float32)


def _border_term(nearest, second, objects, w0: float, sigma: float) -> np.ndarray:
    """Compute the border term in place of `nearest`; infinite distances give 0."""
    term = np.add(nearest, second, out=nearest)
    np.square(term, out=term)
    term *= np.float32(-1 / (2 * sigma**2))
    np.exp(term, out=term)
    term *= np.float32(w0)
    term[objects != 0] = 0
    return term
