"""Models as predictors: from folders of weights to a function of tiles, and the plan of the tiles."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

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
from snakeseg.prediction.overlap_tile import OnTile, tile_logits_over, tile_probabilities
from snakeseg.prediction.tile_plan import Costs, Plan, Sample, plan_tiles, price_tiles
from snakeseg.prediction.tiles import PLAIN_TILE, tile_shape
from snakeseg.prediction.timing import cache_path, keep_samples, read_samples, used_memory
from snakeseg.progress import tell
from snakeseg.transforms.flips import orientations

# Tiles that are read ahead, computed and written at the same time.
IN_FLIGHT = 3


class Predictor(NamedTuple):
    """One model or the mean of several: their folders, the first one's description, and what maps tiles to output."""

    folders: list[Path]
    description: Description
    geometry: Geometry
    device: torch.device
    work: OnTile
    uncertainty: bool = False


def load_predictor(
    folders: Sequence[Path],
    device: torch.device,
    folds: Sequence[int] | None = None,
    uncertainty: bool = False,
    skip_golden: bool = False,
) -> Predictor:
    """The model in a folder, or the mean of the fold-* models in it; or the mean over several such folders.

    Parameters
    ----------
    folders : sequence of path
    device : torch.device
    folds : sequence of int, optional
        Take only the folds of these numbers of each.
    uncertainty : bool
        Compute the uncertainty of each pixel too.
    skip_golden : bool
        Do not compare the models' outputs with those of their training.

    Raises
    ------
    BadInput
        If a folder holds no model, one that fails its golden check, or one of other channels or classes than the first.
    """
    found = [model for folder in folders for model in model_folders(folder, folds)]
    networks, descriptions = zip(*(load_model(model, device) for model in found), strict=True)
    if not skip_golden:
        for model, network in zip(found, networks, strict=True):
            _check(model, network)
    for model, description in zip(found, descriptions, strict=True):
        _require_alike(model, description, found[0], descriptions[0])
    first, geometries = descriptions[0], [description.geometry for description in descriptions]
    common = combine([magnified(geometry, scale) for geometry in geometries for scale in first.predict.scales])
    logits = [
        tile_logits_over(first.predict.scales, fold_normalisation(network), geometry, common)
        for network, geometry in zip(networks, geometries, strict=True)
    ]
    work = _in_precision(first.predict.precision, device, tile_probabilities(logits, first.averaged, uncertainty))
    return Predictor(found, first, common, device, work, uncertainty)


def _in_precision(precision: str, device: torch.device, probabilities: OnTile) -> OnTile:
    """The function, computed in a precision, its output in float16."""

    def work(seen: torch.Tensor) -> torch.Tensor:
        with autocast(precision, device):
            return probabilities(seen).half()

    return work


def _require_alike(model: Path, other: Description, first_model: Path, first: Description) -> None:
    """Raise BadInput unless the probabilities of two models can be averaged."""
    for key in ["dims", "channels", "labels", "classes", "prepare"] + ["spacing"] * bool(first.prepare.spacing):
        found, expected = (str(getattr(description, key)) for description in (other, first))
        if found != expected:
            raise BadInput(model, f"{key} {found}", f"{expected}, as of {first_model}", "average models of one kind")
    if first.prepare.scope == "dataset" and any(
        other.statistics[key] != first.statistics[key] for key in ("offset", "scale")
    ):
        raise BadInput(model, "other grey statistics", f"those of {first_model}", "average models of one data set")


def _check(folder: Path, network: torch.nn.Module) -> None:
    golden = read_golden(folder)
    if golden is None:
        tell(f"{folder} has no golden.safetensors to check it by, as models of earlier versions")
    else:
        check_golden(folder, network, golden)


def plan(predictor: Predictor, shape: Sequence[int], budget: float | None = None) -> Plan:
    """How an image will be tiled, what that takes, and how long.

    Parameters
    ----------
    predictor : Predictor
    shape : sequence of int
        Of the image, without channels.
    budget : float
        Bytes of memory; half of what is free if not given.
    """
    description, device = predictor.description, predictor.device
    # Of a tile, its pixels where they are magnified most are what was measured.
    sizes = [scale**description.dims for scale in description.predict.scales]
    passes = len(predictor.folders) * len(list(orientations(description.averaged))) * sum(sizes) / max(sizes)
    buffer = IN_FLIGHT * (8 * description.channels + 2 * description.classes)
    own = [s._replace(pixels=s.pixels / max(sizes)) for s in _samples(predictor)]
    samples = [s._replace(memory=s.memory + buffer * s.pixels) for s in own]
    costs = Costs(samples, passes, used_memory(device))
    if description.predict.tile == "auto":
        budget = costs.fixed + free_memory(device) / 2 if budget is None else budget
        return plan_tiles(shape, predictor.geometry, costs, budget)
    stride = tile_shape(shape, predictor.geometry, description.predict.tile)
    return price_tiles(shape, stride, predictor.geometry, costs)


def choose_stride(predictor: Predictor, shape: Sequence[int], budget: float | None = None) -> tuple[int, ...]:
    """The stride of `plan`, without trying any tiles where there is nothing to choose."""
    tile, plain = predictor.description.predict.tile, PLAIN_TILE[predictor.description.dims]
    if tile == "auto" and max(shape) > plain:
        return plan(predictor, shape, budget).stride
    return tile_shape(shape, predictor.geometry, plain if tile == "auto" else tile)


def choose_strides(
    predictor: Predictor, images: Mapping[str, OpenImage], budget: float | None = None
) -> dict[str, tuple[int, ...]]:
    """The stride of the tiles of every image, by name."""
    return {name: choose_stride(predictor, image.shape, budget) for name, image in images.items()}


def _samples(predictor: Predictor) -> list[Sample]:
    """Tried once for a network on a device, by a process of its own, and kept."""
    kept = cache_path(predictor.description, predictor.device)
    if found := read_samples(kept):
        return found
    with tempfile.TemporaryDirectory() as folder:
        output, threads = Path(folder, "samples.json"), torch.get_num_threads()
        command = ["calibrate", "--model", predictor.folders[0], "--output", output, "--threads", threads]
        command += ["--gpus", int(predictor.device.type != "cpu")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(import_paths())}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "snakeseg", *map(str, command)], env=environment, check=False
        )
        found = read_samples(output)
    if found is None:
        raise BadInput(
            "predict.tile", f"no tile could be tried (exit {done.returncode})", "some", "set it in model.json"
        )
    return keep_samples(kept, found)
