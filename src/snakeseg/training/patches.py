"""What training step t looks at: a pure function of the data, the settings, the seed and t."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, Philox

from snakeseg.arrays import ahead, read_mirrored
from snakeseg.networks.geometry import Geometry
from snakeseg.settings import Augment, Train, sides
from snakeseg.training.locations import Places, draw_place
from snakeseg.transforms.elastic import IMAGE_ORDER, apply_field, draw_field
from snakeseg.transforms.flips import Symmetry, symmetry_of

# Batches drawn ahead of time.
AHEAD = 4


class Item(NamedTuple):
    """A training image: image (channels, *spatial), target class and loss weight (*spatial)."""

    image: np.ndarray
    target: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class PatchPlan:
    """Everything but the data that a patch depends on."""

    train: Train
    elastic: Augment
    geometry: Geometry
    spacing: Sequence[float] = (1.0, 1.0)
    places: Places = field(default_factory=list)

    @property
    def output(self) -> tuple[int, ...]:
        """Sides of the patch that the loss sees."""
        return self.geometry.output_size(sides(self.train.patch, len(self.spacing)))

    @property
    def symmetry(self) -> Symmetry:
        """Flips and turns that patches are given."""
        symmetry = symmetry_of(self.train.flips, self.train.turns, self.spacing, self.output)
        turns = symmetry.plane and self.geometry.exchangeable(*symmetry.plane)
        return symmetry if turns else replace(symmetry, plane=None)


def generator(seed: int, index: int) -> Generator:
    """Counter-based random numbers: independent streams for every index, with no state to save."""
    return Generator(Philox(key=seed, counter=[0, 0, 0, index]))


def draw_patch(items: Sequence[Item], plan: PatchPlan, index: int) -> Item:
    """Patch number `index` of the training.

    Returns
    -------
    Item
        image (channels, *input) float32, target (*output) int64, weight (*output) float32, where
        input = output + 2 * halo along each axis; mirrored where the image is too small.
    """
    rng = generator(plan.train.seed, index)
    chosen, start = _draw_place(rng, items, plan)
    cut = _deform if plan.train.elastic == "online" else _cut
    patch = cut(rng, items[chosen], start, plan)
    patch = _vary_orientation(rng, patch, plan.symmetry)
    return Item(
        _vary_grey_values(rng, patch.image, plan.train),
        np.ascontiguousarray(patch.target, np.int64),
        np.ascontiguousarray(patch.weight, np.float32),
    )


def draw_batch(items: Sequence[Item], plan: PatchPlan, step: int, rank: int = 0, size: int = 1) -> Item:
    """The batch of a training step, or the share of process `rank` of `size` in it: its patches, stacked."""
    share = plan.train.batch // size
    first = step * plan.train.batch + rank * share
    patches = [draw_patch(items, plan, first + i) for i in range(share)]
    return Item(*(np.stack(arrays) for arrays in zip(*patches, strict=True)))


def prefetch(items: Sequence[Item], plan: PatchPlan, start: int = 0, rank: int = 0, size: int = 1) -> Iterator[Item]:
    """Batches in order from a step on (without end, if time is the budget), drawn ahead of time in the background."""
    steps = range(start, plan.train.steps) if plan.train.minutes is None else count(start)
    return ahead(lambda step: draw_batch(items, plan, step, rank, size), steps, AHEAD)


def draw_items(items: Sequence[Item], plan: PatchPlan, step: int) -> list[int]:
    """Which images the patches of a step are cut from."""
    first = step * plan.train.batch
    indices = range(first, first + plan.train.batch)
    return [_draw_place(generator(plan.train.seed, index), items, plan)[0] for index in indices]


def _draw_place(rng: Generator, items: Sequence[Item], plan: PatchPlan) -> tuple[int, list[int]]:
    shapes = [item.target.shape for item in items]
    return draw_place(rng, shapes, plan.output, plan.places, plan.train.foreground)


def _cut(rng: Generator, item: Item, start: Sequence[int], plan: PatchPlan) -> Item:
    """The patch as it is: the image with its halo, target and weight where the loss looks."""
    image = read_mirrored(item.image, *_with_halo(start, plan))
    return Item(image, *(read_mirrored(array, start, plan.output) for array in item[1:]))


def _with_halo(start: Sequence[int], plan: PatchPlan) -> tuple[list[int], tuple[int, ...]]:
    """Start and sides of what the network is given for the patch that starts here."""
    return [s - halo for s, halo in zip(start, plan.geometry.halo, strict=True)], plan.geometry.input_size(plan.output)


def _deform(rng: Generator, item: Item, start: Sequence[int], plan: PatchPlan) -> Item:
    """The patch under a fresh elastic deformation, read straight from the image and what was made from its labels."""
    dims, (first, size) = len(start), _with_halo(start, plan)
    field = draw_field(rng, size, plan.elastic.grid, plan.elastic.std, plan.spacing)
    field += np.reshape(first, (-1, *(1,) * dims)).astype(np.float32)
    seen = field[:, *(slice(halo, -halo or None) for halo in plan.geometry.halo)]
    counted = apply_field(item.weight, seen, 0) > 0
    return Item(
        apply_field(item.image, field, IMAGE_ORDER[dims]),
        apply_field(item.target, seen, 0),
        apply_field(item.weight, seen, 1) * counted,
    )


def _vary_orientation(rng: Generator, patch: Item, symmetry: Symmetry) -> Item:
    """One of the orientations that the symmetry allows: the 8 of a square patch."""
    dims = patch.target.ndim
    flipped = tuple(axis - dims for axis in range(dims) if rng.random() < 0.5 and axis in symmetry.flips)
    plane = [axis - dims for axis in symmetry.plane or ()]
    turned = rng.random() < 0.5 and plane
    arrays = (np.flip(array, flipped) for array in patch)
    return Item(*(np.swapaxes(array, *plane) if turned else array for array in arrays))


def _vary_grey_values(rng: Generator, image: np.ndarray, train: Train) -> np.ndarray:
    """Contrast and brightness, one draw per patch: ``image * (1 + c) + b``."""
    contrast, brightness = rng.uniform(-1, 1, 2)
    image = np.array(image, np.float32, order="C")
    image *= np.float32(1 + train.contrast * contrast)
    image += np.float32(train.brightness * brightness)
    return image
