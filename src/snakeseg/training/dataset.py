"""The images of a training: read from the stores of the workflow, and what the weights depend on besides them."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from snakeseg import __version__
from snakeseg.errors import BadInput
from snakeseg.io.files import checksum
from snakeseg.io.store import read_store
from snakeseg.settings import Train
from snakeseg.training.patches import Item
from snakeseg.transforms.border_weights import class_weights
from snakeseg.transforms.labels import IGNORED, mark_border

# Settings of training that the weights do not depend on.
UNSEEN = ("state_seconds", "cache_gb", "tensorboard")


def load_items(
    names: set[str],
    stores: Sequence[Path],
    weights: Sequence[Path],
    border: int = 0,
    folder: Path | None = None,
    memory: float = float("inf"),
) -> tuple[list[Item], list[dict]]:
    """Training images of these names and all their copies, with their weight maps, in a fixed order.

    Parameters
    ----------
    names : set of str
    stores, weights : sequence of path
        Written by `prepare` and `augment`, and by `weigh`.
    border : int
        Width of the class along the inner edge of objects.
    folder : path, optional
        Where to keep what does not fit.
    memory : float
        Bytes of arrays to keep in memory; the rest is mapped from nameless files in `folder`.

    Returns
    -------
    items : list of Item
    attributes : list of dict
        What was noted about each in preparing.
    """
    maps = {name: group for store in weights for name, _, group in read_store(store)}
    items, attributes, kept = [], [], 0
    for store in stores:
        for name, noted, group in read_store(store):
            if noted.get("copy_of", name) in names:
                item = Item(group["image"][:], _target(group, border), maps[name]["weights"][:])
                kept += sum(array.nbytes for array in item)
                items.append(item if kept <= memory else Item(*(_mapped(array, folder) for array in item)))
                attributes.append({**noted, "name": name})
    return items, attributes


def _target(group, border: int) -> np.ndarray:
    """Classes of a stored image, 0 where they are ignored (their weight is 0), with the class of the border."""
    classes = group["classes"][:]
    target = np.where(classes == IGNORED, 0, classes)
    return mark_border(target, group["objects"][:], border) if border else target


def _mapped(array: np.ndarray, folder: Path | None) -> np.ndarray:
    """The array in a file without a name, which vanishes with the process, however that ends."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            array.tofile(file)
            return np.memmap(file, array.dtype, "c", shape=array.shape)
    except OSError as error:
        found = f"no room for {array.nbytes / 1e6:.0f} MB of training images ({error.strerror or error})"
        raise BadInput(folder, found, "room for what exceeds train.cache_gb", "free some, or raise it") from error


def training_provenance(settings: Train, device: torch.device, threads: int, fold: int, attributes: list[dict]) -> dict:
    """What the weights depend on besides the network's settings."""
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
    """Weights that balance the classes of all counted pixels."""
    counts = [np.bincount(item.target[item.weight > 0], minlength=classes) for item in items]
    return class_weights(np.sum(counts, axis=0))


def training_digest(settings: str, provenance: dict, files: Sequence[Path]) -> str:
    """Stands for all that the weights depend on: a state of another digest is not gone on from.

    Parameters
    ----------
    settings : str
        All sections, as JSON.
    provenance : dict
        From `training_provenance`.
    files : sequence of path
        Stores of images and weight maps, and weights to start from, in the order they are used in.
    """
    sections = json.loads(settings)
    for key in UNSEEN:
        sections.get("train", {}).pop(key, None)
    noted = {**provenance, "train": {k: v for k, v in provenance["train"].items() if k not in UNSEEN}}
    facts = [__version__, sections, noted, [checksum(path) for path in files]]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
