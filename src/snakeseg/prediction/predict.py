"""Class probabilities of an image, tile by tile, and the attributes that a store keeps with them."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from snakeseg.arrays import Region, regions_overlap
from snakeseg.io.raster import Raster
from snakeseg.io.store import Streamed
from snakeseg.prediction.blending import run_blended
from snakeseg.prediction.overlap_tile import UNCERTAINTY_CHANNELS, Piece, likeliest_class, run_tiles
from snakeseg.prediction.predictor import Predictor
from snakeseg.prediction.tiles import is_blended, part_of, tiles_of_part
from snakeseg.transforms.normalise import content_box, normalise

# Note in the label files of blended images.
BLENDED_NOTE = "SnakeSeg: tiles were blended, as this network's normalisation depends on the tile"


def predict_tiles(
    predictor: Predictor,
    image: Raster,
    stride: Sequence[int],
    tiles: Iterable[Region] | None = None,
    box: Region | None = None,
) -> Iterator[Piece]:
    """Predict class probabilities (and uncertainty) of an image, tile by tile.

    Parameters
    ----------
    predictor : Predictor
    image : Raster
        Array (channels, *spatial) on the network's grid (`images.fit_to_model`).
    stride : sequence of int
        Stride of the tiles, in pixels, one per axis.
    tiles : iterable of Region, optional
        Default: all tiles.
    box : Region, optional
        Region whose intensities normalise the image. Default: the whole image.

    Yields
    ------
    tile : Region
    output : float16 array, shape (channels, *tile)

    Raises
    ------
    BadInput
        While the image is read, if it is damaged or contains NaN or infinite values.
    """
    description, geometry = predictor.description, predictor.geometry
    array = normalise(image.array, description.prepare, description.statistics, box)
    run = run_blended if is_blended(array.shape[1:], stride, geometry) else run_tiles
    return run(predictor.work, array, geometry, stride, predictor.device, tiles)


def predict_image(
    predictor: Predictor,
    image: Raster,
    stride: Sequence[int],
    part: tuple[int, int] = (0, 1),
    keep: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> Streamed | None:
    """Predict an image as arrays that are streamed tile by tile.

    If training cropped images to their foreground box (`prepare.crop`), tiles outside this box are background, and the
    network is not run on them.

    Parameters
    ----------
    predictor : Predictor
    image : Raster
        Array (channels, *spatial) on the network's grid (`images.fit_to_model`).
    stride : sequence of int
        Stride of the tiles, in pixels, one per axis.
    part : (index, count)
        Number of the part to predict, counted from 0, and the number of parts, along the first axis.
    keep : bool
        Return probabilities even if labels need only the likeliest class.
    tick : function
        Called after each tile.

    Returns
    -------
    Streamed or None
        For semantic labels without `keep`, "classes", uint8, one channel. Otherwise "probabilities", float16, one
        channel per class, and, if the predictor computes it, "uncertainty", float16, three channels. None if the part
        contains no tiles.
    """
    shape = image.array.shape[1:]
    first, last = part_of(shape[0], stride[0], *part)
    if first == last:
        return None
    predictor, channels, dtype = _outputs(predictor, shape, stride, keep)
    background = np.zeros((sum(channels.values()), *(1,) * len(shape)), dtype)
    background[0] = "probabilities" in channels  # its probability is 1; its class is 0
    pieces = _inside_and_outside_box(predictor, image, stride, tiles_of_part(shape, stride, *part), background)
    extent = (last - first, *shape[1:])
    chunks = tuple(min(step, size) for step, size in zip(stride, extent, strict=True))
    return Streamed(channels, extent, chunks, np.dtype(dtype), _from_row(first, pieces, tick))


def _from_row(first: int, pieces: Iterable[Piece], tick: Callable[[], None]) -> Iterator[Piece]:
    """Yield pieces with rows counted from row `first`; call `tick` for each."""
    for region, values in pieces:
        tick()
        yield (slice(region[0].start - first, region[0].stop - first), *region[1:]), values


def _outputs(
    predictor: Predictor, shape: Sequence[int], stride: Sequence[int], keep: bool
) -> tuple[Predictor, dict[str, int], type]:
    """Return the predictor of the arrays to store, their number of channels by name, and their dtype."""
    description, compute_tile = predictor.description, predictor.work
    channels = {"probabilities": description.classes}
    if predictor.uncertainty:
        return predictor, channels | {"uncertainty": len(UNCERTAINTY_CHANNELS)}, np.float16
    if description.labels.kind == "semantic" and not keep and not _needs_probabilities(predictor, shape, stride):
        classes = predictor._replace(work=lambda tile_input: likeliest_class(compute_tile(tile_input)))
        return classes, {"classes": 1}, np.uint8
    return predictor, channels, np.float16


def _inside_and_outside_box(
    predictor: Predictor, image: Raster, stride: Sequence[int], tiles: Sequence[Region], background: np.ndarray
) -> Iterator[Piece]:
    """Yield tiles outside the foreground box, with `background` in every pixel, then predicted tiles."""
    box = content_box(image.array, predictor.description.prepare)
    for tile in tiles:
        if not regions_overlap(tile, box):
            yield tile, np.broadcast_to(background, (len(background), *(side.stop - side.start for side in tile)))
    inside = [tile for tile in tiles if regions_overlap(tile, box)]
    if inside:
        yield from predict_tiles(predictor, image, stride, inside, box)


def _needs_probabilities(predictor: Predictor, shape: Sequence[int], stride: Sequence[int]) -> bool:
    """Return True if probabilities are blended or resampled before the likeliest class is determined."""
    description = predictor.description
    resampled = description.prepare.spacing is not None or description.predict.spacing == "resample"
    return resampled or is_blended(shape, stride, predictor.geometry)


def prediction_notes(predictor: Predictor, image: Raster, stride: Sequence[int]) -> dict:
    """Return the attributes of an image's arrays in a store.

    Returns
    -------
    dict
        note : str
            `BLENDED_NOTE` if tiles were blended, else empty.
        axes : str
            Axis letters, channels first.
        spacing : list of float
            Pixel size, one per spatial axis.
        affine : list of list of float
            4 x 4 matrix from indices to positions in mm, if the image has one.
    """
    note = BLENDED_NOTE if is_blended(image.array.shape[1:], stride, predictor.geometry) else ""
    affine = {} if image.affine is None else {"affine": image.affine.tolist()}
    return {"note": note, "axes": f"c{image.axes}", "spacing": list(image.spacing), **affine}
