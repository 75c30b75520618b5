"""Blockwise segmentation of images of any size, in bounded memory and with the same result as on the whole image.

The blocks are labelled one by one. Labels that touch across a face between two blocks are joined into components.
The components are then split into objects, one group at a time: a group holds the components that start in the same
block. Each component is split in one piece and independently of the others (see
`snakeseg.objects.segment.split_components`), so the result does not depend on the position of the blocks.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array, csgraph

from snakeseg.arrays import Region, grid_regions
from snakeseg.objects.grow_blocks import grow_blocks
from snakeseg.objects.segment import InstanceParameters, assign_final_ids, sizes_and_first_pixels, split_components
from snakeseg.transforms.labels import find_ids_at_edge

Rows = tuple[np.ndarray, np.ndarray]


class _Boxes(NamedTuple):
    """Bounding boxes: first and end indices, int arrays of shape (boxes, axes)."""

    starts: np.ndarray
    stops: np.ndarray


def segment_blocks(foreground, interior, parameters: InstanceParameters, block: Sequence[int], objects) -> np.ndarray:
    """Segment a probability map that need not fit in memory; the result equals `snakeseg.objects.segment.segment`.

    Parameters
    ----------
    foreground, interior : array-like of float, shape (*spatial)
        Probabilities, as in `segment`. They are only sliced, so they may lie on disk (Zarr) or be computed on reading.
        The method "components" does not use `interior`.
    parameters : Parameters
    block : sequence of int
        Side lengths of a block, in pixels, one per axis. Multiples of the chunk sides of arrays on disk are fastest.
    objects : writable array-like of unsigned int, shape (*spatial)
        Receives provisional ids. It is only sliced; its previous content is overwritten.

    Returns
    -------
    uint32 or uint64 array, shape (provisional ids + 1,)
        Final id of each provisional id: ``final_ids[objects[region]]`` equals the result of `segment` in any region.

    Raises
    ------
    ValueError
        If the shapes differ, or if the dtype of `objects` is too small for the provisional ids. Each component of each
        block takes one provisional id; methods other than "components" take one more for each object. Growing takes
        twice as many.

    Notes
    -----
    Memory does not grow with the image, except for about 80 bytes per provisional id. The method "components" without
    `fill_holes` and `drop_at_edge` holds one block. All others hold a block together with the components that start in
    it (up to two blocks along each axis), or the bounding box of a single component that is longer than a block. They
    use at most about 250 bytes per pixel held (method "distance"). Growing holds a block and a margin of twice `grow`.
    """
    _require_matching_shapes(foreground, interior, block, objects)
    is_label_only = parameters.method == "components" and not (parameters.fill_holes or parameters.drop_at_edge)
    measure = _sizes_and_first_pixels if is_label_only else _bounding_boxes
    measured, touching = _label_blocks(foreground, parameters.threshold, block, objects, measure)
    components = _join_labels(len(measured[0]), touching)
    if not is_label_only:
        boxes = _Boxes(*_reduce_by_component((np.minimum, np.maximum), measured, components))
        measured = tuple(_split_all_components(components, boxes, interior, parameters, block, objects))
        components = np.arange(len(measured[0]) + 1)
    if parameters.grow:
        measured = grow_blocks(objects, measured, parameters.grow, block)
        components = np.append(components, components[1:])
    sizes, firsts = _reduce_by_component((np.add, np.minimum), measured, components)
    return assign_final_ids(sizes, firsts, parameters.smallest)[components]


def label_components(mask, block: Sequence[int], labels) -> tuple[np.ndarray, np.ndarray]:
    """Label the face-connected components of a mask that need not fit in memory, and count their pixels.

    Parameters
    ----------
    mask : array-like of bool, shape (*spatial)
    block : sequence of int
        Side lengths of a block, in pixels, one per axis.
    labels : writable array-like of unsigned int, shape (*spatial)
        Receives provisional ids.

    Returns
    -------
    components : int array, shape (provisional ids + 1,)
        ``components[labels[region]]`` holds the components of any region: 1..n in C order of their first pixels, and
        0 outside the mask.
    sizes : int array, shape (n,)
        Number of pixels of each component.

    Raises
    ------
    ValueError
        If the dtype of `labels` is too small for the provisional ids.
    """
    measured, touching = _label_blocks(mask, 0.5, block, labels, _sizes_and_first_pixels)
    components = _join_labels(len(measured[0]), touching)
    sizes, firsts = _reduce_by_component((np.add, np.minimum), measured, components)
    order = np.argsort(firsts)
    return np.append(0, 1 + np.argsort(order))[components], sizes[order]


def block_face_excess(objects, block: Sequence[int]) -> float:
    """Measure how much more often objects end at the faces between blocks than elsewhere.

    The measure is a difference of two fractions of pairs of neighbouring foreground pixels whose ids differ: the
    fraction across the faces between blocks, minus the fraction across the planes halfway between these faces, where
    only objects that truly touch are divided.

    Parameters
    ----------
    objects : array-like of int, shape (*spatial)
        Object ids, 0 is background. It is only sliced.
    block : sequence of int
        Side lengths of a block, in pixels, one per axis.

    Returns
    -------
    float
        0 if no objects touch and no block divides an object; near 0, of either sign, if some objects touch; 1 if no
        objects touch and every block was labelled independently.
    """
    return _divided_fraction(objects, block, is_halfway=False) - _divided_fraction(objects, block, is_halfway=True)


def _require_matching_shapes(foreground, interior, block: Sequence[int], objects) -> None:
    shapes = [tuple(array.shape) for array in (foreground, interior, objects)]
    if len(set(shapes)) > 1:
        raise ValueError(f"foreground, interior and objects of shapes {shapes}; expected three equal shapes")
    if len(block) != len(shapes[0]) or min(block) < 1:
        raise ValueError(f"block of shape {tuple(block)}; expected {len(shapes[0])} positive side lengths")


def _read(array, region: tuple[slice, ...]) -> np.ndarray:
    """Read a region of a probability map as float32, the precision of `segment`."""
    return np.asarray(array[region]).astype(np.float32, copy=False)


def _label_blocks(
    foreground, threshold: float, block: Sequence[int], objects, measure: Callable[..., Rows]
) -> tuple[Rows, np.ndarray]:
    """Label each block independently and write the labels to `objects`, numbered consecutively over all blocks.

    Returns the measurements of each label, and the pairs of labels that touch across blocks, shape (2, pairs).
    """
    shape = tuple(objects.shape)
    measured, touching, last = [], [np.zeros((2, 0), np.int64)], 0
    for region in grid_regions(shape, block):
        start = [part.start for part in region]
        labels, count = ndimage.label(_read(foreground, region) > threshold)
        objects[region] = _provisional_ids(labels, last, count, objects.dtype)
        measured.append(measure(labels, count, start, shape))
        last += count
        # Faces are read back instead of kept: the memory of a whole layer of blocks would grow with the image.
        pairs = [_facing_pairs(objects, region, axis, index) for axis, index in enumerate(start) if index > 0]
        touching += [np.unique(ids.astype(np.int64), axis=1) for ids in pairs]
    first, second = (np.concatenate(rows) for rows in zip(*measured, strict=True))
    return (first, second), np.concatenate(touching, axis=1)


def _provisional_ids(labels: np.ndarray, last: int, count: int, dtype: np.dtype) -> np.ndarray:
    """Convert labels 1..count to the ids that follow `last`."""
    if last + count > np.iinfo(dtype).max:
        raise ValueError(f"{last + count} provisional ids do not fit {dtype}; expected objects of a wider dtype")
    ids = labels.astype(dtype)
    return np.add(ids, ids.dtype.type(last), out=ids, where=ids > 0)


def _sizes_and_first_pixels(labels: np.ndarray, count: int, start: Sequence[int], shape: Sequence[int]) -> Rows:
    """Sizes of the labels 1..count of a region, in pixels, and flat C indices of their first pixels in the image."""
    sizes, firsts = sizes_and_first_pixels(labels, count)
    indices = np.unravel_index(firsts, labels.shape)
    return sizes, np.ravel_multi_index([index + offset for index, offset in zip(indices, start, strict=True)], shape)


def _bounding_boxes(labels: np.ndarray, count: int, start: Sequence[int], shape: Sequence[int]) -> Rows:
    """Bounding boxes, in the image, of the labels 1..count of a region: starts and stops, shape (count, axes)."""
    indices = np.nonzero(labels)
    rows = labels[indices] - 1
    starts = np.empty((len(shape), count), np.int64)
    starts[:] = np.reshape(shape, (-1, 1))
    stops = np.zeros_like(starts)
    for axis, offset in enumerate(start):
        np.minimum.at(starts[axis], rows, indices[axis] + offset)
        np.maximum.at(stops[axis], rows, indices[axis] + offset + 1)
    return starts.T, stops.T


def _facing_pairs(objects, block: Region, axis: int, index: int) -> np.ndarray:
    """Ids of the pairs of foreground pixels on either side of the face before `index`, shape (2, pairs)."""
    region = list(block)
    region[axis] = slice(index - 1, index + 1)
    sides = np.moveaxis(np.asarray(objects[tuple(region)]), axis, 0).reshape(2, -1)
    return sides[:, sides.all(axis=0)]


def _divided_fraction(objects, block: Sequence[int], is_halfway: bool) -> float:
    """Fraction of the pairs of foreground pixels across faces, or halfway between them, whose ids differ."""
    divided = pairs = 0
    for region in grid_regions(objects.shape, block):
        for axis, side in enumerate(block):
            index = region[axis].start + (side // 2 if is_halfway else 0)
            if 0 < index < region[axis].stop and not (is_halfway and side == 1):  # one pixel has no plane inside
                before, after = _facing_pairs(objects, region, axis, index)
                divided, pairs = divided + int((before != after).sum()), pairs + len(before)
    return divided / max(pairs, 1)


def _join_labels(count: int, touching: np.ndarray) -> np.ndarray:
    """Component number 1..n of each of the labels 1..count, preceded by 0 for the background."""
    graph = coo_array((np.ones(touching.shape[1], bool), tuple(touching - 1)), shape=(count, count))
    return np.append(0, csgraph.connected_components(graph, directed=False)[1] + 1)


def _reduce_by_component(ufuncs: tuple[np.ufunc, np.ufunc], measured: Rows, components: np.ndarray) -> Rows:
    """Reduce two arrays of measurements, one row per label, to one row per component, each by its own function."""
    order = np.argsort(components[1:], kind="stable")
    begin = np.flatnonzero(np.diff(components[1:][order], prepend=0))
    first, second = (ufunc.reduceat(values[order], begin) for ufunc, values in zip(ufuncs, measured, strict=True))
    return first, second


def _split_all_components(
    components: np.ndarray, boxes: _Boxes, interior, parameters: InstanceParameters, block: Sequence[int], objects
) -> np.ndarray:
    """Split every component into objects, and replace its labels in `objects` by new ids of these objects.

    `components` holds the component number of each label, `boxes` the bounding boxes of the components.
    Returns sizes and first pixels of all ids from 1 on, shape (2, ids); those of labels are 0.
    """
    shape = tuple(objects.shape)
    order, bounds = _group_components(boxes, block, shape)
    rank = np.append(0, 1 + np.argsort(order))[components]
    last = len(components) - 1
    rows = [np.zeros((2, last), np.int64)]
    for first, end in pairwise(bounds):
        group = order[first:end]
        region = _expanded_box(boxes.starts[group].min(axis=0), boxes.stops[group].max(axis=0), shape)
        ids = np.asarray(objects[region])
        ranks = rank[np.where(ids < len(rank), ids, 0)]  # higher ids belong to objects of earlier groups
        in_group = (ranks > first) & (ranks <= end)
        pieces = split_components(
            np.where(in_group, ranks - first, 0), _read(interior, region), parameters, (ids > 0) & ~in_group
        )
        count, start = int(pieces.max()), [part.start for part in region]
        # A component without an object keeps its label, which has no final id. `split_components` treats it as another
        # component where it fills holes, as on the whole image.
        objects[region] = np.where(pieces > 0, _provisional_ids(pieces, last, count, objects.dtype), ids)
        sizes, firsts = _sizes_and_first_pixels(pieces, count, start, shape)
        if parameters.drop_at_edge:
            sizes[find_ids_at_edge(pieces, start, shape) - 1] = 0
        rows.append(np.stack((sizes, firsts)))
        last += count
    return np.concatenate(rows, axis=1)


def _group_components(boxes: _Boxes, block: Sequence[int], shape: Sequence[int]) -> Rows:
    """Group the components that start in the same block; a component longer than a block is a group of its own.

    Returns the components in the order of their groups, and the bounds of the groups in this order.
    """
    blocks = [-(-size // side) for size, side in zip(shape, block, strict=True)]
    group = np.ravel_multi_index(tuple((boxes.starts // block).T), blocks)
    is_long = (boxes.stops - boxes.starts > block).any(axis=1)
    group[is_long] = np.prod(blocks) + np.arange(is_long.sum())
    order = np.argsort(group, kind="stable")
    return order, np.append(0, 1 + np.flatnonzero(np.diff(group[order], append=-1)))


def _expanded_box(start: np.ndarray, stop: np.ndarray, shape: Sequence[int]) -> tuple[slice, ...]:
    """Expand a box by one pixel on every side, within the image."""
    low, high = np.maximum(start - 1, 0).tolist(), np.minimum(stop + 1, shape).tolist()
    return tuple(map(slice, low, high))
