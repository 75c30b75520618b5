"""Training task: images, model description, patch and batch as numbers, initial weights, validation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from snakeseg.devices import total_memory
from snakeseg.errors import BadInput
from snakeseg.models.description import Description
from snakeseg.models.pretrained import read_pretrained, start_from
from snakeseg.prediction.tiles import DEFAULT_TILE_PIXELS
from snakeseg.progress import log
from snakeseg.settings import Loss, Settings, Train
from snakeseg.training.auto_size import choose_patch_and_batch
from snakeseg.training.dataset import LoadOptions, class_balance, count_classes, load_items
from snakeseg.training.distributed import Team, minimum_of_all
from snakeseg.training.locations import ForegroundPixels, find_foreground
from snakeseg.training.losses import Criterion, make_loss
from snakeseg.training.optimiser import derive_seed
from snakeseg.training.patches import Item, PatchPlan
from snakeseg.training.targets import TargetSettings
from snakeseg.training.validation import validation_loss
from snakeseg.transforms.border_weights import class_weights

# Largest number of images of the validation loss, if `train.select` is "best".
MAX_VALIDATION_IMAGES = 8


@dataclass(frozen=True)
class TrainingFiles:
    """Files that a training reads.

    Attributes
    ----------
    prepared, augmented, weights : list of path
        Stores from `prepare`, `augment` and `weigh`.
    start : path, optional
        File of the weights to start from.
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
    """Input of a training.

    Attributes
    ----------
    items : list of Item
        Training images and their elastic copies.
    attributes : list of dict
        Attributes of each item in its store, and its name.
    description : Description
        Description of the model.
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
    """Raise BadInput unless the batch is a multiple of the number of processes."""
    if train.batch != "auto" and train.batch % train.processes:
        raise BadInput(
            "train.processes", f"{train.processes} for a batch of {train.batch}", "a number that divides train.batch",
            "set train.batch to a multiple of train.processes",
        )  # fmt: skip


def make_task(
    settings: Settings, files: TrainingFiles, names: set[str], device: torch.device, team: Team, scratch: Path
) -> Task:
    """Read the training images, and choose patch and batch where the settings say "auto".

    Parameters
    ----------
    settings : Settings
    files : TrainingFiles
    names : set of str
        Samples to train on.
    device : torch.device
    team : Team
        Processes with the same settings; all of them choose the same numbers.
    scratch : path
        Folder for images that do not fit in memory.
    """
    cache = settings.train.cache_gb
    memory = total_memory(torch.device("cpu")) / 2 if cache is None else cache * 1e9
    stores = files.prepared + files.augmented
    target = _target_settings(settings, files, names)
    options = LoadOptions(settings.train.elastic == "online", scratch, memory / team.size)
    items, attributes = load_items(names, stores, files.weights, target, options)
    description = Description(
        settings.spatial_dims, len(items[0].image), settings.labels, settings.network, settings.prepare,
        settings.predict, attributes[0]["statistics"], np.median([a["spacing"] for a in attributes], axis=0).tolist(),
    )  # fmt: skip
    train = _without_auto(settings.train, description, items, device, team)
    foreground = _foreground_of(train, items, description.classes)
    plan = PatchPlan(train, settings.augment, description.geometry.training, description.spacing, foreground, target)
    return Task(items, attributes, replace(description, symmetry=plan.symmetry), plan, device)


def _target_settings(settings: Settings, files: TrainingFiles, names: set[str]) -> TargetSettings:
    """Return the settings of target and weights, with the class weights of the training images."""
    weigh, labels = settings.weigh, settings.labels
    is_balanced = weigh.classes == "balanced"
    balance = tuple(class_weights(count_classes(names, files.prepared, labels)).tolist()) if is_balanced else ()
    return TargetSettings(labels.kind, settings.network.border, weigh, balance)


def _without_auto(train: Train, description: Description, items: Sequence[Item], device, team: Team) -> Train:
    """Replace "auto" by the patch and batch that fit into the memory of every process."""
    held = sum(array.nbytes for item in items for array in item.arrays() if not isinstance(array, np.memmap))
    chosen, message = choose_patch_and_batch(train, description, [item.target.shape for item in items], device, held)
    if not message:
        return train
    automatic = {key: getattr(chosen, key) for key in ("patch", "batch") if getattr(train, key) == "auto"}
    if team.rank == 0:
        log(message)
    return replace(chosen, **minimum_of_all(automatic, team, device))


def _foreground_of(train: Train, items: Sequence[Item], classes: int) -> ForegroundPixels:
    """Return the foreground pixels around which patches are cut; an empty list if `train.foreground` is 0."""
    if not train.foreground:
        return []
    return find_foreground([item.target for item in items], [item.weight for item in items], classes, train.balanced)


def initialise_training(task: Task, loss: Loss, start: Path | None) -> tuple[nn.Module, Criterion]:
    """Return the network with its initial weights, and its loss function.

    Parameters
    ----------
    task : Task
    loss : Loss
    start : path, optional
        File of the weights to start from. Default: random weights, which follow from `train.seed`.

    Raises
    ------
    BadInput
        If the file does not contain weights of this network.
    """
    torch.manual_seed(derive_seed(task.plan.train.seed, -1))
    network = task.description.make_network()
    if start:
        state = read_pretrained(start, is_unit_range=task.description.prepare.normalise == "percentile")
        log(f"{start_from(network, state, start)} of {len(network.state_dict())} tensors from {start}")
    return network, make_loss(loss, class_balance(task.items, task.description.classes))


def make_validation(task: Task, files: TrainingFiles, names: set[str]) -> Callable[[nn.Module], float] | None:
    """Return a function that computes a network's loss on held-out images; None unless `train.select` is "best".

    Parameters
    ----------
    task : Task
    files : TrainingFiles
    names : set of str
        Held-out samples; the first `MAX_VALIDATION_IMAGES` in alphabetical order are used.
    """
    if task.plan.train.select != "best":
        return None
    description, chosen = task.description, set(sorted(names)[:MAX_VALIDATION_IMAGES])
    items, _ = load_items(chosen, files.prepared, files.weights, task.plan.target)
    tile = DEFAULT_TILE_PIXELS[description.dims]
    return lambda network: validation_loss(network, items, description.geometry, tile, task.device)
