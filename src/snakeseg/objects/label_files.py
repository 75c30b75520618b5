"""From what a network answers to label files, in memory that does not depend on the image."""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from snakeseg.arrays import Lazy, Region, as_lazy, regions_of
from snakeseg.io.files import atomic_output
from snakeseg.io.images import Raster, write_labels
from snakeseg.io.store import scratch
from snakeseg.objects.blockwise import segment_blocks
from snakeseg.objects.components import ComponentFilter, filter_components
from snakeseg.objects.segment import Parameters
from snakeseg.settings import Labels
from snakeseg.transforms.resample import nearest, resampled

# Sides of the blocks that objects of large images are cut in, by number of axes; smaller images are cut in memory.
BLOCK = {2: 1024, 3: 128}
IN_MEMORY = 2**22


Making = Parameters | Mapping[str, ComponentFilter]


def write_label_file(
    path: Path, answers: Mapping, labels: Labels, making: Making, source: Raster, note: str = ""
) -> None:
    """Write a label file: the value of the likeliest class of each pixel, or ids of the objects.

    What was predicted on another grid is brought back to that of the source: probabilities, for classes, by
    interpolation; objects, which are cut on the grid that their parameters were chosen for, by the nearest pixel.

    Parameters
    ----------
    path : path
        In the format of `source`.
    answers : mapping
        "classes", shape (1, *spatial), or "probabilities", shape (classes, *spatial); array-likes.
    labels : Labels
    making : Parameters or mapping
        How objects are cut, or which components of each class are kept.
    source : Raster
    note : str
        To be written into the file's header.
    """
    shape = source.array.shape[1:]
    with atomic_output(path) as beside, open_labels(answers, labels, making, shape, path) as (written, largest):
        write_labels(beside, written, source, largest, note)


@contextmanager
def open_labels(
    answers: Mapping, labels: Labels, making: Making, shape: tuple[int, ...], path: Path
) -> Iterator[tuple[np.ndarray | Lazy, int]]:
    """Yield the labels that `write_label_file` writes, readable as long as the block lasts, and the largest of them.

    Parameters
    ----------
    answers, labels, making
        As for `write_label_file`.
    shape : tuple of int
        Sides of the image in pixels, without channels.
    path : path
        Arrays that do not fit in memory are kept in a temporary folder beside this path.
    """
    if labels.kind == "semantic":
        values = np.array(list(labels.values.values()))
        kind = np.result_type(*map(np.min_scalar_type, values.tolist()))
        rules = {labels.classes.index(name): rule for name, rule in making.items() if rule != ComponentFilter()}
        with _pruned(likeliest(answers, shape), rules, path) as classes:
            yield classes.map(lambda classes: values[classes].astype(kind), kind), int(values.max())
    else:
        with _open_objects(*foreground_and_interior(answers["probabilities"]), making, path) as (objects, count):
            yield objects if objects.shape == shape else nearest(objects, shape), count


@contextmanager
def _pruned(classes: Lazy, rules: Mapping[int, ComponentFilter], path: Path) -> Iterator[Lazy]:
    """Classes without the components that their rules drop, read as long as the block lasts."""
    if not rules:
        yield classes
        return
    shape = classes.shape
    few = math.prod(shape) <= IN_MEMORY
    block = shape if few else tuple(min(BLOCK[len(shape)], size) for size in shape)
    with ExitStack() as stack:

        def room(dtype: type):
            return np.zeros(shape, dtype) if few else stack.enter_context(scratch(path, shape, dtype, block))

        read = room(np.uint8)  # once: they may be computed as they are read
        for region in regions_of(shape, block):
            read[region] = classes[region]
        pruned = as_lazy(read)
        for number, rule in rules.items():
            pruned = replace(pruned, read=filter_components(pruned, number, rule, block, room(np.uint32)))
        yield pruned


@contextmanager
def _open_objects(
    foreground: Lazy, interior: Lazy, parameters: Parameters, path: Path
) -> Iterator[tuple[np.ndarray | Lazy, int]]:
    """Yield object ids on the grid of the probabilities, and the number of objects."""
    shape, pixels = foreground.shape, math.prod(foreground.shape)
    if pixels <= IN_MEMORY:
        objects = np.zeros(shape, np.uint32)
        numbers = segment_blocks(foreground[:], interior[:], parameters, shape, objects)
        yield numbers[objects], int(numbers.max(initial=0))
        return
    # The chunks of what was predicted, as many as make a block.
    block = [max(1, BLOCK[len(shape)] // c) * c for c in foreground.chunks or (1,) * len(shape)]
    with scratch(path, shape, np.uint32 if pixels < 2**32 else np.uint64, block) as objects:
        numbers = segment_blocks(foreground, interior, parameters, block, objects)
        yield as_lazy(objects).map(lambda ids: numbers[ids], numbers.dtype), int(numbers.max(initial=0))


def likeliest(answers: Mapping, shape: tuple[int, ...]) -> Lazy:
    """The class of each pixel of a grid of this shape."""
    if "classes" in answers:
        return _without_channels(answers["classes"], np.uint8, lambda classes: classes[0])
    found = answers["probabilities"]
    found = found if tuple(found.shape[1:]) == shape else resampled(found, shape)
    return _without_channels(found, np.uint8, lambda p: p.argmax(axis=0).astype(np.uint8))


def foreground_and_interior(probabilities) -> tuple[Lazy, Lazy]:
    """Probability of being in an object, and off its edge, from that of background, interior (and edge).

    Parameters
    ----------
    probabilities : array-like of float, shape (classes, *spatial)

    Returns
    -------
    foreground, interior : Lazy, float32, shape (*spatial)
        The very same where there is no class for edges.
    """
    interior = _without_channels(probabilities, np.float32, lambda p: p[1].astype(np.float32))
    if probabilities.shape[0] == 2:
        return interior, interior
    return _without_channels(probabilities, np.float32, lambda p: p[1:].sum(axis=0, dtype=np.float32)), interior


def _without_channels(array, dtype: type, function) -> Lazy:
    """A function from (channels, *region) to (*region), of regions of an array-like."""
    channels, chunks = slice(0, array.shape[0]), getattr(array, "chunks", None)

    def read(region: Region) -> np.ndarray:
        return function(array[(channels, *region)])

    return Lazy(tuple(array.shape[1:]), np.dtype(dtype), read, chunks and tuple(chunks[1:]))
