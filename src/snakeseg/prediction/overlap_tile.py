"""Overlap-tile inference: class probabilities of an image of any size, without seams."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from snakeseg.arrays import Region, grid_regions, prefetch_results, read_mirrored
from snakeseg.networks.blocks import LAYOUT
from snakeseg.networks.geometry import Geometry, magnified
from snakeseg.prediction.tiles import fixed_stride
from snakeseg.transforms.flips import Symmetry, orientations

# Maps the input of a tile (channels, *(stride + 2 * halo)) to its output (classes, *stride).
TileFunction = Callable[[Tensor], Tensor]
# A tile's region of the image, and its output (classes, *tile).
Piece = tuple[Region, np.ndarray]

# Interpolation that magnifies tiles, by the number of axes. PyTorch's cubic keeps straight lines straight only with
# `antialias`, which does not smooth when magnifying.
MAGNIFYING = {2: {"mode": "bicubic", "antialias": True}, 3: {"mode": "trilinear"}}
# Interpolation of logits back to the tile; at all possible scales, no pixel needs logits from beyond the tile.
SHRINKING = {2: "bilinear", 3: "trilinear"}


def predict_logits(
    network: nn.Module, image: np.ndarray, geometry: Geometry, tile: int, device: torch.device | str = "cpu"
) -> np.ndarray:
    """Compute the logits of an image tile by tile; they equal one pass over the mirrored image, at any tile size.

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
    float array, shape (classes, *spatial)
        In the network's dtype.
    """
    stride = fixed_stride(image.shape[1:], geometry, tile)
    return assemble(run_tiles(make_tile_function(network, geometry), image, geometry, stride, device), image.shape[1:])


def run_tiles(
    compute_tile: TileFunction,
    image,
    geometry: Geometry,
    stride: Sequence[int],
    device: torch.device | str = "cpu",
    tiles: Iterable[Region] | None = None,
) -> Iterator[Piece]:
    """Apply a function to the tiles of an image; the next tiles are read while one is computed.

    Tiles with constant inputs of the same value, such as the background around a body, share one computation.

    Parameters
    ----------
    compute_tile : function
        Maps the input of a tile (channels, *(stride + 2 * halo)) to its output (classes, *stride), on the device.
    image : array-like, shape (channels, *spatial)
    geometry : Geometry
    stride : sequence of int
        Stride of the tiles, in pixels, one per axis.
    device : torch.device
    tiles : iterable of Region, optional
        Default: all tiles, in C order. Tiles may start outside the image, which is extended by mirroring.

    Yields
    ------
    tile : Region
    output : array, shape (classes, *tile)
    """
    known: dict[bytes, np.ndarray] = {}
    tiles = tiles if tiles is not None else grid_regions(image.shape[1:], stride)
    for tile, tile_input in prefetch_results(_tile_reader(image, geometry, stride), tiles):
        constant = _constant_values(tile_input)
        output = known.get(constant)
        if output is None:
            with torch.inference_mode():
                output = compute_tile(tile_input.to(device)).cpu().numpy()
            if constant is not None:
                known = {constant: output}
        extent = (slice(side.stop - side.start) for side in tile)
        yield tile, output[(slice(None), *extent)]


def _tile_reader(image, geometry: Geometry, stride: Sequence[int]) -> Callable[[Region], tuple[Region, Tensor]]:
    """Return a function from a tile to the tile and its input."""
    size = geometry.input_size(stride)

    def read(tile: Region) -> tuple[Region, Tensor]:
        start = [side.start - halo for side, halo in zip(tile, geometry.halo, strict=True)]
        return tile, torch.from_numpy(np.ascontiguousarray(read_mirrored(image, start, size)))

    return read


def _constant_values(tile_input: Tensor) -> bytes | None:
    """Return the value of each channel if all channels are constant, else None."""
    first = tile_input.flatten(1)[:, :1]
    return first.numpy().tobytes() if bool((tile_input.flatten(1) == first).all()) else None


def make_tile_function(network: nn.Module, geometry: Geometry, halo: Sequence[int] | None = None) -> TileFunction:
    """Return a function that computes the logits of a tile.

    Parameters
    ----------
    network : Module
        In evaluation mode.
    geometry : Geometry
        Geometry of the network.
    halo : sequence of int, optional
        Halo of the tile inputs, if larger than the network's own because several networks share them (`combine`).
    """
    halo = halo or geometry.halo

    def compute_logits(tile_input: Tensor) -> Tensor:
        stride = _size_without(tile_input.shape[1:], halo)
        excess = [h - own for h, own in zip(halo, geometry.halo, strict=True)]
        tile_input = _crop(tile_input, excess, geometry.input_size(stride))
        out = network(tile_input[None].contiguous(memory_format=LAYOUT[tile_input.ndim - 1]))[0]
        out = out.float() if out.dtype != torch.float64 else out
        # The output of a padded network includes the halo.
        start = [h - (n - m) // 2 for h, n, m in zip(geometry.halo, tile_input.shape[1:], out.shape[1:], strict=True)]
        return _crop(out, start, stride)

    return compute_logits


def tile_logits_at_scales(
    scales: Sequence[float], network: nn.Module, geometry: Geometry, common: Geometry
) -> TileFunction:
    """Return a function from a tile to logits whose softmax is the mean class probability over magnifications.

    Parameters
    ----------
    scales : sequence of float
        Magnifications of the tile, at least 1.
    network : Module
        In evaluation mode.
    geometry : Geometry
        Geometry of the network.
    common : Geometry
        Geometry of the tiles that all scales share (`combine` of `magnified`).
    """
    functions = [
        make_tile_function(network, geometry, common.halo)
        if scale == 1
        else _magnified_tile_logits(scale, network, geometry, common)
        for scale in scales
    ]
    if len(functions) == 1:
        return functions[0]
    return lambda tile_input: torch.stack(
        [torch.log_softmax(function(tile_input), dim=0) for function in functions]
    ).logsumexp(dim=0)


def _magnified_tile_logits(scale: float, network: nn.Module, geometry: Geometry, common: Geometry) -> TileFunction:
    """Return a function that magnifies a tile, computes its logits, and interpolates them back to the tile."""
    halo, magnified_halo = magnified(geometry, scale).halo, geometry.reach
    compute_logits = make_tile_function(network, geometry, magnified_halo)
    excess = [h - own for h, own in zip(common.halo, halo, strict=True)]
    magnified_excess = [int(h * scale) - own for h, own in zip(halo, magnified_halo, strict=True)]

    def compute_magnified(tile_input: Tensor) -> Tensor:
        dims, stride = tile_input.ndim - 1, _size_without(tile_input.shape[1:], common.halo)
        tile_input = _crop(tile_input, excess, _size_without(tile_input.shape[1:], excess))
        larger = nn.functional.interpolate(tile_input[None], scale_factor=scale, **MAGNIFYING[dims])[0]
        larger_size = _size_without(larger.shape[1:], magnified_excess)
        logits = compute_logits(_crop(larger, magnified_excess, larger_size))
        return nn.functional.interpolate(logits[None], size=stride, mode=SHRINKING[dims])[0]

    return compute_magnified


def _size_without(size: Sequence[int], margin: Sequence[int]) -> list[int]:
    """Subtract a margin at both ends of each axis."""
    return [n - 2 * width for n, width in zip(size, margin, strict=True)]


def _crop(array: Tensor, start: Sequence[int], size: Sequence[int]) -> Tensor:
    """Crop an array (channels, *spatial) along its spatial axes."""
    return array[(slice(None), *(slice(a, a + n) for a, n in zip(start, size, strict=True)))]


def assemble(pieces: Iterable[Piece], shape: Sequence[int]) -> np.ndarray:
    """Assemble the outputs of tiles to an array (classes, *shape)."""
    whole = None
    for region, output in pieces:
        if whole is None:
            whole = np.empty((len(output), *shape), output.dtype)
        whole[(slice(None), *region)] = output
    return whole


def tile_probabilities(models: Sequence[TileFunction], symmetry: Symmetry, uncertainty: bool = False) -> TileFunction:
    """Return a function that computes a tile's mean class probabilities over models and orientations.

    Every tile starts and ends at a multiple of the network's period. Therefore orientations of tiles are tiles of the
    oriented image (mirrored to such a multiple), and the mean does not depend on the tiles.

    Parameters
    ----------
    models : sequence of functions
        Each maps the input of a tile to logits.
    symmetry : Symmetry
        Flips and turns to average over (test-time augmentation).
    uncertainty : bool
        Append the three channels `UNCERTAINTY_CHANNELS`.
    """
    average = _mean_and_uncertainty if uncertainty else _mean
    return lambda tile_input: average(_views(models, symmetry, tile_input))


def _views(models: Sequence[TileFunction], symmetry: Symmetry, tile_input: Tensor) -> Iterator[list[Tensor]]:
    """Yield, for each orientation of a tile, the class probabilities of every model."""
    plane = [axis + 1 for axis in symmetry.plane or ()]  # after the channels
    for turned, axes in orientations(symmetry):
        flipped = [axis + 1 for axis in axes]
        view = torch.flip(tile_input.transpose(*plane) if turned else tile_input, flipped)
        outputs = (torch.flip(torch.softmax(logits(view), dim=0), flipped) for logits in models)
        yield [(output.transpose(*plane) if turned else output).contiguous() for output in outputs]


def _mean(views: Iterable[list[Tensor]]) -> Tensor:
    total, count = None, 0
    for view in views:
        for output in view:
            total, count = output if total is None else total.add_(output), count + 1
    return total.div_(count)


def _mean_and_uncertainty(views: Iterable[list[Tensor]]) -> Tensor:
    """Return the mean class probabilities and, below them, the three channels of uncertainty."""
    model_means, view_entropies = None, []
    for view in views:
        view_entropies.append(_entropy(sum(view) / len(view)))
        model_means = view if model_means is None else [a + b for a, b in zip(model_means, view, strict=True)]
    model_means = [total / len(view_entropies) for total in model_means]
    mean = sum(model_means) / len(model_means)
    entropy, mean_entropy = _entropy(mean), sum(map(_entropy, model_means)) / len(model_means)
    channels = [entropy, entropy - mean_entropy, entropy - sum(view_entropies) / len(view_entropies)]
    return torch.cat([mean, torch.stack(channels).clamp(0, 1)])


def likeliest_class(probabilities: Tensor) -> Tensor:
    """Return the index of the largest probability of each pixel, the first of equal ones.

    PyTorch's argmax takes 40 times as long.

    Parameters
    ----------
    probabilities : tensor, shape (classes, *spatial)

    Returns
    -------
    uint8 tensor, shape (1, *spatial)
    """
    largest = probabilities[:1]
    index = torch.zeros_like(largest, dtype=torch.uint8)
    for number in range(1, len(probabilities)):
        index.masked_fill_(probabilities[number, None] > largest, number)
        largest = torch.maximum(largest, probabilities[number, None])
    return index


# Uncertainty of each pixel, from 0 to 1: the entropy of its class probabilities as a share of the maximum, and the
# parts of it that are disagreement of models and of orientations (mutual information, Houlsby et al. 2011).
UNCERTAINTY_CHANNELS = ("entropy", "disagreement of models", "disagreement of orientations")


def _entropy(probabilities: Tensor) -> Tensor:
    """Compute the entropy over the classes (axis 0) as a share of the maximum: 1 if all classes are equally likely."""
    return torch.special.entr(probabilities).sum(0) / math.log(len(probabilities))
