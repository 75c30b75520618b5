"""Overlap-tile inference: class probabilities of an image of any size, without seams."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from snakeseg.arrays import ahead, read_mirrored
from snakeseg.networks.blocks import LAYOUT
from snakeseg.networks.geometry import Geometry, magnified
from snakeseg.prediction.tiles import Tile, lay_tiles, tile_shape
from snakeseg.transforms.flips import Symmetry, orientations

OnTile = Callable[[Tensor], Tensor]
Piece = tuple[tuple[slice, ...], np.ndarray]

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
    tiles: Iterable[Tile] | None = None,
) -> Iterator[Piece]:
    """Apply a function to tiles of an image; what comes next is read while one is computed.

    Tiles that see one value alone, as around a body, all get the answer of the first of them.

    Parameters
    ----------
    work : function
        Maps what a tile sees (channels, *stride + 2 * halo) to what it answers (classes, *stride), on the device.
    image : array-like, shape (channels, *spatial)
    geometry : Geometry
    stride : sequence of int
        Of the tiles, per axis.
    device : torch.device
    tiles : iterable of Tile
        All, in C order, if not given.

    Yields
    ------
    region : tuple of slice
        Of the image, that the tile writes.
    answer : array, shape (classes, *region)
    """
    size = [geometry.input_size(step) for step in stride]

    def see(tile: Tile) -> tuple[Tile, Tensor]:
        seen = read_mirrored(image, [start - geometry.halo for start in tile.start], size)
        return tile, torch.from_numpy(np.ascontiguousarray(seen))

    known: dict[bytes, np.ndarray] = {}
    for tile, seen in ahead(see, tiles if tiles is not None else lay_tiles(image.shape[1:], stride)):
        plain = _plain_values(seen)
        answer = known.get(plain)
        if answer is None:
            with torch.inference_mode():
                answer = work(seen.to(device)).cpu().numpy()
            if plain is not None:
                known = {plain: answer}
        extent = (slice(b - a) for a, b in zip(tile.start, tile.stop, strict=True))
        yield tile.region, answer[(slice(None), *extent)]


def _plain_values(seen: Tensor) -> bytes | None:
    """The one value of each channel, if it has but one."""
    first = seen.flatten(1)[:, :1]
    return first.numpy().tobytes() if bool((seen.flatten(1) == first).all()) else None


def tile_logits(network: nn.Module, geometry: Geometry, common: Geometry | None = None) -> OnTile:
    """A function from what a tile sees to its logits; tiles of several networks see what suits all (`combine`)."""

    frame = common or geometry

    def work(seen: Tensor) -> Tensor:
        strides = [n - 2 * frame.halo for n in seen.shape[1:]]
        if frame != geometry:
            spare = frame.halo - geometry.halo
            seen = seen[(slice(None), *(slice(spare, spare + geometry.input_size(step)) for step in strides))]
        out = network(seen[None].contiguous(memory_format=LAYOUT[seen.ndim - 1]))[0]
        out = out.float() if out.dtype != torch.float64 else out
        # A padded network also answers for the halo.
        starts = (geometry.halo - (n - m) // 2 for n, m in zip(seen.shape[1:], out.shape[1:], strict=True))
        return out[(slice(None), *(slice(s, s + step) for s, step in zip(starts, strides, strict=True)))]

    return work


def tile_logits_over(scales: Sequence[float], network: nn.Module, geometry: Geometry, common: Geometry) -> OnTile:
    """As `tile_logits`, of the mean probabilities over the tile magnified so many times."""
    works = [
        tile_logits(network, geometry, common) if scale == 1 else _magnifying(scale, network, geometry, common)
        for scale in scales
    ]
    if len(works) == 1:
        return works[0]
    return lambda seen: torch.stack([torch.log_softmax(work(seen), dim=0) for work in works]).logsumexp(dim=0)


def _magnifying(scale: float, network: nn.Module, geometry: Geometry, common: Geometry) -> OnTile:
    """Interpolates the tile for the network, and its answers for the tile's pixels."""
    own, large = magnified(geometry, scale), Geometry(geometry.reach, geometry.multiple)
    logits = tile_logits(network, geometry, large)

    def work(seen: Tensor) -> Tensor:
        dims, strides = seen.ndim - 1, [n - 2 * common.halo for n in seen.shape[1:]]
        seen = _without_edge(seen, common.halo - own.halo)
        larger = nn.functional.interpolate(seen[None], scale_factor=scale, **MAGNIFY[dims])[0]
        found = logits(_without_edge(larger, int(own.halo * scale) - large.halo))
        return nn.functional.interpolate(found[None], size=strides, mode=SHRINK[dims])[0]

    return work


def _without_edge(array: Tensor, width: int) -> Tensor:
    return array[(slice(None), *(slice(width, n - width) for n in array.shape[1:]))]


def assemble(pieces: Iterable[Piece], shape: Sequence[int]) -> np.ndarray:
    """The whole (classes, *shape) of its pieces."""
    whole = None
    for region, answer in pieces:
        if whole is None:
            whole = np.empty((len(answer), *shape), answer.dtype)
        whole[(slice(None), *region)] = answer
    return whole


def tile_probabilities(models: Sequence[OnTile], symmetry: Symmetry, uncertainty: bool = False) -> OnTile:
    """A function from what a tile sees to the mean class probabilities over models and orientations.

    Every tile starts and ends on a multiple of the network's period, so that orientations of tiles are tiles of the
    image's orientations (once it is continued to such a multiple), and the mean does not depend on the tiles.

    Parameters
    ----------
    models : sequence of functions
        Each maps what a tile sees to logits.
    symmetry : Symmetry
        Flips and turns to average over (test-time augmentation).
    uncertainty : bool
        Append the `UNCERTAINTY` of each pixel, three channels.
    """

    def views(seen: Tensor) -> Iterator[list[Tensor]]:
        plane = [axis + 1 for axis in symmetry.plane or ()]  # after the channels
        for turned, axes in orientations(symmetry):
            flipped = [axis + 1 for axis in axes]
            view = torch.flip(seen.transpose(*plane) if turned else seen, flipped)
            found = (torch.flip(torch.softmax(logits(view), dim=0), flipped) for logits in models)
            yield [(one.transpose(*plane) if turned else one).contiguous() for one in found]

    def mean(seen: Tensor) -> Tensor:
        total, count = None, 0
        for found in views(seen):
            for one in found:
                total, count = one if total is None else total.add_(one), count + 1
        return total.div_(count)

    def mean_and_uncertainty(seen: Tensor) -> Tensor:
        of_models, of_views = None, []
        for found in views(seen):
            of_views.append(_entropy(sum(found) / len(found)))
            of_models = found if of_models is None else [a + b for a, b in zip(of_models, found, strict=True)]
        of_models = [one / len(of_views) for one in of_models]
        whole = sum(of_models) / len(of_models)
        entropy, mean_entropy = _entropy(whole), sum(map(_entropy, of_models)) / len(of_models)
        split = [entropy, entropy - mean_entropy, entropy - sum(of_views) / len(of_views)]
        return torch.cat([whole, torch.stack(split).clamp(0, 1)])

    return mean_and_uncertainty if uncertainty else mean


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
