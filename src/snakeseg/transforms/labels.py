"""Interpret label images: classes, objects, ignored pixels, and borders between touching objects."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected_components

from snakeseg.errors import BadInput
from snakeseg.settings import Labels

# Values in arrays of classes: pixels without a class, and the class of objects' inner borders.
IGNORED = 255
BORDER = 2


def classes_and_objects(label: np.ndarray, settings: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Compute the class and the object of each pixel of a label image.

    Parameters
    ----------
    label : integer array, shape (*spatial)
        semantic: values of `settings.values`; instance: 0 and one id per object; binary: 0 and other values.
    settings : Labels

    Returns
    -------
    classes : uint8 array, shape (*spatial)
        Index of the class; `IGNORED` for pixels with the value `settings.ignore`.
    objects : int32 array, shape (*spatial)
        0 for background, and object ids 1..n. Objects are the ids of the label (instance), numbered in increasing
        order, or the face-connected components of the foreground (binary) or of each class (semantic).

    Raises
    ------
    ValueError
        If a value of a semantic label is not among the classes, or an id is negative. The message has three parts:
        found, expected, remedy.
    """
    ignored = np.zeros(label.shape, bool) if settings.ignore is None else label == settings.ignore
    if settings.kind != "semantic":
        _require_positive_ids(label[~ignored])
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


def interpret_labels(label: np.ndarray, settings: Labels, where: object) -> tuple[np.ndarray, np.ndarray]:
    """Compute classes and objects as `classes_and_objects`; raise BadInput with the file `where` for wrong values."""
    try:
        return classes_and_objects(label, settings)
    except ValueError as error:
        found, _, rest = str(error).partition("; expected ")
        expected, _, remedy = rest.rpartition("; ")
        raise BadInput(where, found, expected, remedy) from error


def number_objects(label: np.ndarray) -> np.ndarray:
    """Renumber objects to 1..n in increasing order of their ids; returns int32, background is 0."""
    ids = np.unique(label)
    numbers = np.cumsum(ids != 0) * (ids != 0)
    return numbers.astype(np.int32)[np.searchsorted(ids, label)]


def separated_labels(classes: np.ndarray, objects: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Separate the touching objects of instance labels, as the training target requires.

    Parameters
    ----------
    classes : uint8 array, shape (*spatial)
    objects : int32 array, shape (*spatial)
        Both from `classes_and_objects`, or an elastic deformation of them.
    kind : str
        `labels.kind`. Objects of other kinds are connected components, which do not touch.

    Returns
    -------
    classes : uint8 array, shape (*spatial)
        Pixels between touching objects are background.
    objects : int32 array, shape (*spatial)
    """
    if kind != "instance":
        return classes, objects
    separated = separate_touching(objects)
    return np.where(classes == IGNORED, IGNORED, separated > 0).astype(np.uint8), separated


def separate_touching(objects: np.ndarray) -> np.ndarray:
    """Insert a border of two pixels between touching objects (Ronneberger et al. 2015, section 3).

    Each of two objects that touch by faces, edges or corners loses the pixels that touch. The result does not depend on
    the order of the ids, and mirrors with the image, which a border of one pixel cannot: it would have to lie in one of
    the objects. `transforms.grow.grow_objects` returns the lost pixels after prediction.

    Parameters
    ----------
    objects : integer array, shape (*spatial)
        0 is background. An object that would lose all its pixels stays unchanged.

    Returns
    -------
    int32 array, shape (*spatial)
    """
    largest_id = np.iinfo(np.int32).max
    lowest = ndimage.minimum_filter(np.where(objects == 0, largest_id, objects), size=3, mode="nearest")
    highest = ndimage.maximum_filter(objects, size=3, mode="nearest")
    separated = np.where((lowest < objects) | (highest > objects), 0, objects)
    vanished = np.setdiff1d(np.unique(objects), np.unique(separated))
    return np.where(np.isin(objects, vanished), objects, separated).astype(np.int32)


def mark_border(classes: np.ndarray, objects: np.ndarray, width: int) -> np.ndarray:
    """Replace the class of objects' inner borders by `BORDER`.

    Parameters
    ----------
    classes : uint8 array, shape (*spatial)
        0 for background and 1 for objects.
    objects : int32 array, shape (*spatial)
        Separated objects.
    width : int
        Width of the border in pixels (city block distance to another object or the background). Objects without
        interior pixels get no border, so that each object keeps a seed.

    Returns
    -------
    uint8 array, shape (*spatial)
    """
    reach = ndimage.iterate_structure(ndimage.generate_binary_structure(objects.ndim, 1), width)
    lowest, highest = (
        rank_filter(objects, footprint=reach, mode="nearest")
        for rank_filter in (ndimage.minimum_filter, ndimage.maximum_filter)
    )
    border = (objects > 0) & (lowest != highest)
    with_interior = np.unique(objects[~border])
    border &= np.isin(objects, with_interior)
    return np.where(border, BORDER, classes).astype(np.uint8)


def _class_indices(label: np.ndarray, settings: Labels) -> np.ndarray:
    values = list(settings.values.values())
    unknown = np.setdiff1d(np.unique(label), values)
    if unknown.size:
        remedy = "correct the label or the key labels.values"
        raise ValueError(f"label values {unknown[:5].tolist()}; expected the classes {settings.values}; {remedy}")
    classes = np.zeros(label.shape, np.uint8)
    for index, value in enumerate(values):
        classes[label == value] = index
    return classes


def _require_positive_ids(ids: np.ndarray) -> None:
    """Raise ValueError for negative ids, by which other programs mark pixels without annotation."""
    if ids.dtype.kind != "u" and ids.min(initial=0) < 0:
        negative = np.unique(ids[ids < 0])
        remedy = f"set labels.ignore: {negative[0]}, if these pixels are not annotated"
        if len(negative) > 1:
            remedy = "give pixels that are not annotated one value, and set labels.ignore to it"
        listed = ", ".join(map(str, negative[:5]))
        raise ValueError(f"negative ids {listed}; expected 0 for background, and positive ids; {remedy}")


def drop_at_edge(objects: np.ndarray) -> np.ndarray:
    """Remove the objects that touch the edge of the image; the others keep their ids."""
    return np.where(np.isin(objects, find_ids_at_edge(objects)), 0, objects)


def find_ids_at_edge(objects: np.ndarray, start: Sequence[int] | None = None, shape: Sequence[int] | None = None):
    """Return the ids of the objects that touch the edge of an image, from the whole image or a block of it.

    Parameters
    ----------
    objects : integer array, shape (*spatial)
        Image or block.
    start : sequence of int, optional
        First index of the block in the image along each axis.
    shape : sequence of int, optional
        Shape of the image; by default that of `objects`.

    Returns
    -------
    array, shape (ids,)
        Sorted, without 0.
    """
    start, shape = start or [0] * objects.ndim, shape or objects.shape
    layers = [
        np.unique(np.take(objects, layer - offset, axis))
        for axis, (offset, size) in enumerate(zip(start, shape, strict=True))
        for layer in (0, size - 1)
        if 0 <= layer - offset < objects.shape[axis]
    ]
    ids = np.unique(np.concatenate(layers)) if layers else np.zeros(0, objects.dtype)
    return ids[ids > 0]
