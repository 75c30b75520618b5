"""What a training starts from: its images, the description of its model, and numbers in place of `auto`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from snakeseg.devices import total_memory
from snakeseg.errors import BadInput
from snakeseg.models.description import Description
from snakeseg.models.pretrained import read_state, start_from
from snakeseg.prediction.tiles import DEFAULT_TILE_PIXELS
from snakeseg.progress import tell
from snakeseg.settings import Loss, Settings, Train
from snakeseg.training.auto_size import choose_patch_and_batch
from snakeseg.training.dataset import class_balance, load_items
from snakeseg.training.distributed import Team, agree
from snakeseg.training.locations import find_places
from snakeseg.training.losses import Criterion, make_loss
from snakeseg.training.optimiser import derive_seed
from snakeseg.training.patches import Item, PatchPlan
from snakeseg.training.validation import validation_loss

# Whole images on which `train.select: best` computes the validation loss.
VALIDATION_IMAGES = 8


@dataclass(frozen=True)
class TrainingFiles:
    """Files that a training reads.

    Attributes
    ----------
    prepared, augmented, weights : list of path
        Stores from `prepare`, `augment` and `weigh`.
    start : path, optional
        Weights to start from.
    """

    prepared: list[Path]
    augmented: list[Path]
    weights: list[Path]
    start: Path | None

    def all(self) -> list[Path]:
        """Return the files in the order in which they are used."""
        return [*self.prepared, *self.augmented, *self.weights, *([self.start] if self.start else [])]


@dataclass(frozen=True)
class Task:
    """All that a training starts from.

    Attributes
    ----------
    items : list of Item
        Training images and their elastic copies.
    attributes : list of dict
        What was noted about each item in preparing.
    description : Description
    plan : PatchPlan
        With patch and batch as numbers.
    device : torch.device
    """

    items: list[Item]
    attributes: list[dict]
    description: Description
    plan: PatchPlan
    device: torch.device


def require_equal_shares(train: Train) -> None:
    """Raise BadInput unless all processes can take the same share of a batch."""
    if train.batch != "auto" and train.batch % train.processes:
        raise BadInput(
            "train.processes", f"{train.processes} for a batch of {train.batch}", "a number that divides it",
            "correct one of them",
        )  # fmt: skip


def make_task(
    settings: Settings, files: TrainingFiles, names: set[str], device: torch.device, team: Team, scratch: Path
) -> Task:
    """Read the training images, and choose what the settings leave open.

    Parameters
    ----------
    settings : Settings
    files : TrainingFiles
    names : set of str
        Samples to train on.
    device : torch.device
    team : Team
        Of the same settings; all processes choose the same.
    scratch : path
        Folder for images that do not fit in memory.
    """
    cache = settings.train.cache_gb
    memory = total_memory(torch.device("cpu")) / 2 if cache is None else cache * 1e9
    stores = files.prepared + files.augmented
    border = settings.network.border
    items, attributes = load_items(names, stores, files.weights, border, scratch, memory / team.size)
    description = Description(
        settings.spatial_dims, len(items[0].image), settings.labels, settings.network, settings.prepare,
        settings.predict, attributes[0]["statistics"], np.median([a["spacing"] for a in attributes], axis=0).tolist(),
    )  # fmt: skip
    train = _without_auto(settings.train, description, items, device, team)
    places = _places(train, items, description.classes)
    plan = PatchPlan(train, settings.augment, description.geometry.training, description.spacing, places)
    return Task(items, attributes, replace(description, symmetry=plan.symmetry), plan, device)


def _without_auto(train: Train, description: Description, items: Sequence[Item], device, team: Team) -> Train:
    """Replace `auto` by the patch and batch that fit the memory of every process."""
    held = sum(array.nbytes for item in items for array in item if not isinstance(array, np.memmap))
    chosen, message = choose_patch_and_batch(train, description, [item.target.shape for item in items], device, held)
    if not message:
        return train
    left_open = {key: getattr(chosen, key) for key in ("patch", "batch") if getattr(train, key) == "auto"}
    if team.rank == 0:
        tell(message)
    return replace(chosen, **agree(left_open, team, device))


def _places(train: Train, items: Sequence[Item], classes: int) -> list:
    """Return where patches with foreground may lie, if `train.foreground` asks for them."""
    if not train.foreground:
        return []
    return find_places([item.target for item in items], [item.weight for item in items], classes, train.balanced)


def begin(task: Task, loss: Loss, start: Path | None) -> tuple[nn.Module, Criterion]:
    """Return the network with its first weights, and its loss."""
    torch.manual_seed(derive_seed(task.plan.train.seed, -1))
    network = task.description.make_network()
    if start:
        tell(f"{start_from(network, read_state(start), start)} of {len(network.state_dict())} tensors from {start}")
    return network, make_loss(loss, class_balance(task.items, task.description.classes))


def make_validation(task: Task, files: TrainingFiles, names: set[str]) -> Callable[[nn.Module], float] | None:
    """Return the loss on held-out images, the first few by name; None unless it chooses the weights."""
    if task.plan.train.select != "best":
        return None
    description, few = task.description, set(sorted(names)[:VALIDATION_IMAGES])
    items, _ = load_items(few, files.prepared, files.weights, description.network.border)
    tile = DEFAULT_TILE_PIXELS[description.dims]
    return lambda network: validation_loss(network, items, description.geometry, tile, task.device)
