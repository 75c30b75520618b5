"""Models as predictors: from folders of weights to class probabilities of tiles, and the plan of the tiles."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from snakeseg.arrays import Region, overlap
from snakeseg.devices import autocast, free_memory
from snakeseg.errors import BadInput
from snakeseg.io.images import Raster
from snakeseg.io.readers.isolated import import_paths
from snakeseg.io.store import Streamed
from snakeseg.models.checkpoint import load_model
from snakeseg.models.description import Description, model_folders
from snakeseg.models.golden import check_golden, read_golden
from snakeseg.networks.folding import fold_normalisation
from snakeseg.networks.geometry import Geometry, combine, magnified
from snakeseg.prediction.blending import run_blended
from snakeseg.prediction.overlap_tile import (
    UNCERTAINTY,
    OnTile,
    Piece,
    likeliest_class,
    run_tiles,
    tile_logits_over,
    tile_probabilities,
)
from snakeseg.prediction.tile_plan import Costs, Plan, Sample, plan_tiles, price_tiles
from snakeseg.prediction.tiles import PLAIN_TILE, is_blended, part_of, tile_shape, tiles_of_part
from snakeseg.prediction.timing import cache_path, keep_samples, read_samples, used_memory
from snakeseg.progress import tell
from snakeseg.transforms.flips import orientations
from snakeseg.transforms.normalise import foreground_box, normalise
from snakeseg.transforms.resample import on_spacing

# Tiles that are read ahead, computed and written at the same time.
IN_FLIGHT = 3
# Pixels whose sizes differ by less are taken for the same.
SAME_SPACING = 1.2
# Largest factor of resampling along an axis; beyond it, the time and memory are out of proportion to the image.
MAX_MAGNIFICATION = 50


class Predictor(NamedTuple):
    """One model or the mean of several: where, what they are, and the answer to a tile."""

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
        Tell the uncertainty of each pixel too.
    skip_golden : bool
        Believe the models without asking them what they were asked when they were trained.

    Raises
    ------
    BadInput
        If a folder holds no model, one that fails its golden check, or one that answers to other channels or with other
        classes than the first.
    """
    found = [one for folder in folders for one in model_folders(folder, folds)]
    networks, descriptions = zip(*(load_model(one, device) for one in found), strict=True)
    if not skip_golden:
        for one, network in zip(found, networks, strict=True):
            _check(one, network)
    first = descriptions[0]
    for one, other in zip(found, descriptions, strict=True):
        alike = ["dims", "channels", "labels", "classes", "prepare"] + ["spacing"] * bool(first.prepare.spacing)
        for what in alike:
            given, expected = (str(getattr(description, what)) for description in (other, first))
            if given != expected:
                raise BadInput(one, f"{what} {given}", f"{expected}, as of {found[0]}", "average models of one kind")
        if first.prepare.scope == "dataset" and any(
            other.statistics[key] != first.statistics[key] for key in ("offset", "scale")
        ):
            raise BadInput(one, "other grey statistics", f"those of {found[0]}", "average models of one data set")
    geometries, scales = [description.geometry for description in descriptions], first.predict.scales
    common = combine([magnified(geometry, scale) for geometry in geometries for scale in scales])
    logits = [
        tile_logits_over(scales, fold_normalisation(network), geometry, common)
        for network, geometry in zip(networks, geometries, strict=True)
    ]
    mean = tile_probabilities(logits, first.averaged, uncertainty)

    def work(seen: torch.Tensor) -> torch.Tensor:
        with autocast(first.predict.precision, device):
            return mean(seen).half()

    return Predictor(found, first, common, device, work, uncertainty)


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


def fit(predictor: Predictor, raster: Raster) -> Raster:
    """The image, or one resampled to the pixel size trained on: always, if `prepare.spacing` brought all images to
    one; otherwise if sizes are known and differ, and `predict.spacing` says so.

    Raises
    ------
    BadInput
        If it has other channels than those trained on, or another pixel size that is to be refused.
    """
    description = predictor.description
    if raster.array.shape[0] != description.channels:
        expected = f"{description.channels}, as in training"
        raise BadInput(raster.path, f"{raster.array.shape[0]} channels", expected, "convert the image")
    ours, theirs = description.spacing or [], raster.spacing
    if description.prepare.spacing:
        return _resampled(raster, ours)
    told = all(any(size != 1 for size in sizes) for sizes in (ours, theirs))
    if not told or description.predict.spacing == "ignore":
        return raster
    ratios = np.divide(theirs, ours)
    if ratios.max() <= SAME_SPACING and ratios.min() >= 1 / SAME_SPACING:
        return raster
    if description.predict.spacing == "resample":
        return _resampled(raster, ours)
    found, expected = (" x ".join(f"{size:g}" for size in sizes) for sizes in (theirs, ours))
    remedy = "correct its spacing, or set predict.spacing to resample or ignore in model.json"
    raise BadInput(raster.path, f"pixels of {found}", f"about {expected}, as in training", remedy)


def _resampled(raster: Raster, spacing: Sequence[float]) -> Raster:
    """The image with another pixel size; BadInput if that would be far from its own."""
    if max(*np.divide(raster.spacing, spacing), *np.divide(spacing, raster.spacing)) > MAX_MAGNIFICATION:
        found, expected = (" x ".join(f"{size:g}" for size in sizes) for sizes in (raster.spacing, spacing))
        expected = f"at most {MAX_MAGNIFICATION} times more or less than {expected}, as in training"
        raise BadInput(raster.path, f"pixels of {found}", expected, "correct its spacing, or take another model")
    return replace(raster, array=on_spacing(raster.array, raster.spacing, spacing), spacing=tuple(spacing))


def pieces(
    predictor: Predictor,
    raster: Raster,
    stride: Sequence[int],
    tiles: Iterable[Region] | None = None,
    box: Region | None = None,
) -> Iterator[Piece]:
    """Class probabilities (and uncertainty) of an image that was made to `fit`, tile by tile, float16.

    The image is normalised by what is in the box, if there is one.

    Raises
    ------
    BadInput
        While the image is read, if it has pixels that are no numbers.
    """
    description, geometry = predictor.description, predictor.geometry
    image = normalise(raster.array, description.prepare, description.statistics, box)
    run = run_blended if is_blended(image.shape[1:], stride, geometry) else run_tiles
    return run(predictor.work, image, geometry, stride, predictor.device, tiles)


def answers(
    predictor: Predictor,
    raster: Raster,
    stride: Sequence[int],
    part: tuple[int, int] = (0, 1),
    keep: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> Streamed | None:
    """What is predicted for an image, as arrays that come tile by tile.

    Where training saw images without their plain edge, so does predicting: tiles beyond the box of all else are
    background, and no network is asked.

    Parameters
    ----------
    predictor : Predictor
    raster : Raster
        As from `fit`.
    stride : sequence of int
        Of the tiles.
    part : (index, count)
        Only so many of the rows of tiles, along the first axis.
    keep : bool
        Probabilities also where the likeliest class is all that is needed.
    tick : function
        Called after each tile.

    Returns
    -------
    Streamed or None
        "classes", uint8, one channel, of semantic labels; else, or if they are to be kept, "probabilities", float16,
        and, if the predictor tells it, "uncertainty". None if the part holds no row of tiles.
    """
    shape = raster.array.shape[1:]
    first, last = part_of(shape[0], stride[0], *part)
    if first == last:
        return None
    description, work = predictor.description, predictor.work
    channels, kind = {"probabilities": description.classes}, np.float16
    if predictor.uncertainty:
        channels |= {"uncertainty": len(UNCERTAINTY)}
    elif description.labels.kind == "semantic" and not keep and not _is_changed_later(predictor, shape, stride):
        channels, kind = {"classes": 1}, np.uint8
        predictor = predictor._replace(work=lambda seen: likeliest_class(work(seen)))

    box, tiles = foreground_box(raster.array, description.prepare), tiles_of_part(shape, stride, *part)
    inside = [tile for tile in tiles if overlap(tile, box)]

    def found() -> Iterator[Piece]:
        plain = np.zeros((sum(channels.values()), *(1,) * len(shape)), kind)
        plain[0] = "probabilities" in channels  # of the background, which is also the class 0
        for tile in (tile for tile in tiles if not overlap(tile, box)):
            yield tile, np.broadcast_to(plain, (len(plain), *(r.stop - r.start for r in tile)))
        if inside:
            yield from pieces(predictor, raster, stride, inside, box)

    def shifted() -> Iterator[Piece]:
        for region, answer in found():
            tick()
            yield (slice(region[0].start - first, region[0].stop - first), *region[1:]), answer

    extent = (last - first, *shape[1:])
    chunks = tuple(min(step, size) for step, size in zip(stride, extent, strict=True))
    return Streamed(channels, extent, chunks, np.dtype(kind), shifted())


def _is_changed_later(predictor: Predictor, shape: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether probabilities are blended or resampled, so that a tile does not know the likeliest class yet."""
    description = predictor.description
    resampled = description.prepare.spacing is not None or description.predict.spacing == "resample"
    return resampled or is_blended(shape, stride, predictor.geometry)
