"""Write label files from predicted probabilities or classes, in bounded memory."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from snakeseg.arrays import Lazy, Region, as_lazy, grid_regions
from snakeseg.io.files import atomic_output
from snakeseg.io.images import write_labels
from snakeseg.io.raster import Raster
from snakeseg.io.store import scratch_array
from snakeseg.objects.blockwise import segment_blocks
from snakeseg.objects.components import ComponentFilter, filter_components
from snakeseg.objects.segment import InstanceParameters
from snakeseg.settings import Labels
from snakeseg.transforms.resample import nearest, resampled

# Side length of a block, in pixels, by number of axes; for images of more than IN_MEMORY pixels.
BLOCK = {2: 1024, 3: 128}
IN_MEMORY = 2**22


Postprocessing = InstanceParameters | Mapping[str, ComponentFilter]


def write_label_file(
    path: Path, prediction: Mapping, labels: Labels, postprocessing: Postprocessing, source: Raster, note: str = ""
) -> None:
    """Write the prediction of an image as a label file: object ids, or the label value of each pixel's class.

    A prediction on another grid is resampled to the grid of the source image. For semantic labels, probabilities are
    interpolated. For objects, the image is segmented on the grid of the probabilities, where the parameters were
    chosen, and the ids are resampled to the nearest pixel.

    Parameters
    ----------
    path : path
        Output file, in the format of `source`.
    prediction : mapping of array-like
        "classes", class indices, shape (1, *spatial); or "probabilities", shape (classes, *spatial).
    labels : Labels
    postprocessing : InstanceParameters, or mapping of ComponentFilter by class name for semantic labels
        How objects are segmented, or which components of each class are kept.
    source : Raster
        The image that was predicted.
    note : str
        Text for the header of the file.

    Raises
    ------
    BadInput
        If the format of `source` cannot hold the largest id or label value.
    """
    opened = open_labels(prediction, labels, postprocessing, source.array.shape[1:], path)
    with atomic_output(path) as partial, opened as (pixels, largest):
        write_labels(partial, pixels, source, largest, note)


@contextmanager
def open_labels(
    prediction: Mapping, labels: Labels, postprocessing: Postprocessing, shape: tuple[int, ...], path: Path
) -> Iterator[tuple[np.ndarray | Lazy, int]]:
    """Yield the labels that `write_label_file` writes, readable as long as the block lasts, and the largest of them.

    Parameters
    ----------
    prediction, labels, postprocessing
        As for `write_label_file`.
    shape : tuple of int
        Sides of the image in pixels, without channels.
    path : path
        Arrays that do not fit in memory are kept in a temporary folder beside this path.
    """
    if labels.kind == "semantic":
        values = np.array(list(labels.values.values()))
        dtype = np.result_type(*map(np.min_scalar_type, values.tolist()))
        rules = {labels.classes.index(name): rule for name, rule in postprocessing.items() if rule != ComponentFilter()}
        with _filtered(most_probable_classes(prediction, shape), rules, path) as classes:
            yield classes.map(lambda classes: values[classes].astype(dtype), dtype), int(values.max())
    else:
        maps = foreground_and_interior(prediction["probabilities"])
        with _open_objects(*maps, postprocessing, path) as (objects, count):
            yield objects if objects.shape == shape else nearest(objects, shape), count


@contextmanager
def _filtered(classes: Lazy, rules: Mapping[int, ComponentFilter], path: Path) -> Iterator[Lazy]:
    """Apply component filters, by class index; the result is readable inside the `with` block."""
    if not rules:
        yield classes
        return
    shape = classes.shape
    is_small = math.prod(shape) <= IN_MEMORY
    block = shape if is_small else tuple(min(BLOCK[len(shape)], size) for size in shape)
    with ExitStack() as stack:

        def allocate(dtype: type):
            return np.zeros(shape, dtype) if is_small else stack.enter_context(scratch_array(path, shape, dtype, block))

        copy = allocate(np.uint8)  # read once: classes may be computed on reading
        for region in grid_regions(shape, block):
            copy[region] = classes[region]
        filtered = as_lazy(copy)
        for number, rule in rules.items():
            read = filter_components(filtered, number, rule, block, allocate(np.uint32))
            filtered = replace(filtered, read=read)
        yield filtered


@contextmanager
def _open_objects(
    foreground: Lazy, interior: Lazy, parameters: InstanceParameters, path: Path
) -> Iterator[tuple[np.ndarray | Lazy, int]]:
    """Yield object ids on the grid of the probabilities, and the number of objects."""
    shape, pixels = foreground.shape, math.prod(foreground.shape)
    if pixels <= IN_MEMORY:
        objects = np.zeros(shape, np.uint32)
        final_ids = segment_blocks(foreground[:], interior[:], parameters, shape, objects)
        yield final_ids[objects], int(final_ids.max(initial=0))
        return
    # Whole chunks of the prediction, as many as fit into the default block.
    block = [max(1, BLOCK[len(shape)] // chunk) * chunk for chunk in foreground.chunks or (1,) * len(shape)]
    ids = 2 * pixels if parameters.grow else pixels
    with scratch_array(path, shape, np.uint32 if ids < 2**32 else np.uint64, block) as objects:
        final_ids = segment_blocks(foreground, interior, parameters, block, objects)
        yield as_lazy(objects).map(lambda ids: final_ids[ids], final_ids.dtype), int(final_ids.max(initial=0))


def most_probable_classes(prediction: Mapping, shape: tuple[int, ...]) -> Lazy:
    """Return the most probable class of each pixel; probabilities are resampled to a grid of this shape.

    Parameters
    ----------
    prediction : mapping of array-like
        "classes", class indices, shape (1, *spatial); or "probabilities", shape (classes, *spatial).
    shape : tuple of int
        Shape of the output grid, in pixels, one size per spatial axis.

    Returns
    -------
    Lazy of uint8, shape (*spatial)
        Class indices; of equally probable classes, the first.
    """
    if "classes" in prediction:
        return _without_channels(prediction["classes"], np.uint8, lambda classes: classes[0])
    probabilities = prediction["probabilities"]
    if tuple(probabilities.shape[1:]) != shape:
        probabilities = resampled(probabilities, shape)
    return _without_channels(probabilities, np.uint8, lambda p: p.argmax(axis=0).astype(np.uint8))


def foreground_and_interior(probabilities) -> tuple[Lazy, Lazy]:
    """Return the probabilities of the foreground and of the interior of objects.

    Parameters
    ----------
    probabilities : array-like of float, shape (classes, *spatial)
        Classes: background, interior and, from a network with a border class, border.

    Returns
    -------
    foreground, interior : Lazy of float32, shape (*spatial)
        The foreground is the sum of interior and border; without a border class, both are the same object.
    """
    interior = _without_channels(probabilities, np.float32, lambda p: p[1].astype(np.float32))
    if probabilities.shape[0] == 2:
        return interior, interior
    return _without_channels(probabilities, np.float32, lambda p: p[1:].sum(axis=0, dtype=np.float32)), interior


def _without_channels(array, dtype: type, function: Callable[[np.ndarray], np.ndarray]) -> Lazy:
    """Apply a function that reduces (channels, *region) to (*region), whenever a region of the array is read."""
    channels, chunks = slice(0, array.shape[0]), getattr(array, "chunks", None)

    def read(region: Region) -> np.ndarray:
        return function(array[(channels, *region)])

    return Lazy(tuple(array.shape[1:]), np.dtype(dtype), read, chunks and tuple(chunks[1:]))
