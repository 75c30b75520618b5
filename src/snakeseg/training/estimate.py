"""What a run would do, and what it would take of memory, disk and time, in words and before it does it."""

import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from snakeseg.devices import autocast, total_memory
from snakeseg.errors import BadInput
from snakeseg.models.description import Description
from snakeseg.networks.blocks import CONVOLUTION
from snakeseg.networks.measures import operations
from snakeseg.networks.registry import geometry_of
from snakeseg.settings import Labels, Network, Predict, Prepare, Train, build, sides
from snakeseg.training.auto_size import choose_patch_and_batch, step_bytes

# Passes forward that a step of training costs; pixels that overlapping tiles read for each.
BACKWARD, OVERLAP = 3, 2
# What else a step does than convolutions.
ELSE = 1.5
# Convolutions that are timed: pixels a side, by number of axes, and how often.
TIMED, RUNS = {2: 192, 3: 32}, 4
# Bytes a pixel that stores hold, besides four for each channel: classes, objects, weights, as they pack.
STORED = 4


class Work(NamedTuple):
    """What one experiment does, once for each fold.

    Parameters
    ----------
    name : str
    train : Train
        With numbers in place of "auto".
    memory : float
        Bytes of a step.
    step, predict : float
        Operations of a step, and of predicting all rows.
    """

    name: str
    train: Train
    memory: float
    step: float
    predict: float


def outlook(
    parts: pd.Series, facts: pd.DataFrame, dims: int, labels: Labels, networks: dict[str, Network],
    plans: dict[str, dict], folds: int, copies: int, folder: Path,
) -> Iterator[str]:  # fmt: skip
    """Lines about images, trainings, memory, disk and time.

    Parameters
    ----------
    parts : Series
        From `parts_of`.
    facts : DataFrame
        From `checks.inspect.inspect`, in the same order.
    dims : int
    labels : Labels
    networks : dict
        The network of every experiment.
    plans : dict
        Its sections `train` and `predict`.
    folds : int
        How many are trained.
    copies : int
        Elastic copies of each training image.
    folder : path
        Where results go.

    Raises
    ------
    BadInput
        If there is not half of the room on the disk that results may take.
    """
    shapes = [tuple(map(int, text.split("x"))) for text in facts["shape"]]
    pixels = np.array([math.prod(shape) for shape in shapes], float)
    channels = int(facts["channels"].iloc[0])
    learned = ~parts.isin(["test", "predict"]).to_numpy()
    yield "images: " + ", ".join(f"{count} {part}" for part, count in parts.value_counts().items())
    used = [shape for shape, own in zip(shapes, learned, strict=True) if own]
    made: dict[str, Work] = {}  # repeats of an experiment with other seeds take the same
    works = []
    for name, plan in plans.items():
        key = repr((networks[name], plan["predict"], {**plan["train"], "seed": 0}))
        made[key] = made.get(key) or _work(networks[name], plan, used, pixels.sum(), dims, channels, labels)
        works.append(made[key]._replace(name=name))
    for work in works:
        patch = " x ".join(map(str, sides(work.train.patch, dims)))
        amount = f"{work.train.minutes} minutes" if work.train.minutes else f"{work.train.steps} steps"
        yield f"training {work.name}: {folds} x {amount} of {work.train.batch} patches of {patch} pixels"
    most = max(work.memory for work in works)
    yield f"memory: up to {most / 1e9:.2g} GB for a step of training; {total_memory(CPU) / 1e9:.2g} GB here"
    yield _disk(pixels, learned, channels, copies, len(works), folder)
    yield _time(works, dims, folds, networks)


CPU = torch.device("cpu")


def _work(network: Network, plan: dict, shapes: list, pixels: float, dims: int, channels: int, labels: Labels) -> Work:
    predict = build(Predict, plan["predict"])
    described = Description(dims, channels, labels, network, Prepare(), predict, None)
    train, _ = choose_patch_and_batch(build(Train, plan["train"]), described, shapes, CPU)
    seen = geometry_of(dims, network).training.input_size(sides(train.patch, dims))
    forward = operations(described.make_network, channels, seen)
    share = -(-train.batch // (train.processes * train.accumulate))
    memory = step_bytes(described, train.patch, share, train, CPU)
    orientations = (2**dims * 2 if train.flips is True else 2) if predict.average else 1
    passes = OVERLAP * orientations * sum(scale**dims for scale in predict.scales)
    predicted = forward / math.prod(seen) * passes * pixels
    return Work("", train, memory, BACKWARD * forward * train.batch, predicted)


def _disk(pixels: np.ndarray, learned: np.ndarray, channels: int, copies: int, works: int, folder: Path) -> str:
    """Stores of the training images, and labels of all."""
    wanted = (4 * channels + STORED) * (1 + copies) * pixels[learned].sum() + 2 * works * pixels.sum() + 1e7
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    if free < wanted / 2:
        remedy = "free some, work elsewhere, or lower augment.copies"
        raise BadInput(folder, f"{free / 1e9:.2g} GB free", f"about {wanted / 1e9:.2g} GB for results", remedy)
    return f"disk: about {wanted / 1e9:.2g} GB of results; {free / 1e9:.2g} GB free"


def _time(works: list[Work], dims: int, folds: int, networks: dict[str, Network]) -> str:
    """By how fast this machine convolves now."""
    if torch.cuda.is_available():
        return "time: not told beforehand with a GPU; the training's log tells it"
    train, predict = 0.0, 0.0
    for work in works:
        width = getattr(networks[work.name], "width", 16)
        speed = operations_a_second(dims, width, work.train.precision) / ELSE
        budget = work.train.minutes and 60 * work.train.minutes
        train += folds * (budget or work.train.steps * work.step / speed)
        predict += folds * work.predict / speed
    threads = torch.get_num_threads()
    told = f"about {_told(train)} to train and {_told(predict)} to predict"
    return f"time: {told}, by this machine's speed now, with {threads} thread{'s' if threads > 1 else ''}"


def operations_a_second(dims: int, width: int, precision: str) -> float:
    """Of a convolution of so many channels, timed forward."""
    layer = CONVOLUTION[dims](width, width, 3, padding=1)
    image = torch.rand(1, width, *[TIMED[dims]] * dims)
    times = []
    with torch.inference_mode(), autocast(precision, CPU):
        for _ in range(RUNS):
            start = time.perf_counter()
            layer(image)
            times.append(time.perf_counter() - start)
    return 2 * width**2 * 3**dims * TIMED[dims] ** dims / min(times)


def _told(seconds: float) -> str:
    """Two digits at most: it is not known any better."""
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.2g} h"
