"""Training images read from the stores of the workflow, and the provenance of a training."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from snakeseg import __version__
from snakeseg.errors import BadInput
from snakeseg.io.files import checksum
from snakeseg.io.store import read_store
from snakeseg.settings import Labels, Train
from snakeseg.training.patches import Item
from snakeseg.training.targets import TargetSettings, make_target, make_weights
from snakeseg.transforms.border_weights import class_weights
from snakeseg.transforms.labels import IGNORED, separated_labels

# Keys of the section `train` that do not affect the weights.
KEYS_WITHOUT_EFFECT = ("state_seconds", "cache_gb", "tensorboard")


@dataclass(frozen=True)
class LoadOptions:
    """Which arrays of the training images are loaded, and where they are kept.

    Attributes
    ----------
    objects : bool
        Load the objects, too, which `train.elastic: online` deforms.
    folder : path, optional
        Folder for arrays that do not fit in memory.
    memory : float
        Bytes of arrays to keep in memory; the others are mapped from nameless files in `folder`.
    """

    objects: bool = False
    folder: Path | None = None
    memory: float = float("inf")


def load_items(
    names: set[str],
    stores: Sequence[Path],
    weights: Sequence[Path],
    target: TargetSettings,
    options: LoadOptions | None = None,
) -> tuple[list[Item], list[dict]]:
    """Load training images and their elastic copies, with their weight maps, in the order of the stores.

    Parameters
    ----------
    names : set of str
        Samples to load.
    stores, weights : sequence of path
        Stores of images from `prepare` and `augment`, and of border terms from `weigh`.
    target : TargetSettings
    options : LoadOptions, optional

    Returns
    -------
    items : list of Item
    attributes : list of dict
        Attributes of each item in its store, and its name.

    Raises
    ------
    BadInput
        If the disk has no space for arrays that do not fit in memory.
    """
    options = options or LoadOptions()
    terms = {name: group for store in weights for name, _, group in read_store(store)}
    channels = _largest_channels(names, stores)
    items, attributes, loaded_bytes = [], [], 0
    for store in stores:
        for name, stored, group in read_store(store):
            if stored.get("copy_of", name) in names:
                item = _read_item(group, terms[name]["border"][:], target, options.objects)
                if len(item.image) < channels:  # a grey image among coloured ones was prepared as one channel
                    item = item._replace(image=np.repeat(item.image, channels, axis=0))
                loaded_bytes += sum(array.nbytes for array in item.arrays())
                items.append(item if loaded_bytes <= options.memory else _mapped_item(item, options.folder))
                attributes.append({**stored, "name": name})
    return items, attributes


def _largest_channels(names: set[str], stores: Sequence[Path]) -> int:
    """Return the largest number of channels of the images to load."""
    groups = (group for store in stores for name, _, group in read_store(store) if name in names)
    return max((group["image"].shape[0] for group in groups), default=1)


def _read_item(group, term: np.ndarray, target: TargetSettings, with_objects: bool) -> Item:
    classes, objects = group["classes"][:], group["objects"][:]
    weights = make_weights(classes, objects, term, target)
    return Item(group["image"][:], make_target(classes, objects, target), weights, objects if with_objects else None)


def _mapped_item(item: Item, folder: Path | None) -> Item:
    return Item(*(None if array is None else _memory_mapped(array, folder) for array in item))


def count_classes(names: set[str], prepared: Sequence[Path], labels: Labels) -> np.ndarray:
    """Count the pixels of each class after touching objects are separated.

    Parameters
    ----------
    names : set of str
        Samples to count in.
    prepared : sequence of path
        Stores from `prepare`, without elastic copies.
    labels : Labels

    Returns
    -------
    int array, shape (classes,)
    """
    counts = np.zeros(len(labels.classes), np.int64)
    for store in prepared:
        for name, _, group in read_store(store):
            if name in names:
                classes, _ = separated_labels(group["classes"][:], group["objects"][:], labels.kind)
                counts += np.bincount(classes[classes != IGNORED], minlength=len(counts))
    return counts


def _memory_mapped(array: np.ndarray, folder: Path | None) -> np.ndarray:
    """Return the array mapped from a nameless file, which is removed when the process ends for any reason."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            array.tofile(file)
            return np.memmap(file, array.dtype, "c", shape=array.shape)
    except OSError as error:
        found = f"no space for {array.nbytes / 1e6:.0f} MB of training images ({error.strerror or error})"
        expected, remedy = "space for the images beyond train.cache_gb", "free disk space, or raise train.cache_gb"
        raise BadInput(folder, found, expected, remedy) from error


def training_provenance(settings: Train, device: torch.device, threads: int, fold: int, attributes: list[dict]) -> dict:
    """Return all that the weights depend on, except the network's settings.

    Parameters
    ----------
    settings : Train
    device : torch.device
    threads : int
        Number of CPU threads.
    fold : int
        Number of the held-out fold, counted from 0.
    attributes : list of dict
        Attributes of the training images, from `load_items`.

    Returns
    -------
    dict
        train, fold, device, threads, torch (version), sources (SHA-256 of the source files' paths and checksums),
        bit_exact (whether the same training gives the same bits).
    """
    sources = sorted({(a[kind]["path"], a[kind]["sha256"]) for a in attributes for kind in ("image", "label")})
    return {
        "train": asdict(settings),
        "fold": fold,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
        "threads": threads,
        "torch": torch.__version__,
        "sources": hashlib.sha256(json.dumps(sources).encode()).hexdigest(),
        "bit_exact": device.type == "cpu" and settings.minutes is None,
    }


def class_balance(items: Sequence[Item], classes: int) -> np.ndarray:
    """Compute weights that balance the classes, from all pixels with a weight above 0.

    Parameters
    ----------
    items : sequence of Item
    classes : int
        Number of classes, including the background.

    Returns
    -------
    float array, shape (classes,)
    """
    counts = [np.bincount(item.target[item.weight > 0], minlength=classes) for item in items]
    return class_weights(np.sum(counts, axis=0))


def training_digest(settings: str, provenance: dict, files: Sequence[Path]) -> str:
    """Compute a digest of all that the weights depend on; a training resumes only from states of the same digest.

    Parameters
    ----------
    settings : str
        All sections of the config, as JSON.
    provenance : dict
        From `training_provenance`.
    files : sequence of path
        Stores of images and weight maps, and weights to start from, in the order in which they are used.

    Returns
    -------
    str
        SHA-256 in hexadecimal.
    """
    sections = json.loads(settings)
    for key in KEYS_WITHOUT_EFFECT:
        sections.get("train", {}).pop(key, None)
    train = {k: v for k, v in provenance["train"].items() if k not in KEYS_WITHOUT_EFFECT}
    facts = [__version__, sections, {**provenance, "train": train}, [checksum(path) for path in files]]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
