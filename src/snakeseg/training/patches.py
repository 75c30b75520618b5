"""Training patches: the patches of step t are a pure function of the data, the settings, the seed and t."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, Philox

from snakeseg.arrays import mirror_indices, prefetch_results, read_mirrored
from snakeseg.networks.geometry import Geometry
from snakeseg.settings import Augment, Train, patch_sides
from snakeseg.training.locations import ForegroundPixels, sample_location
from snakeseg.training.targets import TargetSettings, border_term, label_margin, make_target, make_weights
from snakeseg.transforms.elastic import IMAGE_ORDER, apply_field, displacement_field, in_pixels, sample_grid
from snakeseg.transforms.flips import Symmetry, symmetry_of
from snakeseg.transforms.labels import IGNORED

# Number of batches that are drawn ahead of time.
PREFETCH_BATCHES = 4


class Patch(NamedTuple):
    """Patch, or batch of patches (with a further first axis).

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


class Item(NamedTuple):
    """Training image.

    Parameters
    ----------
    image, target, weight
        As in `Patch`.
    objects : int32 array, shape (*spatial), optional
        Touching objects not yet separated, of images that `train.elastic: online` deforms.
    """

    image: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    objects: np.ndarray | None = None

    def arrays(self) -> list[np.ndarray]:
        """Return the arrays that exist."""
        return [array for array in self if array is not None]


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
    target : TargetSettings
        Settings of target and weights, which are computed anew for deformed patches.
    """

    train: Train
    elastic: Augment
    geometry: Geometry
    spacing: Sequence[float] = (1.0, 1.0)
    foreground: ForegroundPixels = field(default_factory=list)
    target: TargetSettings = field(default_factory=TargetSettings)

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


def sample_patch(items: Sequence[Item], plan: PatchPlan, index: int) -> Patch:
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
    Patch
        image (channels, *input) float32, target (*output) int64, weight (*output) float32, where output is
        `plan.output` and input = output + 2 * halo along each axis. Images that are too small are mirrored.
    """
    rng = make_generator(plan.train.seed, index)
    image_index, start = _location_of_patch(rng, items, plan)
    cut = _deform if plan.train.elastic == "online" else _cut
    patch = cut(rng, items[image_index], start, plan)
    patch = _vary_orientation(rng, patch, plan.symmetry)
    return Patch(
        _vary_intensities(rng, patch.image, plan.train),
        np.ascontiguousarray(patch.target, np.int64),
        np.ascontiguousarray(patch.weight, np.float32),
    )


def sample_batch(items: Sequence[Item], plan: PatchPlan, step: int, rank: int = 0, size: int = 1) -> Patch:
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
    Patch
        Stacked patches: image (share, channels, *input), target and weight (share, *output).
    """
    share = plan.train.batch // size
    first = step * plan.train.batch + rank * share
    patches = [sample_patch(items, plan, first + i) for i in range(share)]
    return Patch(*(np.stack(arrays) for arrays in zip(*patches, strict=True)))


def prefetch(items: Sequence[Item], plan: PatchPlan, start: int = 0, rank: int = 0, size: int = 1) -> Iterator[Patch]:
    """Yield the batches from step `start` on, drawn ahead of time in a background thread.

    If the budget is in minutes, there is no last batch. Parameters are those of `sample_batch`.
    """
    steps = range(start, plan.train.steps) if plan.train.minutes is None else count(start)
    return prefetch_results(lambda step: sample_batch(items, plan, step, rank, size), steps, PREFETCH_BATCHES)


def sample_image_indices(items: Sequence[Item], plan: PatchPlan, step: int) -> list[int]:
    """Return the index of the image of each patch of a training step."""
    first = step * plan.train.batch
    indices = range(first, first + plan.train.batch)
    return [_location_of_patch(make_generator(plan.train.seed, index), items, plan)[0] for index in indices]


def _location_of_patch(rng: Generator, items: Sequence[Item], plan: PatchPlan) -> tuple[int, list[int]]:
    shapes = [item.target.shape for item in items]
    return sample_location(rng, shapes, plan.output, plan.foreground, plan.train.foreground, plan.train.draw)


def _cut(rng: Generator, item: Item, start: Sequence[int], plan: PatchPlan) -> Patch:
    """Cut a patch without deformation: image with halo, target and weight without."""
    image = read_mirrored(item.image, *_with_halo(start, plan))
    return Patch(image, *(read_mirrored(array, start, plan.output) for array in (item.target, item.weight)))


def _with_halo(start: Sequence[int], plan: PatchPlan) -> tuple[list[int], tuple[int, ...]]:
    """Return start and side lengths of the network's input for a patch that starts at `start`."""
    return [s - halo for s, halo in zip(start, plan.geometry.halo, strict=True)], plan.geometry.input_size(plan.output)


def _deform(rng: Generator, item: Item, start: Sequence[int], plan: PatchPlan) -> Patch:
    """Cut a patch from a new elastic deformation of the whole image, as from one of its copies.

    Only the patch is computed. Target and weights follow from the deformed objects, so that objects stay separated.
    """
    dims, spacing = len(start), plan.spacing
    std = in_pixels(plan.elastic.std, spacing)
    grid = sample_grid(rng, item.target.shape, plan.elastic.grid, std)
    image = apply_field(item.image, _field_at(grid, item, *_with_halo(start, plan)), IMAGE_ORDER[dims])
    # Objects outside of the patch contribute to the weights in it.
    margin = label_margin(plan.target, spacing)
    first, size = zip(*((s - m, n + 2 * m) for s, n, m in zip(start, plan.output, margin, strict=True)), strict=True)
    field = _field_at(grid, item, first, size)
    objects = apply_field(item.objects, field, 0)
    classes = apply_field(item.target, field, 0) if plan.target.kind == "semantic" else (objects > 0).astype(np.uint8)
    classes[apply_field(item.weight, field, 0) == 0] = IGNORED
    term = border_term(classes, objects, plan.target, spacing)
    inner = tuple(slice(m, m + n) for m, n in zip(margin, plan.output, strict=True))
    target, weights = make_target(classes, objects, plan.target), make_weights(classes, objects, term, plan.target)
    return Patch(image, target[inner], weights[inner])


def _field_at(grid: np.ndarray, item: Item, start: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """Return the displacement field of an image in a region, mirrored outside of the image."""
    shape = item.target.shape
    pixels = [mirror_indices(a, a + n, m) for a, n, m in zip(start, size, shape, strict=True)]
    return displacement_field(grid, shape, pixels)


def _vary_orientation(rng: Generator, patch: Patch, symmetry: Symmetry) -> Patch:
    """Draw one of the orientations that the symmetry allows (8 for a square patch), and apply it."""
    dims = patch.target.ndim
    flipped = tuple(axis - dims for axis in range(dims) if rng.random() < 0.5 and axis in symmetry.flips)
    plane = [axis - dims for axis in symmetry.plane or ()]
    turned = rng.random() < 0.5 and plane
    arrays = (np.flip(array, flipped) for array in patch)
    return Patch(*(np.swapaxes(array, *plane) if turned else array for array in arrays))


def _vary_intensities(rng: Generator, image: np.ndarray, train: Train) -> np.ndarray:
    """Vary contrast and brightness, with one draw per patch: ``image * (1 + c) + b``."""
    contrast, brightness = rng.uniform(-1, 1, 2)
    image = np.array(image, np.float32, order="C")
    image *= np.float32(1 + train.contrast * contrast)
    image += np.float32(train.brightness * brightness)
    return image
