"""Predictors: models loaded from folders as a function of tiles, and the tile plans of images."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from snakeseg.devices import autocast, free_memory
from snakeseg.errors import BadInput
from snakeseg.io.readers.isolated import import_paths
from snakeseg.models.checkpoint import load_model
from snakeseg.models.description import Description, model_folders
from snakeseg.models.golden import check_golden, read_golden
from snakeseg.networks.folding import fold_normalisation
from snakeseg.networks.geometry import Geometry, combine, magnified
from snakeseg.prediction.images import OpenImage
from snakeseg.prediction.overlap_tile import TileFunction, tile_logits_at_scales, tile_probabilities
from snakeseg.prediction.tile_plan import TileCosts, TileMeasurement, TilePlan, plan_tiles, price_tiles
from snakeseg.prediction.tiles import DEFAULT_TILE_PIXELS, fixed_stride
from snakeseg.prediction.timing import cache_path, read_samples, used_memory, write_samples
from snakeseg.progress import log
from snakeseg.transforms.flips import orientations
from snakeseg.transforms.resample import has_same_spacing

# Number of tiles in memory at the same time: one is read, one computed, one written.
TILES_IN_FLIGHT = 3


class Predictor(NamedTuple):
    """One model, or several models whose class probabilities are averaged.

    Parameters
    ----------
    folders : list of path
        Folders of the models.
    description : Description
        Description of the first model.
    geometry : Geometry
        Geometry of the tiles.
    device : torch.device
    work : function
        Maps the input of a tile (channels, *(stride + 2 * halo)) to float16 class probabilities (classes, *stride).
    uncertainty : bool
        Whether the output of `work` has the three channels of uncertainty after the classes.
    """

    folders: list[Path]
    description: Description
    geometry: Geometry
    device: torch.device
    work: TileFunction
    uncertainty: bool = False


def load_predictor(
    folders: Sequence[Path],
    device: torch.device,
    folds: Sequence[int] | None = None,
    uncertainty: bool = False,
    skip_golden: bool = False,
) -> Predictor:
    """Load all models in folders; their class probabilities are averaged.

    Parameters
    ----------
    folders : sequence of path
        Each is a model folder, or contains models in folders ``fold-*``.
    device : torch.device
    folds : sequence of int, optional
        Numbers of the folds to load from each folder. Default: all.
    uncertainty : bool
        Compute the uncertainty of each pixel as well.
    skip_golden : bool
        Do not compare the output of the models with the output at the end of their training.

    Raises
    ------
    BadInput
        If a folder contains no model, a model fails its golden check, or its channels, classes or normalisation differ
        from those of the first model.
    """
    models = [model for folder in folders for model in model_folders(folder, folds)]
    networks, descriptions = zip(*(load_model(model, device) for model in models), strict=True)
    if not skip_golden:
        for model, network in zip(models, networks, strict=True):
            _check_golden_output(model, network)
    for model, description in zip(models, descriptions, strict=True):
        _require_same_kind(model, description, models[0], descriptions[0])
    first = descriptions[0]
    scales = first.predict.scales
    common = combine([magnified(own.geometry, scale) for own in descriptions for scale in scales])
    logits = [
        tile_logits_at_scales(scales, fold_normalisation(network), description.geometry, common)
        for network, description in zip(networks, descriptions, strict=True)
    ]
    logits = [_renormalised(work, first, own) for work, own in zip(logits, descriptions, strict=True)]
    probabilities = tile_probabilities(logits, first.averaged, uncertainty)
    compute_tile = _in_precision(first.predict.precision, device, probabilities)
    return Predictor(models, first, common, device, compute_tile, uncertainty)


def _in_precision(precision: str, device: torch.device, probabilities: TileFunction) -> TileFunction:
    """Return a function that computes probabilities in a precision, with float16 output."""

    def compute_tile(tile_input: torch.Tensor) -> torch.Tensor:
        with autocast(precision, device):
            return probabilities(tile_input).half()

    return compute_tile


def _require_same_kind(model: Path, other: Description, first_model: Path, first: Description) -> None:
    """Raise BadInput unless the probabilities of two models can be averaged."""
    remedy = "leave it out of --ensemble"
    for key in ("dims", "channels", "labels", "classes", "prepare"):
        found, expected = (str(getattr(description, key)) for description in (other, first))
        if found != expected:
            raise BadInput(model, f"{key} {found}", f"{expected}, as of {first_model}", remedy)
    # The folds of a run with `prepare.spacing: auto` have their own medians. All predict on the grid of the first.
    if first.prepare.spacing and not has_same_spacing(other.spacing, first.spacing):
        raise BadInput(model, f"spacing {other.spacing}", f"{first.spacing}, as of {first_model}", remedy)


def _renormalised(work: TileFunction, first: Description, own: Description) -> TileFunction:
    """Return a function of tiles that are normalised for the first model, for a model with its own statistics."""
    if own.prepare.scope != "dataset" or own.statistics == first.statistics:
        return work
    (offset, scale), (own_offset, own_scale) = (
        np.array([description.statistics[key] for key in ("offset", "scale")]) for description in (first, own)
    )
    column = (-1, *(1,) * own.dims)
    factor = torch.from_numpy((scale / own_scale).astype(np.float32).reshape(column))
    shift = torch.from_numpy(((offset - own_offset) / own_scale).astype(np.float32).reshape(column))
    return lambda tile_input: work(tile_input * factor.to(tile_input.device) + shift.to(tile_input.device))


def _check_golden_output(folder: Path, network: torch.nn.Module) -> None:
    golden = read_golden(folder)
    if golden is None:
        log(f"{folder} has no golden.safetensors, like models of earlier versions: its output is not checked")
    else:
        check_golden(folder, network, golden)


def plan_image(predictor: Predictor, shape: Sequence[int], budget: float | None = None) -> TilePlan:
    """Choose the tiles of an image, and estimate time and memory of its prediction.

    Parameters
    ----------
    predictor : Predictor
    shape : sequence of int
        Shape of the image on the network's grid, without channels.
    budget : float, optional
        Memory in bytes. Default: what the process holds already and half of the free memory.

    Returns
    -------
    TilePlan
    """
    description, device = predictor.description, predictor.device
    # Measured tiles are inputs of the network. At the largest scale, they have `max(sizes)` times the pixels of a tile.
    sizes = [scale**description.dims for scale in description.predict.scales]
    passes = len(predictor.folders) * len(list(orientations(description.averaged))) * sum(sizes) / max(sizes)
    buffer = TILES_IN_FLIGHT * (8 * description.channels + 2 * description.classes)
    unscaled = [s._replace(pixels=s.pixels / max(sizes)) for s in _measured_samples(predictor)]
    samples = [s._replace(memory=s.memory + buffer * s.pixels) for s in unscaled]
    costs = TileCosts(samples, passes, used_memory(device))
    if description.predict.tile == "auto":
        budget = costs.fixed + free_memory(device) / 2 if budget is None else budget
        return plan_tiles(shape, predictor.geometry, costs, budget)
    stride = fixed_stride(shape, predictor.geometry, description.predict.tile)
    return price_tiles(shape, stride, predictor.geometry, costs)


def choose_stride(predictor: Predictor, shape: Sequence[int], budget: float | None = None) -> tuple[int, ...]:
    """Choose the stride of an image's tiles in pixels, one per axis.

    Tiles are timed (`plan_image`) only if `predict.tile` is "auto" and the image exceeds the default tile. Parameters
    are those of `plan_image`.
    """
    tile, default = predictor.description.predict.tile, DEFAULT_TILE_PIXELS[predictor.description.dims]
    if tile == "auto" and max(shape) > default:
        return plan_image(predictor, shape, budget).stride
    return fixed_stride(shape, predictor.geometry, default if tile == "auto" else tile)


def choose_strides(
    predictor: Predictor, images: Mapping[str, OpenImage], budget: float | None = None
) -> dict[str, tuple[int, ...]]:
    """Choose the stride of the tiles of every image, by name; see `choose_stride`."""
    return {name: choose_stride(predictor, image.shape, budget) for name, image in images.items()}


def _measured_samples(predictor: Predictor) -> list[TileMeasurement]:
    """Return the measured tiles of a network on a device: from the cache, or measured in a separate process."""
    cache = cache_path(predictor.description, predictor.device)
    if samples := read_samples(cache):
        return samples
    with tempfile.TemporaryDirectory() as folder:
        output, threads = Path(folder, "samples.json"), torch.get_num_threads()
        command = ["calibrate", "--model", predictor.folders[0], "--output", output, "--threads", threads]
        command += ["--gpus", int(predictor.device.type != "cpu")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(import_paths())}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "snakeseg", *map(str, command)], env=environment, check=False
        )
        samples = read_samples(output)
    if samples is None:
        raise BadInput(
            "predict.tile", f"no tile that could be measured (exit status {done.returncode} of snakeseg calibrate)",
            "at least one", "set predict.tile to a number of pixels, such as 256, in the config or in model.json",
        )  # fmt: skip
    return write_samples(cache, samples)
