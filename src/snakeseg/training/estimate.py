"""Estimate, before a run, what it will do and the memory, disk and time that it takes, as lines of text."""

import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from snakeseg.devices import autocast, total_memory
from snakeseg.errors import BadInput
from snakeseg.models.description import Description
from snakeseg.networks.blocks import CONVOLUTION
from snakeseg.networks.costs import prediction_operations, step_operations
from snakeseg.settings import Experiment, Settings, Train, sides
from snakeseg.training.auto_size import choose_patch_and_batch, step_bytes

# Time of a step, as a multiple of that of its convolutions.
ELSE = 1.5
# Convolutions that are timed: pixels a side, by number of axes, and how often.
TIMED, RUNS = {2: 192, 3: 32}, 4
# Bytes a pixel that stores hold, besides four for each channel: classes, objects, weights, as they pack.
STORED = 4


class Work(NamedTuple):
    """The work of one experiment, once for each fold.

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


class Images(NamedTuple):
    """The images of a run.

    Parameters
    ----------
    pixels : array of float
        Of each image.
    learned : array of bool
        Whether it is one to train or validate on.
    shapes : list of tuple
        Of those.
    channels : int
    """

    pixels: np.ndarray
    learned: np.ndarray
    shapes: list[tuple[int, ...]]
    channels: int


CPU = torch.device("cpu")


def estimate_run(parts: pd.Series, facts: pd.DataFrame, settings: Settings, folds: int, folder: Path) -> Iterator[str]:
    """Lines about images, trainings, memory, disk and time.

    Parameters
    ----------
    parts : Series
        From `parts_of`.
    facts : DataFrame
        From `checks.inspect.inspect`, in the same order.
    settings : Settings
        With at least one experiment.
    folds : int
        Number of folds that are trained.
    folder : path
        Where results go.

    Raises
    ------
    BadInput
        If the disk has less than half of the room that results may take.
    """
    images = _images(parts, facts)
    yield "images: " + ", ".join(f"{count} {part}" for part, count in parts.value_counts().items())
    works = _works(settings, images)
    for work in works:
        patch = " x ".join(map(str, sides(work.train.patch, settings.spatial_dims)))
        amount = f"{work.train.minutes} minutes" if work.train.minutes else f"{work.train.steps} steps"
        yield f"training {work.name}: {folds} x {amount} of {work.train.batch} patches of {patch} pixels"
    most = max(work.memory for work in works)
    yield f"memory: up to {most / 1e9:.2g} GB for a step of training; {total_memory(CPU) / 1e9:.2g} GB here"
    yield _disk(images, settings.augment.copies, len(works), folder)
    yield _time(works, settings, folds)


def _images(parts: pd.Series, facts: pd.DataFrame) -> Images:
    shapes = [tuple(map(int, text.split("x"))) for text in facts["shape"]]
    learned = ~parts.isin(["test", "predict"]).to_numpy()
    used = [shape for shape, own in zip(shapes, learned, strict=True) if own]
    return Images(
        np.array([math.prod(shape) for shape in shapes], float), learned, used, int(facts["channels"].iloc[0])
    )


def _works(settings: Settings, images: Images) -> list[Work]:
    """The work of every experiment; repeats of one with other seeds take the same."""
    known: dict[str, Work] = {}
    works = []
    for name, experiment in settings.experiments.items():
        key = repr((experiment.network, experiment.predict, replace(experiment.train, seed=0)))
        known[key] = known.get(key) or _work(experiment, settings, images)
        works.append(known[key]._replace(name=name))
    return works


def _work(experiment: Experiment, settings: Settings, images: Images) -> Work:
    dims, network, predict = settings.spatial_dims, experiment.network, experiment.predict
    described = Description(dims, images.channels, settings.labels, network, settings.prepare, predict, None)
    train, _ = choose_patch_and_batch(experiment.train, described, images.shapes, CPU)
    share = -(-train.batch // (train.processes * train.accumulate))
    memory = step_bytes(described, train.patch, share, train, CPU)
    orientations = (2**dims * 2 if train.flips is True else 2) if predict.average else 1
    passes = orientations * sum(scale**dims for scale in predict.scales)
    step = step_operations(dims, asdict(network), sides(train.patch, dims), train.batch)
    return Work("", train, memory, step, passes * prediction_operations(dims, asdict(network), images.pixels.sum()))


def _disk(images: Images, copies: int, works: int, folder: Path) -> str:
    """Stores of the training images, and labels of all."""
    stored = (4 * images.channels + STORED) * (1 + copies) * images.pixels[images.learned].sum()
    wanted = stored + 2 * works * images.pixels.sum() + 1e7
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    if free < wanted / 2:
        remedy = "free some, work elsewhere, or lower augment.copies"
        raise BadInput(folder, f"{free / 1e9:.2g} GB free", f"about {wanted / 1e9:.2g} GB for results", remedy)
    return f"disk: about {wanted / 1e9:.2g} GB of results; {free / 1e9:.2g} GB free"


def _time(works: list[Work], settings: Settings, folds: int) -> str:
    """By how fast this machine convolves now."""
    if torch.cuda.is_available():
        return "time: not told beforehand with a GPU; the training's log tells it"
    train, predict = 0.0, 0.0
    for work in works:
        width = asdict(settings.experiments[work.name].network)["width"]
        speed = operations_a_second(settings.spatial_dims, width, work.train.precision) / ELSE
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
