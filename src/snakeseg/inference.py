"""Overlap-tile inference: class probabilities of an image of any size, without seams."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from snakeseg.checkpoint import Description, load_model, load_parameters, model_folders
from snakeseg.devices import autocast
from snakeseg.errors import BadInput
from snakeseg.grey import normalise
from snakeseg.instances import Parameters, segment
from snakeseg.io.raster import Raster
from snakeseg.losses import weighted_cross_entropy
from snakeseg.networks.folding import fold_normalisation
from snakeseg.networks.measures import network_checkerboard, operations, parameters
from snakeseg.settings import Labels, Network
from snakeseg.tiling import Geometry, lay_tiles, read_mirrored, tile_shape

# Side of the image that is timed, by number of axes.
TIMED_SIDE = {2: 512, 3: 64}
OnTile = Callable[[np.ndarray], np.ndarray]
Piece = tuple[tuple[slice, ...], np.ndarray]


class Predictor(NamedTuple):
    """One model or the mean of several: what it is, how its objects are cut, and what it gives for an image."""

    description: Description
    parameters: Parameters
    probabilities: Callable[[Raster], np.ndarray]


def load_predictor(folder: Path, device: torch.device, count: int | None = None) -> Predictor:
    """The model in a folder, or the mean of the fold-* models in it, of the first `count` if that is given.

    Raises
    ------
    BadInput
        If a folder holds no model, or (on calling `probabilities`) an image has other channels than the model's.
    """
    folders = model_folders(folder)[:count]
    networks, descriptions = zip(*(load_model(f, device) for f in folders), strict=True)
    networks = [fold_normalisation(network) for network in networks]
    first = descriptions[0]

    work = tile_probabilities([tile_logits(n, first.geometry, device) for n in networks], first.predict.average)

    def run(raster: Raster) -> np.ndarray:
        if len(raster.array) != first.channels:
            raise BadInput(
                raster.path, f"{len(raster.array)} channels", f"{first.channels}, as in training", "convert the image"
            )
        image = normalise(raster.array, first.prepare, first.statistics)
        with autocast(first.predict.precision, device):
            pieces = run_tiles(work, image, first.geometry, first.predict.tile)
            return assemble(pieces, image.shape[1:], np.float16)

    return Predictor(first, load_parameters(folders[0]) or Parameters(), run)


def label_image(probability: np.ndarray, labels: Labels, parameters: Parameters) -> np.ndarray:
    """What is written for an image: the value of the likeliest class, or uint32 ids of the objects.

    Parameters
    ----------
    probability : float array, shape (classes, *spatial)
    """
    if labels.kind == "semantic":
        return np.array(list(labels.values.values()))[probability.argmax(axis=0)]
    return segment(*foreground_and_interior(probability), parameters)


def foreground_and_interior(probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of being in an object, and off its edge, from that of background, interior (and edge)."""
    return probability[1:].sum(axis=0, dtype=np.float32), probability[1].astype(np.float32)


def tiled_logits(
    network: nn.Module, image: np.ndarray, geometry: Geometry, tile: int, device: torch.device | str = "cpu"
) -> np.ndarray:
    """Logits of an image, tile by tile; equal to one pass over the mirrored whole, at any tile size.

    Parameters
    ----------
    network : Module
        In evaluation mode.
    image : float array, shape (channels, *spatial)
    geometry : Geometry
        The network's halo and stride multiple.
    tile : int
        Largest stride of the tiles along each axis, in pixels.
    device : torch.device

    Returns
    -------
    float array, shape (classes, *spatial), of the network's type
    """
    return assemble(run_tiles(tile_logits(network, geometry, device), image, geometry, tile), image.shape[1:])


def run_tiles(work: OnTile, image: np.ndarray, geometry: Geometry, tile: int) -> Iterator[Piece]:
    """Apply a function to every tile of an image, in C order.

    Parameters
    ----------
    work : function
        Maps what a tile sees (channels, *stride + 2 * halo) to what it answers (classes, *stride).
    image : float array, shape (channels, *spatial)
    geometry : Geometry
    tile : int
        Largest stride.

    Yields
    ------
    region : tuple of slice
        Of the image, that the tile writes.
    answer : array, shape (classes, *region)
    """
    shape = image.shape[1:]
    stride = tile_shape(shape, geometry, tile)
    size = [geometry.input_size(step) for step in stride]
    for piece in lay_tiles(shape, stride):
        answer = work(read_mirrored(image, [start - geometry.halo for start in piece.start], size))
        extent = (slice(b - a) for a, b in zip(piece.start, piece.stop, strict=True))
        yield piece.region, answer[(slice(None), *extent)]


def tile_logits(network: nn.Module, geometry: Geometry, device: torch.device | str) -> OnTile:
    """A function from what a tile sees to its logits."""

    def work(seen: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(seen)).to(device)[None]
            if batch.ndim == 4:
                batch = batch.contiguous(memory_format=torch.channels_last)
            out = network(batch)[0]
            out = (out.float() if out.dtype != torch.float64 else out).cpu().numpy()
        # A padded network also answers for the halo.
        starts = (
            geometry.halo - (given - back) // 2 for given, back in zip(seen.shape[1:], out.shape[1:], strict=True)
        )
        inner = (slice(s, s + n - 2 * geometry.halo) for s, n in zip(starts, seen.shape[1:], strict=True))
        return out[(slice(None), *inner)]

    return work


def assemble(pieces: Iterable[Piece], shape: Sequence[int], dtype: np.dtype | None = None) -> np.ndarray:
    """The whole (classes, *shape) of its pieces, in their type or another."""
    whole = None
    for region, answer in pieces:
        if whole is None:
            whole = np.empty((len(answer), *shape), dtype or answer.dtype)
        whole[(slice(None), *region)] = answer
    return whole


def validation_loss(network: nn.Module, items, geometry: Geometry, tile: int, device: torch.device) -> float:
    """Mean weighted cross entropy over whole images, tile by tile; leaves the network in evaluation mode."""
    network.eval()
    losses = []
    for image, target, weight in items:
        logits = torch.from_numpy(tiled_logits(network, image, geometry, tile, device))[None]
        losses.append(
            weighted_cross_entropy(logits, torch.from_numpy(target).long()[None], torch.from_numpy(weight)[None])
        )
    return float(torch.stack(losses).mean())


def measure_model(folder: Path, device: torch.device, threads: int) -> dict:
    """What the network in a model folder is and costs.

    Returns
    -------
    dict
        network, in words; parameters; halo; tile_exact; checkerboard; gigaflops_per_megapixel of output, halo
        included; seconds_per_megapixel on `device`, in the precision that the model predicts in; device.
    """
    network, description = load_model(folder, device)
    geometry, dims, channels = description.geometry, description.dims, description.channels
    stride = tile_shape([description.predict.tile] * dims, geometry, description.predict.tile)[0]
    flops = operations(description.make_network, dims, channels, geometry.input_size(stride))
    found = {"parameters": parameters(network), "checkerboard": network_checkerboard(network, dims, channels, geometry)}
    network = fold_normalisation(network)
    image = np.zeros((channels, *[TIMED_SIDE[dims]] * dims), np.float32)
    with autocast(description.predict.precision, device):
        tiled_logits(network, image, geometry, description.predict.tile, device)  # the first pass prepares itself
        start = time.perf_counter()
        tiled_logits(network, image, geometry, description.predict.tile, device)
        seconds = time.perf_counter() - start
    return {
        "network": _in_words(description.network),
        "parameters": found["parameters"],
        "halo": geometry.halo,
        "tile_exact": geometry.tile_exact,
        "checkerboard": found["checkerboard"],
        "gigaflops_per_megapixel": flops / stride**dims / 1e3,
        "seconds_per_megapixel": seconds / image[0].size * 1e6,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, {threads} threads",
    }


def _in_words(settings: Network) -> str:
    """The network's name and what differs from its defaults."""
    plain = type(settings)(name=settings.name)
    changed = [f"{key} {value}" for key, value in asdict(settings).items() if value != getattr(plain, key)]
    return ", ".join([settings.name, *changed])


def orientations(dims: int, average: bool) -> Iterator[tuple[bool, tuple[int, ...]]]:
    """Pairs (exchange the last two axes, axes to flip): the identity alone, or all 8 in 2D (16 in 3D)."""
    yield False, ()
    if average:
        for code in range(1, 2 ** (dims + 1)):
            yield bool(code >> dims), tuple(axis - dims for axis in range(dims) if code >> axis & 1)


def tile_probabilities(models: Sequence[OnTile], average: bool) -> OnTile:
    """A function from what a tile sees to the mean class probabilities over models and, if asked, orientations.

    Every tile starts and ends on a multiple of the network's period, so that orientations of tiles are tiles of the
    image's orientations (once it is continued to such a multiple), and the mean does not depend on the tiles.

    Parameters
    ----------
    models : sequence of functions
        Each maps what a tile sees to logits.
    average : bool
        Average over all rotations and flips (test-time augmentation).
    """

    def work(seen: np.ndarray) -> np.ndarray:
        total, count = None, 0
        for turned, flipped in orientations(seen.ndim - 1, average):
            view = np.flip(np.swapaxes(seen, -1, -2) if turned else seen, flipped)
            for logits in models:
                part = np.flip(softmax(logits(view)), flipped)
                part = np.swapaxes(part, -1, -2) if turned else part
                total = part.copy() if total is None else np.add(total, part, out=total)
                count += 1
        return total / count

    return work


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over axis 0."""
    shifted = np.exp(logits - logits.max(axis=0))
    return shifted / shifted.sum(axis=0)
