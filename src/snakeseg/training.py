"""Training: a short loop over stateless patches, within a budget of steps."""

import csv
import hashlib
import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from snakeseg.devices import autocast
from snakeseg.io.store import read_store
from snakeseg.labels import IGNORED, mark_border
from snakeseg.losses import Criterion
from snakeseg.patches import Item, PatchPlan, draw_batch
from snakeseg.progress import progress
from snakeseg.settings import Train
from snakeseg.weights import class_weights

AHEAD = 4
HISTORY = ("step", "loss", "learning_rate", "wait_seconds", "compute_seconds")


def fit(
    network: nn.Module, items: Sequence[Item], plan: PatchPlan, criterion: Criterion, device: torch.device
) -> list[dict]:
    """Train a network in place.

    Parameters
    ----------
    network : Module
        Freshly initialised.
    items : sequence of Item
        Training images with targets and weights.
    plan : PatchPlan
        Settings of training, deformation and the network's geometry.
    criterion : function
        The loss, from `make_loss`.
    device : torch.device

    Returns
    -------
    list of dict
        The history: one row per step, keys `HISTORY`.

    Raises
    ------
    FloatingPointError
        If the loss is no longer a number.
    """
    settings = plan.train
    network.to(device, memory_format=torch.channels_last if items[0].target.ndim == 2 else torch.contiguous_format)
    network.train()
    optimiser = make_optimiser(network, settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate_factor(settings, step))
    history: list[dict] = []
    batches = timed(prefetch(items, plan))
    for step, (batch, wait) in progress(
        enumerate(batches), settings.steps, "training", lambda: f"loss {_recent(history):.4f}"
    ):
        start = time.perf_counter()
        torch.manual_seed(derive_seed(settings.seed, step))
        rate = optimiser.param_groups[0]["lr"]
        loss = train_step(network, optimiser, batch, criterion, settings.precision, device)
        schedule.step()
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"training step {step}: the loss is {loss}; expected a number; lower train.learning_rate "
                f"(now {settings.learning_rate}) or set train.precision to float32"
            )
        row = (step, loss, rate, wait, time.perf_counter() - start)
        history.append(dict(zip(HISTORY, row, strict=True)))
    network.eval()
    return history


def train_step(network, optimiser, batch: Item, criterion: Criterion, precision: str, device: torch.device) -> float:
    """One step of gradient descent; returns the loss."""
    image, target, weight = (torch.from_numpy(array).to(device, non_blocking=True) for array in batch)
    if image.ndim == 4:
        image = image.contiguous(memory_format=torch.channels_last)
    with autocast(precision, device):
        logits = network(image)
    loss = criterion(logits, target, weight)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.item()


def prefetch(items: Sequence[Item], plan: PatchPlan) -> Iterator[Item]:
    """Batches in order, drawn ahead of time in the background."""
    with ThreadPoolExecutor(1) as pool:
        waiting: deque = deque()
        for step in range(plan.train.steps):
            waiting.append(pool.submit(draw_batch, items, plan, step))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def timed(batches: Iterator[Item]) -> Iterator[tuple[Item, float]]:
    """Each batch with the seconds spent waiting for it."""
    start = time.perf_counter()
    for batch in batches:
        yield batch, time.perf_counter() - start
        start = time.perf_counter()


def make_optimiser(network: nn.Module, settings: Train) -> torch.optim.Optimizer:
    """The paper's momentum gradient descent, or AdamW."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=settings.momentum, weight_decay=decay)
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(parameters, rate, weight_decay=decay)
    raise ValueError(f"train.optimiser {settings.optimiser!r}; expected sgd or adamw")


def learning_rate_factor(settings: Train, step: int) -> float:
    """The schedule, fitted to the budget: a warm-up over the first 5 %, then poly (power 0.9), cosine or constant."""
    warm = min(1.0, (step + 1) / max(1, settings.steps // 20))
    rest = 1 - min(step, settings.steps) / settings.steps
    decay = {"poly": rest**0.9, "cosine": (1 - np.cos(np.pi * rest)) / 2, "constant": 1.0}
    return float(warm * decay[settings.schedule])


def class_balance(items: Sequence[Item], classes: int) -> np.ndarray:
    """Weights that balance the classes of all counted pixels."""
    counts = [np.bincount(item.target[item.weight > 0], minlength=classes) for item in items]
    return class_weights(np.sum(counts, axis=0))


def derive_seed(seed: int, step: int) -> int:
    """A seed for what torch draws in a step (dropout), a function of the two numbers alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:7], "big")


def write_history(path, history: list[dict]) -> None:
    """The history as TSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HISTORY, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in history)


def _recent(history: list[dict]) -> float:
    return float(np.mean([row["loss"] for row in history[-50:]])) if history else float("nan")


def load_items(
    names: set[str], stores: Sequence[Path], weights: Sequence[Path], border: int = 0
) -> tuple[list[Item], list[dict]]:
    """Training images of these names and all their copies, with their weight maps, in a fixed order.

    `border` is the width of the class along the inner edge of objects.

    Returns
    -------
    items : list of Item
    attributes : list of dict
        What was noted about each in preparing.
    """
    maps = {name: group["weights"][:] for store in weights for name, _, group in read_store(store)}
    items, attributes = [], []
    for store in stores:
        for name, noted, group in read_store(store):
            if noted.get("copy_of", name) in names:
                classes = group["classes"][:]
                target = np.where(classes == IGNORED, 0, classes)
                if border:
                    target = mark_border(target, group["objects"][:], border)
                items.append(Item(group["image"][:], target, maps[name]))
                attributes.append(noted)
    return items, attributes


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
        "bit_exact": device.type == "cpu",
    }
