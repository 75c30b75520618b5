"""Segment objects in a foreground probability map that fits in memory."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from snakeseg.transforms.grow import MAX_GROWTH, grow_objects
from snakeseg.transforms.labels import drop_at_edge, find_ids_at_edge

METHODS = ("components", "distance", "soft", "core")
# Probability thresholds of the interior over which the method "soft" averages distance transforms.
SOFT_THRESHOLDS = np.arange(1, 10) / 10


@dataclass(frozen=True)
class InstanceParameters:
    """Parameters of the segmentation of objects in a probability map; chosen on validation images.

    Parameters
    ----------
    method : {"components", "distance", "soft", "core"}
        components: one object per face-connected component of the foreground. distance: watershed of the distance
        transform, with one seed per maximum deeper than `depth`. soft: the same on the mean of the distance transforms
        at nine thresholds of the interior (`SOFT_THRESHOLDS`), so that a neck of low probability divides objects as a
        narrow one does. core: watershed with one seed per component of the interior above the probability `depth`.
        All methods but the first drop a component without a seed.
    threshold : float
        Probability that a foreground pixel exceeds.
    depth : float
        Distance and soft: minimum depth of a maximum, in pixels. Core: probability that a seed pixel exceeds.
    smallest : int
        Minimum size of an object, in pixels; smaller objects are dropped.
    fill_holes : bool
        Fill background that a single component encloses, before the component is split.
    drop_at_edge : bool
        Drop objects that touch the edge of the image.
    grow : int
        Grow the remaining objects into the gaps between them by at most this number of pixels (see
        `snakeseg.transforms.grow.grow_objects`), before small ones are dropped.

    Raises
    ------
    ValueError
        If `method` is unknown, or `grow` is not from 0 to `MAX_GROWTH`.
    """

    method: str = "components"
    threshold: float = 0.5
    depth: float = 1.0
    smallest: int = 0
    fill_holes: bool = False
    drop_at_edge: bool = False
    grow: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"instances method {self.method!r}; expected one of {METHODS}")
        if not 0 <= self.grow <= MAX_GROWTH:
            raise ValueError(f"instances grow {self.grow!r:.100}; expected a whole number from 0 to {MAX_GROWTH}")


def segment(foreground: np.ndarray, interior: np.ndarray, parameters: InstanceParameters) -> np.ndarray:
    """Segment objects in a probability map.

    Parameters
    ----------
    foreground : float array, shape (*spatial)
        Probability that a pixel belongs to an object.
    interior : float array, shape (*spatial)
        Probability that a pixel belongs to an object but not to its border, from a network with a border class;
        otherwise the same as `foreground`.
    parameters : Parameters

    Returns
    -------
    uint32 array, shape (*spatial)
        0 is background; ids 1..n in C order of the objects' first pixels (uint64 if n exceeds uint32).
    """
    foreground, interior = (array.astype(np.float32, copy=False) for array in (foreground, interior))
    objects = segment_unfiltered(foreground, interior, parameters)
    if parameters.drop_at_edge:
        objects = drop_at_edge(objects)
    return drop_small(grow_objects(objects, parameters.grow), parameters.smallest)


def segment_unfiltered(foreground: np.ndarray, interior: np.ndarray, parameters: InstanceParameters) -> np.ndarray:
    """Split components into objects as `segment` does, but drop none and grow none."""
    return split_components(ndimage.label(foreground > parameters.threshold)[0], interior, parameters)


def split_components(
    components: np.ndarray, interior: np.ndarray, parameters: InstanceParameters, others: np.ndarray | None = None
) -> np.ndarray:
    """Split face-connected components into objects, each component independently of the others.

    Parameters
    ----------
    components : int array, shape (*spatial)
        Components 1..n, 0 elsewhere. The array must include the layer of one pixel around each component, except where
        that lies outside the image.
    interior : float array, shape (*spatial)
        Probabilities, as in `segment`.
    parameters : Parameters
    others : bool array, shape (*spatial), optional
        Pixels of components that are not in `components`.

    Returns
    -------
    int array, shape (*spatial)
        Objects 1..m, 0 elsewhere.
    """
    if parameters.fill_holes:
        holes = components == 0
        components = _fill_holes(components, others)
        interior = np.where(holes & (components > 0), 1, interior)
    if parameters.method == "components":
        return components
    mask = components > 0
    if parameters.method == "core":
        return _flood(components, ndimage.label(mask & (interior > parameters.depth))[0], interior)
    # Distances within a component depend only on its own pixels and on the layer around it: the straight way to any
    # pixel beyond crosses that layer. A face neighbour of a component is background, never another component.
    masks = [mask & (interior > threshold) for threshold in SOFT_THRESHOLDS] if parameters.method == "soft" else [mask]
    landscape = sum(_distances(level) for level in masks) / len(masks)
    return _flood(components, ndimage.label(_deep_maxima(landscape, parameters.depth))[0], landscape)


def _distances(mask: np.ndarray) -> np.ndarray:
    """Distance of each mask pixel to the nearest pixel outside the mask, in pixels; constant if the mask is full."""
    # Without background, SciPy measures from an arbitrary point.
    return np.full(mask.shape, float(sum(mask.shape))) if mask.all() else ndimage.distance_transform_edt(mask)


def _fill_holes(components: np.ndarray, others: np.ndarray | None) -> np.ndarray:
    """Fill each piece of background that borders on a single component and not on the edge of the array."""
    full = ndimage.generate_binary_structure(components.ndim, components.ndim)
    other_id = components.max(initial=0) + 1  # no larger: SciPy filters in float64
    owners = components if others is None else np.where(others, other_id, components)
    pieces, count = ndimage.label(owners == 0, full)
    lowest = ndimage.minimum_filter(np.where(owners == 0, other_id, owners), footprint=full, mode="nearest")
    highest = ndimage.maximum_filter(owners, footprint=full, mode="nearest")
    index = np.arange(1, count + 1)
    owner = np.append(0, ndimage.maximum(highest, pieces, index)).astype(components.dtype)
    owner[1:][ndimage.minimum(lowest, pieces, index) != owner[1:]] = 0
    owner[owner == other_id] = 0
    owner[find_ids_at_edge(pieces)] = 0
    return components + owner[pieces]


def drop_small(objects: np.ndarray, smallest: int) -> np.ndarray:
    """Remove objects of fewer than `smallest` pixels and number the rest 1..n in C order of their first pixels."""
    return assign_final_ids(*sizes_and_first_pixels(objects, int(objects.max(initial=0))), smallest)[objects]


def sizes_and_first_pixels(objects: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of pixels of each of the ids 1..count, and the flat C index of its first pixel (0 if none)."""
    indices = np.flatnonzero(objects)
    rows = objects.ravel()[indices] - 1
    firsts = np.zeros(count, np.int64)
    firsts[rows[::-1]] = indices[::-1]  # NumPy keeps the last of several values assigned to one index
    return np.bincount(rows, minlength=count), firsts


def assign_final_ids(sizes: np.ndarray, firsts: np.ndarray, smallest: int) -> np.ndarray:
    """Assign final ids 1, 2, ... to provisional ids, in C order of first pixels.

    Parameters
    ----------
    sizes, firsts : int array, shape (n,)
        Number of pixels, and flat C index of the first pixel, of the provisional ids 1..n.
    smallest : int
        Minimum size in pixels. Smaller ids, ids without pixels and id 0 are mapped to 0.

    Returns
    -------
    uint32 or uint64 array, shape (n + 1,)
        Final id of each of the provisional ids 0..n.
    """
    kept = np.flatnonzero(sizes >= max(smallest, 1))
    final_ids = np.zeros(len(sizes) + 1, id_type(len(kept)))
    final_ids[1 + kept[np.argsort(firsts[kept])]] = np.arange(1, len(kept) + 1)
    return final_ids


def id_type(count: int) -> np.dtype:
    """Return uint32, or uint64 if ids up to `count` do not fit."""
    return np.promote_types(np.uint32, np.min_scalar_type(count))


def _deep_maxima(landscape: np.ndarray, depth: float) -> np.ndarray:
    """Find maxima that rise more than `depth` above 0 and above the saddle to any higher maximum (h-maxima).

    The landscape is positive in components and 0 around them.
    """
    faces = ndimage.generate_binary_structure(landscape.ndim, 1)
    # The background lies below every lowered component, so the reconstruction does not cross it.
    sunk = np.where(landscape > 0, landscape, -depth)
    lowered = reconstruction(sunk - depth, sunk, footprint=faces)
    if lowered.min() == lowered.max():  # scikit-image finds no maximum in a constant array
        return lowered > 0
    return local_maxima(lowered, connectivity=1) & (lowered > 0)


def _flood(components: np.ndarray, seeds: np.ndarray, landscape: np.ndarray) -> np.ndarray:
    """Divide each component among its seeds (1..m), by watershed if it has several."""
    indices = np.flatnonzero(seeds)
    owner = np.zeros(seeds.max(initial=0) + 1, components.dtype)
    owner[seeds.ravel()[indices]] = components.ravel()[indices]
    boxes = ndimage.find_objects(components)
    has_rivals = np.bincount(owner, minlength=len(boxes) + 1) > 1
    single_seed = np.zeros(len(boxes) + 1, seeds.dtype)
    single_seed[owner] = np.arange(len(owner))
    single_seed[has_rivals] = single_seed[0] = 0
    objects = single_seed[components]
    for component in np.flatnonzero(has_rivals[1:]) + 1:
        # Each in its own box: the watershed's heap breaks ties in an order that depends on everything in its input.
        box = boxes[component - 1]
        mask = components[box] == component
        objects[box] += watershed(-landscape[box], seeds[box], mask=mask)
    return objects
