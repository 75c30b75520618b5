"""From foreground probabilities to objects."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected_components
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

METHODS = ("components", "distance", "core")


@dataclass(frozen=True)
class Parameters:
    """How objects are cut out of a probability map; chosen on validation images.

    Parameters
    ----------
    method : {"components", "distance", "core"}
        components: face-connected components of the foreground. distance: watershed of the distance transform, one
        object per maximum deeper than `depth` pixels. core: watershed seeded by the components of the interior above
        `depth`, a threshold of its own.
    threshold : float
        Foreground is where the probability exceeds it.
    depth : float
        See `method`.
    smallest : int
        Objects of fewer pixels are dropped.
    """

    method: str = "components"
    threshold: float = 0.5
    depth: float = 1.0
    smallest: int = 0


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
        0 is background; ids 1..n in C order of the objects' first pixels.
    """
    foreground, interior = (array.astype(np.float32, copy=False) for array in (foreground, interior))
    return drop_small(split(foreground, interior, parameters), parameters.smallest)


def split(foreground: np.ndarray, interior: np.ndarray, parameters: Parameters) -> np.ndarray:
    """As `segment`, before small objects are dropped."""
    mask = foreground > parameters.threshold
    if parameters.method == "components":
        return connected_components(mask, connectivity=1)
    if parameters.method == "distance":
        landscape = ndimage.distance_transform_edt(mask)
        seeds = connected_components(_deep_maxima(landscape, parameters.depth) & mask)
    elif parameters.method == "core":
        landscape = interior
        seeds = connected_components(mask & (interior > parameters.depth), connectivity=1)
    else:
        raise ValueError(f"instances method {parameters.method!r}; expected one of {METHODS}")
    return watershed(-landscape, seeds, mask=mask)


def drop_small(objects: np.ndarray, smallest: int) -> np.ndarray:
    """Remove objects of fewer than `smallest` pixels and number the rest 1..n in C order of their first pixels."""
    sizes = np.bincount(objects.ravel())
    sizes[0] = 0
    ids, first = np.unique(objects, return_index=True)
    kept = [i for i in ids[np.argsort(first)] if i and sizes[i] >= smallest]
    number = np.zeros(len(sizes), np.uint32)
    number[kept] = np.arange(1, len(kept) + 1)
    return number[objects]


def _deep_maxima(landscape: np.ndarray, depth: float) -> np.ndarray:
    """Maxima that rise more than `depth` above the saddle to any higher one (h-maxima)."""
    return local_maxima(reconstruction(landscape - depth, landscape))
