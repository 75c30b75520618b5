"""Estimate of a run before it starts: its trainings, and the memory, disk space and time that it needs."""

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
from snakeseg.settings import Experiment, Settings, Train, patch_sides
from snakeseg.training.auto_size import choose_patch_and_batch, step_memory

# Time of a training step as a multiple of the time of its convolutions.
STEP_TIME_FACTOR = 1.5
# Timed convolutions: side length of the image in pixels, by the number of axes, and number of runs.
ESTIMATE_SIDE_PX, TIMED_RUNS = {2: 192, 3: 32}, 4
# Compressed bytes per pixel of classes, objects and weights in stores; images take 4 bytes per channel in addition.
STORED_BYTES_PER_PIXEL = 4
# Disk space of results that does not depend on the images, in bytes.
FIXED_RESULT_BYTES = 1e7
CPU = torch.device("cpu")


class EstimatedWork(NamedTuple):
    """Computations of one experiment on one fold.

    Parameters
    ----------
    name : str
        Name of the experiment.
    train : Train
        With patch and batch as numbers.
    memory : float
        Memory of a training step, in bytes.
    step, predict : float
        Floating-point operations of a training step, and of predicting all images.
    """

    name: str
    train: Train
    memory: float
    step: float
    predict: float


class ImageTotals(NamedTuple):
    """Images of a run.

    Parameters
    ----------
    pixels : float array, shape (images,)
        Number of pixels of each image.
    learned : bool array, shape (images,)
        Whether an image is used for training or validation.
    shapes : list of tuple
        Shapes of the images used for training or validation, without channels.
    channels : int
    """

    pixels: np.ndarray
    learned: np.ndarray
    shapes: list[tuple[int, ...]]
    channels: int


def estimate_run(parts: pd.Series, facts: pd.DataFrame, settings: Settings, folds: int, folder: Path) -> Iterator[str]:
    """Yield lines about images, trainings, memory, disk space and time of a run.

    Parameters
    ----------
    parts : Series
        Part of each image (training, validation, test, predict), from `assign_parts`.
    facts : DataFrame
        From `checks.inspect.inspect_rows`, in the same order.
    settings : Settings
        With at least one experiment.
    folds : int
        Number of folds that are trained.
    folder : path
        Folder of the results.

    Raises
    ------
    BadInput
        If less than half of the expected disk space is free, or not even the smallest patch fits into the memory.
    """
    images = _images(parts, facts)
    yield "images: " + ", ".join(f"{count} {part}" for part, count in parts.value_counts().items())
    works = _works(settings, images)
    for work in works:
        patch = " x ".join(map(str, patch_sides(work.train.patch, settings.spatial_dims)))
        amount = f"{work.train.minutes} minutes" if work.train.minutes else f"{work.train.steps} steps"
        yield f"training {work.name}: {folds} x {amount} of {work.train.batch} patches of {patch} pixels"
    step_gb, machine_gb = max(work.memory for work in works) / 1e9, total_memory(CPU) / 1e9
    yield f"memory: up to {step_gb:.2g} GB per training step; {machine_gb:.2g} GB on this machine"
    yield _disk_line(images, settings.augment.copies, len(works), folder)
    yield _time_line(works, settings, folds)


def _images(parts: pd.Series, facts: pd.DataFrame) -> ImageTotals:
    shapes = [tuple(map(int, text.split("x"))) for text in facts["shape"]]
    learned = ~parts.isin(["test", "predict"]).to_numpy()
    learned_shapes = [shape for shape, is_learned in zip(shapes, learned, strict=True) if is_learned]
    pixels = np.array([math.prod(shape) for shape in shapes], float)
    return ImageTotals(pixels, learned, learned_shapes, int(facts["channels"].iloc[0]))


def _works(settings: Settings, images: ImageTotals) -> list[EstimatedWork]:
    """Return the work of every experiment; experiments that differ only in the seed are computed once."""
    known: dict[str, EstimatedWork] = {}
    works = []
    for name, experiment in settings.experiments.items():
        key = repr((experiment.network, experiment.predict, replace(experiment.train, seed=0)))
        known[key] = known.get(key) or _work(experiment, settings, images)
        works.append(known[key]._replace(name=name))
    return works


def _work(experiment: Experiment, settings: Settings, images: ImageTotals) -> EstimatedWork:
    dims, network, predict = settings.spatial_dims, experiment.network, experiment.predict
    description = Description(dims, images.channels, settings.labels, network, settings.prepare, predict, None)
    train, _ = choose_patch_and_batch(experiment.train, description, images.shapes, CPU)
    share = -(-train.batch // (train.processes * train.accumulate))
    memory = step_memory(description, train.patch, share, train, CPU)
    orientations = (2**dims * 2 if train.flips is True else 2) if predict.average else 1
    passes = orientations * sum(scale**dims for scale in predict.scales)
    step = step_operations(dims, asdict(network), patch_sides(train.patch, dims), train.batch)
    return EstimatedWork(
        "", train, memory, step, passes * prediction_operations(dims, asdict(network), images.pixels.sum())
    )


def _disk_line(images: ImageTotals, copies: int, works: int, folder: Path) -> str:
    """Return the line about disk space: stores of the training images, and labels of all images."""
    bytes_per_pixel = 4 * images.channels + STORED_BYTES_PER_PIXEL
    stored = bytes_per_pixel * (1 + copies) * images.pixels[images.learned].sum()
    needed = stored + 2 * works * images.pixels.sum() + FIXED_RESULT_BYTES
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(existing).free
    if free < needed / 2:
        remedy = "free disk space, run in a folder on another disk, or lower augment.copies"
        raise BadInput(folder, f"{free / 1e9:.2g} GB free", f"about {needed / 1e9:.2g} GB for results", remedy)
    return f"disk: about {needed / 1e9:.2g} GB for results; {free / 1e9:.2g} GB free"


def _time_line(works: list[EstimatedWork], settings: Settings, folds: int) -> str:
    """Return the line about time, from the present speed of convolutions on this machine."""
    if torch.cuda.is_available():
        return "time: not estimated for GPUs; the log of the training shows the time left"
    train, predict = 0.0, 0.0
    for work in works:
        width = asdict(settings.experiments[work.name].network)["width"]
        speed = operations_per_second(settings.spatial_dims, width, work.train.precision) / STEP_TIME_FACTOR
        budget = work.train.minutes and 60 * work.train.minutes
        train += folds * (budget or work.train.steps * work.step / speed)
        predict += folds * work.predict / speed
    threads = torch.get_num_threads()
    times = f"about {_format_time(train)} for training and {_format_time(predict)} for prediction"
    return f"time: {times}, measured on this machine with {threads} thread{'s' if threads > 1 else ''}"


def operations_per_second(dims: int, width: int, precision: str) -> float:
    """Measure the floating-point operations per second of the forward pass of a 3-wide convolution on the CPU.

    Parameters
    ----------
    dims : {2, 3}
        Number of spatial dimensions.
    width : int
        Number of channels before and after the convolution.
    precision : str
        Precision of `train.precision`.
    """
    layer = CONVOLUTION[dims](width, width, 3, padding=1)
    image = torch.rand(1, width, *[ESTIMATE_SIDE_PX[dims]] * dims)
    times = []
    with torch.inference_mode(), autocast(precision, CPU):
        for _ in range(TIMED_RUNS):
            start = time.perf_counter()
            layer(image)
            times.append(time.perf_counter() - start)
    return 2 * width**2 * 3**dims * ESTIMATE_SIDE_PX[dims] ** dims / min(times)


def _format_time(seconds: float) -> str:
    """Format a time as "40 s", "12 min" or "3.5 h", with at most two digits, as accurate as the estimate."""
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.2g} h"
