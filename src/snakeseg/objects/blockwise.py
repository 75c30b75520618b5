"""Objects of an image of any size, block by block: the same as those of the whole, in bounded memory.

Blocks are labelled one by one, and labels that touch across a face between blocks are joined into components. These
are then cut into objects, all that start in the same block together. Every component is cut in one piece and by
itself (see `snakeseg.objects.segment.cut`), so that it makes no difference where blocks meet.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array, csgraph

from snakeseg.arrays import Region, regions_of
from snakeseg.objects.segment import Parameters, cut, numbering, sizes_and_firsts
from snakeseg.transforms.labels import ids_at_edge

Rows = tuple[np.ndarray, np.ndarray]


class _Boxes(NamedTuple):
    """Bounding boxes, shape (boxes, axes)."""

    starts: np.ndarray
    stops: np.ndarray


def segment_blocks(foreground, interior, parameters: Parameters, block: Sequence[int], objects) -> np.ndarray:
    """Objects of a probability map that need not fit in memory, equal to those of `snakeseg.objects.segment.segment`.

    Parameters
    ----------
    foreground, interior : array-like of float, shape (*spatial)
        As in `segment`. They are only sliced, so that they may lie on disk (Zarr) or be made as they are read; the
        interior for methods other than "components" only.
    parameters : Parameters
    block : sequence of int
        Shape of the blocks; best a multiple of the chunks of what lies on disk.
    objects : writable array-like of unsigned int, shape (*spatial)
        Receives provisional ids. It is only sliced; what it holds before does not matter.

    Returns
    -------
    uint32 or uint64 array, shape (provisional ids + 1,)
        Final ids: ``numbers[objects[region]]`` are the objects of any region, equal to those of `segment`.

    Raises
    ------
    ValueError
        If shapes do not fit each other, or if the provisional ids do not fit the type of `objects`. There is one for
        each component of each block, and with methods other than "components" one for each object besides.

    Notes
    -----
    Memory does not grow with the image, but for some 80 bytes for each provisional id. What is held at a time is a
    block with the method "components" as it is; else a block with the components that start in it, so up to two blocks
    along each axis, or the whole bounding box of a component that is longer than a block. A pixel that is held takes
    some 250 bytes at most (method "distance").
    """
    _check(foreground, interior, block, objects)
    entire = parameters.method == "components" and not (parameters.fill_holes or parameters.drop_at_edge)
    measured, touching = _label_blocks(foreground, parameters.threshold, block, objects, _pixels if entire else _boxes)
    components = _join(len(measured[0]), touching)
    if entire:
        sizes, firsts = (_over(*each, components) for each in zip((np.add, np.minimum), measured, strict=True))
        return numbering(sizes, firsts, parameters.smallest)[components]
    boxes = _Boxes(*(_over(*each, components) for each in zip((np.minimum, np.maximum), measured, strict=True)))
    sizes, firsts = _cut_components(components, boxes, interior, parameters, block, objects)
    return numbering(sizes, firsts, parameters.smallest)


def component_sizes(mask, block: Sequence[int], labels) -> tuple[np.ndarray, np.ndarray]:
    """Face-connected components of a mask that need not fit in memory.

    Parameters
    ----------
    mask : array-like of bool, shape (*spatial)
    block : sequence of int
        Shape of the blocks.
    labels : writable array-like of unsigned int, shape (*spatial)
        Receives provisional numbers.

    Returns
    -------
    components : int array, shape (provisional numbers + 1,)
        ``components[labels[region]]`` are those of any region: 1..n in C order of their first pixels, else 0.
    sizes : int array, shape (n,)
        Pixels of each.
    """
    (sizes, firsts), touching = _label_blocks(mask, 0.5, block, labels, _pixels)
    components = _join(len(sizes), touching)
    sizes, firsts = _over(np.add, sizes, components), _over(np.minimum, firsts, components)
    order = np.argsort(firsts)
    return np.append(0, 1 + np.argsort(order))[components], sizes[order]


def straight_cuts(objects, block: Sequence[int]) -> float:
    """How much more often than elsewhere objects end exactly where blocks meet.

    Of the pairs of foreground pixels that face each other across a line between blocks, the share whose ids differ;
    minus the same share for the lines halfway between, where only objects that truly touch are divided.

    Parameters
    ----------
    objects : array-like of int, shape (*spatial)
        0 is background. It is only sliced.
    block : sequence of int
        Shape of the blocks.

    Returns
    -------
    float
        0 if no objects touch and none is cut by a block; near 0, of either sign, if some touch; 1 if none touch and
        every block was labelled by itself.
    """
    return _share_divided(objects, block, halfway=False) - _share_divided(objects, block, halfway=True)


def _check(foreground, interior, block: Sequence[int], objects) -> None:
    shapes = [tuple(array.shape) for array in (foreground, interior, objects)]
    if len(set(shapes)) > 1:
        raise ValueError(f"foreground, interior and objects of shapes {shapes}; expected the same three times")
    if len(block) != len(shapes[0]) or min(block) < 1:
        raise ValueError(f"blocks of shape {tuple(block)}; expected {len(shapes[0])} positive sizes")


def _read(array, region: tuple[slice, ...]) -> np.ndarray:
    """A region of a probability map, in the precision that `segment` computes with."""
    return np.asarray(array[region]).astype(np.float32, copy=False)


def _label_blocks(
    foreground, threshold: float, block: Sequence[int], objects, measure: Callable[..., Rows]
) -> tuple[Rows, np.ndarray]:
    """Write labels of every block by itself, numbered on from block to block.

    Returns what is measured of each label, and the pairs of labels that touch, shape (2, pairs).
    """
    shape = tuple(objects.shape)
    measured, touching, last = [], [np.zeros((2, 0), np.int64)], 0
    for region in regions_of(shape, block):
        start = [part.start for part in region]
        labels, count = ndimage.label(_read(foreground, region) > threshold)
        objects[region] = _provisional(labels, last, count, objects.dtype)
        measured.append(measure(labels, count, start, shape))
        last += count
        # Faces are read back rather than kept: those of a whole layer of blocks would grow with the image.
        pairs = [_pairs_across(objects, region, axis, at) for axis, at in enumerate(start) if at > 0]
        touching += [np.unique(each.astype(np.int64), axis=1) for each in pairs]
    first, second = (np.concatenate(rows) for rows in zip(*measured, strict=True))
    return (first, second), np.concatenate(touching, axis=1)


def _provisional(labels: np.ndarray, last: int, count: int, dtype: np.dtype) -> np.ndarray:
    """Labels 1..count as the ids that follow `last`."""
    if last + count > np.iinfo(dtype).max:
        raise ValueError(f"{last + count} provisional ids do not fit {dtype}; expected objects of a wider type")
    ids = labels.astype(dtype)
    return np.add(ids, ids.dtype.type(last), out=ids, where=ids > 0)


def _pixels(labels: np.ndarray, count: int, start: Sequence[int], shape: Sequence[int]) -> Rows:
    """Sizes of the labels 1..count of a piece, and flat C indices of their first pixels in the image."""
    sizes, firsts = sizes_and_firsts(labels, count)
    where = np.unravel_index(firsts, labels.shape)
    return sizes, np.ravel_multi_index([at + offset for at, offset in zip(where, start, strict=True)], shape)


def _boxes(labels: np.ndarray, count: int, start: Sequence[int], shape: Sequence[int]) -> Rows:
    """Bounding boxes in the image of the labels 1..count of a piece: starts and stops, shape (count, axes)."""
    where = np.nonzero(labels)
    ids = labels[where] - 1
    starts = np.empty((len(shape), count), np.int64)
    starts[:] = np.reshape(shape, (-1, 1))
    stops = np.zeros_like(starts)
    for axis, offset in enumerate(start):
        np.minimum.at(starts[axis], ids, where[axis] + offset)
        np.maximum.at(stops[axis], ids, where[axis] + offset + 1)
    return starts.T, stops.T


def _pairs_across(objects, block: Region, axis: int, at: int) -> np.ndarray:
    """Ids of foreground pixels that face each other across the line before index `at`, shape (2, pairs)."""
    region = list(block)
    region[axis] = slice(at - 1, at + 1)
    sides = np.moveaxis(np.asarray(objects[tuple(region)]), axis, 0).reshape(2, -1)
    return sides[:, sides.all(axis=0)]


def _share_divided(objects, block: Sequence[int], halfway: bool) -> float:
    """Share of the pairs of foreground pixels across lines, between blocks or halfway, whose ids differ."""
    divided = pairs = 0
    for region in regions_of(objects.shape, block):
        for axis, size in enumerate(block):
            at = region[axis].start + (size // 2 if halfway else 0)
            if 0 < at < region[axis].stop and not (halfway and size == 1):  # which has no line inside
                one, other = _pairs_across(objects, region, axis, at)
                divided, pairs = divided + int((one != other).sum()), pairs + len(one)
    return divided / max(pairs, 1)


def _join(count: int, touching: np.ndarray) -> np.ndarray:
    """Component 1..n of each of the ids 0..count, 0 of 0."""
    graph = coo_array((np.ones(touching.shape[1], bool), tuple(touching - 1)), shape=(count, count))
    return np.append(0, csgraph.connected_components(graph, directed=False)[1] + 1)


def _over(combine: np.ufunc, values: np.ndarray, components: np.ndarray) -> np.ndarray:
    """Sum, least or largest, over the ids 1.. of each component, of values of which there is a row for each id."""
    order = np.argsort(components[1:], kind="stable")
    begin = np.flatnonzero(np.diff(components[1:][order], prepend=0))
    return combine.reduceat(values[order], begin, axis=0)


def _cut_components(
    components: np.ndarray, boxes: _Boxes, interior, parameters: Parameters, block: Sequence[int], objects
) -> np.ndarray:
    """Replace labels in `objects` by ids, which follow them, of the objects that their components are cut into.

    `components` has the number of the component of each label, `boxes` the bounding boxes of the components.
    Returns sizes and first pixels, shape (2, ids), of all ids 1..; labels have none.
    """
    shape = tuple(objects.shape)
    order, bounds = _groups(boxes, block, shape)
    rank = np.append(0, 1 + np.argsort(order))[components]
    last = len(components) - 1
    made = [np.zeros((2, last), np.int64)]
    for first, end in pairwise(bounds):
        group = order[first:end]
        region = _grown(boxes.starts[group].min(axis=0), boxes.stops[group].max(axis=0), shape)
        found = np.asarray(objects[region])
        ranks = rank[np.where(found < len(rank), found, 0)]  # higher ids are objects made before
        own = (ranks > first) & (ranks <= end)
        pieces = cut(np.where(own, ranks - first, 0), _read(interior, region), parameters, (found > 0) & ~own)
        count, start = int(pieces.max()), [each.start for each in region]
        # A component without an object keeps its label, which has no final id: holes of others end at it, as in `cut`.
        objects[region] = np.where(pieces > 0, _provisional(pieces, last, count, objects.dtype), found)
        sizes, firsts = _pixels(pieces, count, start, shape)
        if parameters.drop_at_edge:
            sizes[ids_at_edge(pieces, start, shape) - 1] = 0
        made.append(np.stack((sizes, firsts)))
        last += count
    return np.concatenate(made, axis=1)


def _groups(boxes: _Boxes, block: Sequence[int], shape: Sequence[int]) -> Rows:
    """Components to be cut together: those that start in the same block, but each that is longer than it alone.

    Returns an order of the components, and the bounds of the groups in it.
    """
    blocks = [-(-size // step) for size, step in zip(shape, block, strict=True)]
    group = np.ravel_multi_index(tuple((boxes.starts // block).T), blocks)
    long = (boxes.stops - boxes.starts > block).any(axis=1)
    group[long] = np.prod(blocks) + np.arange(long.sum())
    order = np.argsort(group, kind="stable")
    return order, np.append(0, 1 + np.flatnonzero(np.diff(group[order], append=-1)))


def _grown(start: np.ndarray, stop: np.ndarray, shape: Sequence[int]) -> tuple[slice, ...]:
    """A box with the layer of one pixel around it, as far as the image goes."""
    low, high = np.maximum(start - 1, 0).tolist(), np.minimum(stop + 1, shape).tolist()
    return tuple(map(slice, low, high))
