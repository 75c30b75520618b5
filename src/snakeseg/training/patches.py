"""Training patches: the patches of step t are a pure function of the data, the settings, the seed and t."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, Philox

from snakeseg.arrays import prefetch_results, read_mirrored
from snakeseg.networks.geometry import Geometry
from snakeseg.settings import Augment, Train, patch_sides
from snakeseg.training.locations import ForegroundPixels, sample_location
from snakeseg.transforms.elastic import IMAGE_ORDER, apply_field, sample_field
from snakeseg.transforms.flips import Symmetry, symmetry_of

# Number of batches that are drawn ahead of time.
PREFETCH_BATCHES = 4


class Item(NamedTuple):
    """Training image, patch, or batch of patches (with a further first axis).

    Parameters
    ----------
    image : float array, shape (channels, *spatial)
    target : int array, shape (*spatial)
        Class of each pixel.
    weight : float array, shape (*spatial)
        Loss weight of each pixel; 0 for ignored pixels.
    """

    image: np.ndarray
    target: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class PatchPlan:
    """All that a patch depends on, except the images.

    Attributes
    ----------
    train : Train
    elastic : Augment
        Settings of the elastic deformation.
    geometry : Geometry
        Geometry of the network in training.
    spacing : sequence of float
        Pixel size, one per axis.
    foreground : list
        Foreground pixels around which patches are cut, from `find_foreground`.
    """

    train: Train
    elastic: Augment
    geometry: Geometry
    spacing: Sequence[float] = (1.0, 1.0)
    foreground: ForegroundPixels = field(default_factory=list)

    @property
    def output(self) -> tuple[int, ...]:
        """Side lengths of a patch's target, in pixels, one per axis."""
        return self.geometry.output_size(patch_sides(self.train.patch, len(self.spacing)))

    @property
    def symmetry(self) -> Symmetry:
        """Flips and turns that are applied to patches."""
        symmetry = symmetry_of(self.train.flips, self.train.turns, self.spacing, self.output)
        turns = symmetry.plane and self.geometry.exchangeable(*symmetry.plane)
        return symmetry if turns else replace(symmetry, plane=None)


def make_generator(seed: int, index: int) -> Generator:
    """Return a counter-based random generator; every index has an independent stream, and there is no state to save."""
    return Generator(Philox(key=seed, counter=[0, 0, 0, index]))


def sample_patch(items: Sequence[Item], plan: PatchPlan, index: int) -> Item:
    """Draw patch number `index` of the training.

    Parameters
    ----------
    items : sequence of Item
        Training images.
    plan : PatchPlan
    index : int
        Number of the patch, counted from 0 over all steps.

    Returns
    -------
    Item
        image (channels, *input) float32, target (*output) int64, weight (*output) float32, where output is
        `plan.output` and input = output + 2 * halo along each axis. Images that are too small are mirrored.
    """
    rng = make_generator(plan.train.seed, index)
    image_index, start = _sample_location(rng, items, plan)
    cut = _deform if plan.train.elastic == "online" else _cut
    patch = cut(rng, items[image_index], start, plan)
    patch = _vary_orientation(rng, patch, plan.symmetry)
    return Item(
        _vary_intensities(rng, patch.image, plan.train),
        np.ascontiguousarray(patch.target, np.int64),
        np.ascontiguousarray(patch.weight, np.float32),
    )


def sample_batch(items: Sequence[Item], plan: PatchPlan, step: int, rank: int = 0, size: int = 1) -> Item:
    """Draw the batch of a training step, or the share of one process in it.

    Parameters
    ----------
    items : sequence of Item
        Training images.
    plan : PatchPlan
    step : int
        Number of the step, counted from 0.
    rank, size : int
        Rank of the process, and number of processes that share the batch.

    Returns
    -------
    Item
        Stacked patches: image (share, channels, *input), target and weight (share, *output).
    """
    share = plan.train.batch // size
    first = step * plan.train.batch + rank * share
    patches = [sample_patch(items, plan, first + i) for i in range(share)]
    return Item(*(np.stack(arrays) for arrays in zip(*patches, strict=True)))


def prefetch(items: Sequence[Item], plan: PatchPlan, start: int = 0, rank: int = 0, size: int = 1) -> Iterator[Item]:
    """Yield the batches from step `start` on, drawn ahead of time in a background thread.

    If the budget is in minutes, there is no last batch. Parameters are those of `sample_batch`.
    """
    steps = range(start, plan.train.steps) if plan.train.minutes is None else count(start)
    return prefetch_results(lambda step: sample_batch(items, plan, step, rank, size), steps, PREFETCH_BATCHES)


def sample_image_indices(items: Sequence[Item], plan: PatchPlan, step: int) -> list[int]:
    """Return the index of the image of each patch of a training step."""
    first = step * plan.train.batch
    indices = range(first, first + plan.train.batch)
    return [_sample_location(make_generator(plan.train.seed, index), items, plan)[0] for index in indices]


def _sample_location(rng: Generator, items: Sequence[Item], plan: PatchPlan) -> tuple[int, list[int]]:
    shapes = [item.target.shape for item in items]
    return sample_location(rng, shapes, plan.output, plan.foreground, plan.train.foreground)


def _cut(rng: Generator, item: Item, start: Sequence[int], plan: PatchPlan) -> Item:
    """Cut a patch without deformation: image with halo, target and weight without."""
    image = read_mirrored(item.image, *_with_halo(start, plan))
    return Item(image, *(read_mirrored(array, start, plan.output) for array in item[1:]))


def _with_halo(start: Sequence[int], plan: PatchPlan) -> tuple[list[int], tuple[int, ...]]:
    """Return start and side lengths of the network's input for a patch that starts at `start`."""
    return [s - halo for s, halo in zip(start, plan.geometry.halo, strict=True)], plan.geometry.input_size(plan.output)


def _deform(rng: Generator, item: Item, start: Sequence[int], plan: PatchPlan) -> Item:
    """Cut a patch under a new elastic deformation, by interpolating image, target and weight at the moved pixels."""
    dims, (first, size) = len(start), _with_halo(start, plan)
    field = sample_field(rng, size, plan.elastic.grid, plan.elastic.std, plan.spacing)
    field += np.reshape(first, (-1, *(1,) * dims)).astype(np.float32)
    output_field = field[:, *(slice(halo, -halo or None) for halo in plan.geometry.halo)]
    counted = apply_field(item.weight, output_field, 0) > 0
    return Item(
        apply_field(item.image, field, IMAGE_ORDER[dims]),
        apply_field(item.target, output_field, 0),
        apply_field(item.weight, output_field, 1) * counted,
    )


def _vary_orientation(rng: Generator, patch: Item, symmetry: Symmetry) -> Item:
    """Draw one of the orientations that the symmetry allows (8 for a square patch), and apply it."""
    dims = patch.target.ndim
    flipped = tuple(axis - dims for axis in range(dims) if rng.random() < 0.5 and axis in symmetry.flips)
    plane = [axis - dims for axis in symmetry.plane or ()]
    turned = rng.random() < 0.5 and plane
    arrays = (np.flip(array, flipped) for array in patch)
    return Item(*(np.swapaxes(array, *plane) if turned else array for array in arrays))


def _vary_intensities(rng: Generator, image: np.ndarray, train: Train) -> np.ndarray:
    """Vary contrast and brightness, with one draw per patch: ``image * (1 + c) + b``."""
    contrast, brightness = rng.uniform(-1, 1, 2)
    image = np.array(image, np.float32, order="C")
    image *= np.float32(1 + train.contrast * contrast)
    image += np.float32(train.brightness * brightness)
    return image
