"""Overlap-tile inference: class probabilities of an image of any size, without seams."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from snakeseg.arrays import Region, ahead, read_mirrored, regions_of
from snakeseg.networks.blocks import LAYOUT
from snakeseg.networks.geometry import Geometry, magnified
from snakeseg.prediction.tiles import tile_shape
from snakeseg.transforms.flips import Symmetry, orientations

OnTile = Callable[[Tensor], Tensor]
Piece = tuple[Region, np.ndarray]

# How tiles are magnified, by number of axes. PyTorch's cubic keeps straight lines straight with `antialias` alone,
# which smoothes nothing here.
MAGNIFY = {2: {"mode": "bicubic", "antialias": True}, 3: {"mode": "trilinear"}}
# How answers come back; at the scales there are, no pixel needs one from beyond the tile.
SHRINK = {2: "bilinear", 3: "trilinear"}


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
    stride = tile_shape(image.shape[1:], geometry, tile)
    return assemble(run_tiles(tile_logits(network, geometry), image, geometry, stride, device), image.shape[1:])


def run_tiles(
    work: OnTile,
    image,
    geometry: Geometry,
    stride: Sequence[int],
    device: torch.device | str = "cpu",
    tiles: Iterable[Region] | None = None,
) -> Iterator[Piece]:
    """Apply a function to tiles of an image; the next tiles are read while one is computed.

    Tiles whose input is constant, as around a body, all get the output of the first of them.

    Parameters
    ----------
    work : function
        Maps the input of a tile (channels, *stride + 2 * halo) to its output (classes, *stride), on the device.
    image : array-like, shape (channels, *spatial)
    geometry : Geometry
    stride : sequence of int
        Of the tiles, per axis.
    device : torch.device
    tiles : iterable of Region
        All, in C order, if not given; they may begin outside the image, which is continued by mirroring.

    Yields
    ------
    tile : Region
    output : array, shape (classes, *tile)
    """
    known: dict[bytes, np.ndarray] = {}
    tiles = tiles if tiles is not None else regions_of(image.shape[1:], stride)
    for tile, seen in ahead(_reader(image, geometry, stride), tiles):
        plain = _plain_values(seen)
        output = known.get(plain)
        if output is None:
            with torch.inference_mode():
                output = work(seen.to(device)).cpu().numpy()
            if plain is not None:
                known = {plain: output}
        extent = (slice(side.stop - side.start) for side in tile)
        yield tile, output[(slice(None), *extent)]


def _reader(image, geometry: Geometry, stride: Sequence[int]) -> Callable[[Region], tuple[Region, Tensor]]:
    """A function from a tile to the tile and its input."""
    size = geometry.input_size(stride)

    def read(tile: Region) -> tuple[Region, Tensor]:
        start = [side.start - halo for side, halo in zip(tile, geometry.halo, strict=True)]
        return tile, torch.from_numpy(np.ascontiguousarray(read_mirrored(image, start, size)))

    return read


def _plain_values(seen: Tensor) -> bytes | None:
    """The one value of each channel, if it has but one."""
    first = seen.flatten(1)[:, :1]
    return first.numpy().tobytes() if bool((seen.flatten(1) == first).all()) else None


def tile_logits(network: nn.Module, geometry: Geometry, halo: Sequence[int] | None = None) -> OnTile:
    """A function from the input of a tile to its logits.

    Parameters
    ----------
    network : Module
        In evaluation mode.
    geometry : Geometry
        Of the network.
    halo : sequence of int, optional
        Halo of the tiles where it is not the network's own but one that suits several networks (`combine`).
    """
    halo = halo or geometry.halo

    def work(seen: Tensor) -> Tensor:
        stride = _without(seen.shape[1:], halo)
        spare = [h - own for h, own in zip(halo, geometry.halo, strict=True)]
        seen = _window(seen, spare, geometry.input_size(stride))
        out = network(seen[None].contiguous(memory_format=LAYOUT[seen.ndim - 1]))[0]
        out = out.float() if out.dtype != torch.float64 else out
        # The output of a padded network includes the halo.
        start = [h - (n - m) // 2 for h, n, m in zip(geometry.halo, seen.shape[1:], out.shape[1:], strict=True)]
        return _window(out, start, stride)

    return work


def tile_logits_over(scales: Sequence[float], network: nn.Module, geometry: Geometry, common: Geometry) -> OnTile:
    """As `tile_logits`, of the mean probabilities over the tile at several magnifications."""
    works = [
        tile_logits(network, geometry, common.halo) if scale == 1 else _magnifying(scale, network, geometry, common)
        for scale in scales
    ]
    if len(works) == 1:
        return works[0]
    return lambda seen: torch.stack([torch.log_softmax(work(seen), dim=0) for work in works]).logsumexp(dim=0)


def _magnifying(scale: float, network: nn.Module, geometry: Geometry, common: Geometry) -> OnTile:
    """Interpolates the tile for the network, and its logits for the tile's pixels."""
    halo, larger_halo = magnified(geometry, scale).halo, geometry.reach
    logits = tile_logits(network, geometry, larger_halo)
    spare = [h - own for h, own in zip(common.halo, halo, strict=True)]
    larger_spare = [int(h * scale) - own for h, own in zip(halo, larger_halo, strict=True)]

    def work(seen: Tensor) -> Tensor:
        dims, stride = seen.ndim - 1, _without(seen.shape[1:], common.halo)
        seen = _window(seen, spare, _without(seen.shape[1:], spare))
        larger = nn.functional.interpolate(seen[None], scale_factor=scale, **MAGNIFY[dims])[0]
        found = logits(_window(larger, larger_spare, _without(larger.shape[1:], larger_spare)))
        return nn.functional.interpolate(found[None], size=stride, mode=SHRINK[dims])[0]

    return work


def _without(size: Sequence[int], edge: Sequence[int]) -> list[int]:
    """Sides less an edge at both ends."""
    return [n - 2 * width for n, width in zip(size, edge, strict=True)]


def _window(array: Tensor, start: Sequence[int], size: Sequence[int]) -> Tensor:
    """A part of an array (channels, *spatial) along its spatial axes."""
    return array[(slice(None), *(slice(a, a + n) for a, n in zip(start, size, strict=True)))]


def assemble(pieces: Iterable[Piece], shape: Sequence[int]) -> np.ndarray:
    """The whole (classes, *shape) of its pieces."""
    whole = None
    for region, answer in pieces:
        if whole is None:
            whole = np.empty((len(answer), *shape), answer.dtype)
        whole[(slice(None), *region)] = answer
    return whole


def tile_probabilities(models: Sequence[OnTile], symmetry: Symmetry, uncertainty: bool = False) -> OnTile:
    """A function from the input of a tile to the mean class probabilities over models and orientations.

    Every tile starts and ends on a multiple of the network's period, so that orientations of tiles are tiles of the
    image's orientations (once it is continued to such a multiple), and the mean does not depend on the tiles.

    Parameters
    ----------
    models : sequence of functions
        Each maps the input of a tile to logits.
    symmetry : Symmetry
        Flips and turns to average over (test-time augmentation).
    uncertainty : bool
        Append the `UNCERTAINTY` of each pixel, three channels.
    """
    average = _mean_and_uncertainty if uncertainty else _mean
    return lambda seen: average(_views(models, symmetry, seen))


def _views(models: Sequence[OnTile], symmetry: Symmetry, seen: Tensor) -> Iterator[list[Tensor]]:
    """The class probabilities of every model, for one orientation of a tile after the other."""
    plane = [axis + 1 for axis in symmetry.plane or ()]  # after the channels
    for turned, axes in orientations(symmetry):
        flipped = [axis + 1 for axis in axes]
        view = torch.flip(seen.transpose(*plane) if turned else seen, flipped)
        found = (torch.flip(torch.softmax(logits(view), dim=0), flipped) for logits in models)
        yield [(output.transpose(*plane) if turned else output).contiguous() for output in found]


def _mean(views: Iterable[list[Tensor]]) -> Tensor:
    total, count = None, 0
    for of_models in views:
        for output in of_models:
            total, count = output if total is None else total.add_(output), count + 1
    return total.div_(count)


def _mean_and_uncertainty(views: Iterable[list[Tensor]]) -> Tensor:
    of_models, of_views = None, []
    for view in views:
        of_views.append(_entropy(sum(view) / len(view)))
        of_models = view if of_models is None else [a + b for a, b in zip(of_models, view, strict=True)]
    of_models = [total / len(of_views) for total in of_models]
    whole = sum(of_models) / len(of_models)
    entropy, mean_entropy = _entropy(whole), sum(map(_entropy, of_models)) / len(of_models)
    split = [entropy, entropy - mean_entropy, entropy - sum(of_views) / len(of_views)]
    return torch.cat([whole, torch.stack(split).clamp(0, 1)])


def likeliest_class(probabilities: Tensor) -> Tensor:
    """The first of the largest along axis 0, uint8, with that axis kept; PyTorch's argmax takes 40 times as long."""
    largest = probabilities[:1]
    index = torch.zeros_like(largest, dtype=torch.uint8)
    for number in range(1, len(probabilities)):
        index.masked_fill_(probabilities[number, None] > largest, number)
        largest = torch.maximum(largest, probabilities[number, None])
    return index


# What is told of each pixel on request, 0 to 1: the entropy of its class probabilities, as a share of the highest; and
# how much of it is disagreement, of models and of orientations (the mutual information of Houlsby et al. 2011).
UNCERTAINTY = ("entropy", "disagreement of models", "disagreement of orientations")


def _entropy(probabilities: Tensor) -> Tensor:
    """Over the classes, axis 0; 1 where all are equally likely."""
    return torch.special.entr(probabilities).sum(0) / math.log(len(probabilities))
