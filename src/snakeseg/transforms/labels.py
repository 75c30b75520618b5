"""What label values mean: classes, objects, ignored pixels, and the border between touching objects."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected_components

from snakeseg.errors import BadInput
from snakeseg.settings import Labels

IGNORED = 255
BORDER = 2


def classes_and_objects(label: np.ndarray, settings: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Interpret a label image.

    Parameters
    ----------
    label : integer array, shape (*spatial)
        semantic: the values of `settings.values`; instance: 0 and one id per object; binary: 0 and anything else.
    settings : Labels

    Returns
    -------
    classes : uint8 array, shape (*spatial)
        Index of the class; `IGNORED` where the label says so.
    objects : int32 array, shape (*spatial)
        0 and ids 1..n in order of appearance. Objects are the ids (instance) or the face-connected components of
        one class (binary, semantic).

    Raises
    ------
    ValueError
        If a value is not among the classes.
    """
    ignored = np.zeros(label.shape, bool) if settings.ignore is None else label == settings.ignore
    label = np.where(ignored, 0 if settings.kind != "semantic" else settings.values[settings.classes[0]], label)
    if settings.kind == "semantic":
        classes = _class_indices(label, settings)
        objects = connected_components(classes, background=0, connectivity=1)
    elif settings.kind == "instance":
        objects = number_objects(label)
        classes = objects > 0
    else:
        objects = ndimage.label(label)[0]
        classes = objects > 0
    classes = classes.astype(np.uint8)
    classes[ignored] = IGNORED
    objects = objects.astype(np.int32)
    objects[ignored] = 0
    return classes, objects


def known_labels(label: np.ndarray, settings: Labels, where: object) -> tuple[np.ndarray, np.ndarray]:
    """As `classes_and_objects`; errors name the file `where`."""
    try:
        return classes_and_objects(label, settings)
    except ValueError as error:
        found, _, expected = str(error).partition("; expected ")
        raise BadInput(where, found, expected, "correct the label or the key labels.values") from error


def training_labels(label: np.ndarray, settings: Labels, where: object) -> tuple[np.ndarray, np.ndarray]:
    """Classes and separated objects of a label image, as training sees them; errors name the file `where`."""
    classes, objects = known_labels(label, settings, where)
    if settings.kind == "instance":
        objects = separate_touching(objects)
        classes = np.where(classes == IGNORED, IGNORED, objects > 0).astype(np.uint8)
    return classes, objects


def number_objects(label: np.ndarray) -> np.ndarray:
    """The same objects with ids 1..n in increasing order of their old ids."""
    ids = np.unique(label)
    numbers = np.cumsum(ids != 0) * (ids != 0)
    return numbers.astype(np.int32)[np.searchsorted(ids, label)]


def separate_touching(objects: np.ndarray) -> np.ndarray:
    """Give touching objects a one-pixel border (Ronneberger et al. 2015, section 3).

    Of two neighbours, corners included, the one with the larger id gives up the pixels that touch. An object that
    would vanish keeps its pixels.
    """
    far = np.iinfo(np.int32).max
    neighbours = ndimage.minimum_filter(np.where(objects == 0, far, objects), size=3, mode="nearest")
    separated = np.where(neighbours < objects, 0, objects)
    vanished = np.setdiff1d(np.unique(objects), np.unique(separated))
    return np.where(np.isin(objects, vanished), objects, separated).astype(np.int32)


def mark_border(classes: np.ndarray, objects: np.ndarray, width: int) -> np.ndarray:
    """The classes of objects and background, with a further one for the objects' inner edges.

    Parameters
    ----------
    classes : uint8 array, shape (*spatial)
        0 and 1.
    objects : int32 array, shape (*spatial)
        Separated objects.
    width : int
        Pixels within this many steps of another object or the background are edge. An object that is nothing but
        edge stays interior, so that every object keeps a seed.
    """
    reach = ndimage.iterate_structure(ndimage.generate_binary_structure(objects.ndim, 1), width)
    lowest, highest = (
        f(objects, footprint=reach, mode="nearest") for f in (ndimage.minimum_filter, ndimage.maximum_filter)
    )
    edge = (objects > 0) & (lowest != highest)
    with_interior = np.unique(objects[~edge])
    edge &= np.isin(objects, with_interior)
    return np.where(edge, BORDER, classes).astype(np.uint8)


def _class_indices(label: np.ndarray, settings: Labels) -> np.ndarray:
    values = list(settings.values.values())
    unknown = np.setdiff1d(np.unique(label), values)
    if unknown.size:
        raise ValueError(f"label values {unknown[:5].tolist()}; expected the classes {settings.values}")
    classes = np.zeros(label.shape, np.uint8)
    for index, value in enumerate(values):
        classes[label == value] = index
    return classes


def drop_at_edge(objects: np.ndarray) -> np.ndarray:
    """Without the objects that touch the image's edge; the others keep their ids."""
    return np.where(np.isin(objects, ids_at_edge(objects)), 0, objects)


def ids_at_edge(objects: np.ndarray, start: Sequence[int] | None = None, shape: Sequence[int] | None = None):
    """Ids in the first and last layers of an image of this shape, of which a piece is given that starts there."""
    start, shape = start or [0] * objects.ndim, shape or objects.shape
    layers = [
        np.unique(np.take(objects, at - offset, axis))
        for axis, (offset, size) in enumerate(zip(start, shape, strict=True))
        for at in (0, size - 1)
        if 0 <= at - offset < objects.shape[axis]
    ]
    ids = np.unique(np.concatenate(layers)) if layers else np.zeros(0, objects.dtype)
    return ids[ids > 0]
