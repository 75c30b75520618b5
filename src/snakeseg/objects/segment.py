"""From foreground probabilities to objects."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from snakeseg.transforms.labels import drop_at_edge, ids_at_edge

METHODS = ("components", "distance", "soft", "core")
# Thresholds of the interior that the method "soft" averages distances over.
SHARES = np.arange(1, 10) / 10


@dataclass(frozen=True)
class Parameters:
    """How objects are cut out of a probability map; chosen on validation images.

    Parameters
    ----------
    method : {"components", "distance", "soft", "core"}
        components: face-connected components of the foreground. distance: watershed of the distance transform, one
        object per maximum deeper than `depth` pixels. soft: the same of the distance from the interior's edge in the
        mean of nine thresholds (`SHARES`), where a pale neck counts like a narrow one. core: watershed seeded by the
        components of the interior above `depth`, a threshold of its own. All but the first drop a component in which
        there is no such seed.
    threshold : float
        Foreground is where the probability exceeds it.
    depth : float
        See `method`.
    smallest : int
        Objects of fewer pixels are dropped.
    fill_holes : bool
        Give background that a single component encloses to that component, before it is cut.
    drop_at_edge : bool
        Drop objects that touch the image's edge, of which only a part was seen.
    """

    method: str = "components"
    threshold: float = 0.5
    depth: float = 1.0
    smallest: int = 0
    fill_holes: bool = False
    drop_at_edge: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"instances method {self.method!r}; expected one of {METHODS}")


def segment(foreground: np.ndarray, interior: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Objects of a probability map.

    Parameters
    ----------
    foreground : float array, shape (*spatial)
        Probability of being in an object.
    interior : float array, shape (*spatial)
        Probability of being off its edge, from a network with a border class; else the same.
    parameters : Parameters

    Returns
    -------
    uint32 array, shape (*spatial)
        0 is background; ids 1..n in C order of the objects' first pixels (uint64 if they are too many for uint32).
    """
    foreground, interior = (array.astype(np.float32, copy=False) for array in (foreground, interior))
    objects = split(foreground, interior, parameters)
    if parameters.drop_at_edge:
        objects = drop_at_edge(objects)
    return drop_small(objects, parameters.smallest)


def split(foreground: np.ndarray, interior: np.ndarray, parameters: Parameters) -> np.ndarray:
    """As `segment`, before objects are dropped that are small or at the edge."""
    return cut(ndimage.label(foreground > parameters.threshold)[0], interior, parameters)


def cut(
    components: np.ndarray, interior: np.ndarray, parameters: Parameters, others: np.ndarray | None = None
) -> np.ndarray:
    """Cut face-connected components into objects, each by itself: what the others are makes no difference.

    Parameters
    ----------
    components : int array, shape (*spatial)
        Components 1..n, 0 elsewhere. Around each of them a layer of one pixel must be there, unless it is outside
        the image.
    interior : float array, shape (*spatial)
        As in `segment`.
    parameters : Parameters
    others : bool array, shape (*spatial), optional
        Pixels of components that are not among these.

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
    # A component's pixels lie nearest to its own pixels or to the layer around it: of any pixel beyond, the face
    # neighbour on the way is nearer. And what touches a component by a face is background, never another component.
    masks = [mask & (interior > share) for share in SHARES] if parameters.method == "soft" else [mask]
    landscape = sum(_depths(each) for each in masks) / len(masks)
    return _flood(components, ndimage.label(_deep_maxima(landscape, parameters.depth))[0], landscape)


def _depths(mask: np.ndarray) -> np.ndarray:
    """Distance to the nearest pixel that is not in the mask; without any, there is one level."""
    # SciPy would measure an image without background from a point of no meaning.
    return np.full(mask.shape, float(sum(mask.shape))) if mask.all() else ndimage.distance_transform_edt(mask)


def _fill_holes(components: np.ndarray, others: np.ndarray | None) -> np.ndarray:
    """Give every piece of background that touches neither the array's edge nor a second component to the first."""
    full = ndimage.generate_binary_structure(components.ndim, components.ndim)
    far = components.max(initial=0) + 1  # no larger: SciPy filters in float64
    owners = components if others is None else np.where(others, far, components)
    pieces, count = ndimage.label(owners == 0, full)
    lowest = ndimage.minimum_filter(np.where(owners == 0, far, owners), footprint=full, mode="nearest")
    highest = ndimage.maximum_filter(owners, footprint=full, mode="nearest")
    index = np.arange(1, count + 1)
    owner = np.append(0, ndimage.maximum(highest, pieces, index)).astype(components.dtype)
    owner[1:][ndimage.minimum(lowest, pieces, index) != owner[1:]] = 0
    owner[owner == far] = 0
    owner[ids_at_edge(pieces)] = 0
    return components + owner[pieces]


def drop_small(objects: np.ndarray, smallest: int) -> np.ndarray:
    """Remove objects of fewer than `smallest` pixels and number the rest 1..n in C order of their first pixels."""
    return numbering(*sizes_and_firsts(objects, int(objects.max(initial=0))), smallest)[objects]


def sizes_and_firsts(objects: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Number of pixels of each of the ids 1..count, and flat C index of the first one (0 if there is none)."""
    where = np.flatnonzero(objects)
    ids = objects.ravel()[where] - 1
    firsts = np.zeros(count, np.int64)
    firsts[ids[::-1]] = where[::-1]  # of several values for one place NumPy keeps the last
    return np.bincount(ids, minlength=count), firsts


def numbering(sizes: np.ndarray, firsts: np.ndarray, smallest: int) -> np.ndarray:
    """Final ids of the provisional ones 0..n: 1, 2, ... in C order of first pixels.

    Parameters
    ----------
    sizes, firsts : int array, shape (n,)
        Of the provisional ids 1..n: number of pixels, and flat C index of the first one.
    smallest : int
        Ids of fewer pixels get 0; so do 0 itself and ids of no pixels.

    Returns
    -------
    uint32 or uint64 array, shape (n + 1,)
    """
    kept = np.flatnonzero(sizes >= max(smallest, 1))
    numbers = np.zeros(len(sizes) + 1, id_type(len(kept)))
    numbers[1 + kept[np.argsort(firsts[kept])]] = np.arange(1, len(kept) + 1)
    return numbers


def id_type(count: int) -> np.dtype:
    """uint32, or uint64 if ids up to `count` do not fit."""
    return np.promote_types(np.uint32, np.min_scalar_type(count))


def _deep_maxima(landscape: np.ndarray, depth: float) -> np.ndarray:
    """Maxima that rise more than `depth` above 0 and above the saddle to any higher one (h-maxima).

    The landscape is positive in components and 0 around them.
    """
    faces = ndimage.generate_binary_structure(landscape.ndim, 1)
    # Below all lowered components, the background carries no flood from one to another.
    sunk = np.where(landscape > 0, landscape, -depth)
    lowered = reconstruction(sunk - depth, sunk, footprint=faces)
    if lowered.min() == lowered.max():  # which scikit-image calls no maximum
        return lowered > 0
    return local_maxima(lowered, connectivity=1) & (lowered > 0)


def _flood(components: np.ndarray, seeds: np.ndarray, landscape: np.ndarray) -> np.ndarray:
    """Share every component among the seeds in it (1..m): all to a single one, by watershed among several."""
    where = np.flatnonzero(seeds)
    owner = np.zeros(seeds.max(initial=0) + 1, components.dtype)
    owner[seeds.ravel()[where]] = components.ravel()[where]
    boxes = ndimage.find_objects(components)
    rivals = np.bincount(owner, minlength=len(boxes) + 1) > 1
    single = np.zeros(len(boxes) + 1, seeds.dtype)
    single[owner] = np.arange(len(owner))
    single[rivals] = single[0] = 0
    objects = single[components]
    for component in np.flatnonzero(rivals[1:]) + 1:
        # In a box of its own: the heap of the watershed breaks ties in an order that depends on all it is given.
        box = boxes[component - 1]
        alone = components[box] == component
        objects[box] += watershed(-landscape[box], seeds[box], mask=alone)
    return objects
