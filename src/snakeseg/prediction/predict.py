"""Class probabilities of an image, tile by tile, and what a store notes about them."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from snakeseg.arrays import Region, overlap
from snakeseg.io.images import Raster
from snakeseg.io.store import Streamed
from snakeseg.prediction.blending import run_blended
from snakeseg.prediction.overlap_tile import UNCERTAINTY, Piece, likeliest_class, run_tiles
from snakeseg.prediction.predictor import Predictor
from snakeseg.prediction.tiles import is_blended, part_of, tiles_of_part
from snakeseg.transforms.normalise import foreground_box, normalise

BLENDED = "SnakeSeg: tiles were blended, as this network's normalisation depends on the tile"


def predict_tiles(
    predictor: Predictor,
    image: Raster,
    stride: Sequence[int],
    tiles: Iterable[Region] | None = None,
    box: Region | None = None,
) -> Iterator[Piece]:
    """Class probabilities (and uncertainty) of an image on the network's grid, tile by tile, float16.

    The image is normalised by what is in the box, if there is one.

    Raises
    ------
    BadInput
        While the image is read, if it is damaged or has pixels that are no numbers.
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
    """The prediction of an image, as arrays that come tile by tile.

    Where training saw images without their plain edge, so does predicting: tiles beyond the box of all else are
    background, and the network is not run on them.

    Parameters
    ----------
    predictor : Predictor
    image : Raster
        On the network's grid (`images.fit_to_model`).
    stride : sequence of int
        Of the tiles.
    part : (index, count)
        Only one of `count` parts of the rows of tiles, along the first axis.
    keep : bool
        Probabilities also where the likeliest class is all that is needed.
    tick : function
        Called after each tile.

    Returns
    -------
    Streamed or None
        "classes", uint8, one channel, of semantic labels; else, or if they are to be kept, "probabilities", float16,
        and, if the predictor computes it, "uncertainty". None if the part holds no row of tiles.
    """
    shape = image.array.shape[1:]
    first, last = part_of(shape[0], stride[0], *part)
    if first == last:
        return None
    predictor, channels, kind = _outputs(predictor, shape, stride, keep)
    plain = np.zeros((sum(channels.values()), *(1,) * len(shape)), kind)
    plain[0] = "probabilities" in channels  # of the background, which is also the class 0
    pieces = _in_and_beyond_box(predictor, image, stride, tiles_of_part(shape, stride, *part), plain)
    extent = (last - first, *shape[1:])
    chunks = tuple(min(step, size) for step, size in zip(stride, extent, strict=True))
    return Streamed(channels, extent, chunks, np.dtype(kind), _from_row(first, pieces, tick))


def _from_row(first: int, pieces: Iterable[Piece], tick: Callable[[], None]) -> Iterator[Piece]:
    """Pieces counted from a row on, with a tick for each."""
    for region, values in pieces:
        tick()
        yield (slice(region[0].start - first, region[0].stop - first), *region[1:]), values


def _outputs(
    predictor: Predictor, shape: Sequence[int], stride: Sequence[int], keep: bool
) -> tuple[Predictor, dict[str, int], type]:
    """The predictor of what is to be stored, its arrays with their channels, and their type."""
    description, work = predictor.description, predictor.work
    channels = {"probabilities": description.classes}
    if predictor.uncertainty:
        return predictor, channels | {"uncertainty": len(UNCERTAINTY)}, np.float16
    if description.labels.kind == "semantic" and not keep and not _is_changed_later(predictor, shape, stride):
        return predictor._replace(work=lambda seen: likeliest_class(work(seen))), {"classes": 1}, np.uint8
    return predictor, channels, np.float16


def _in_and_beyond_box(
    predictor: Predictor, image: Raster, stride: Sequence[int], tiles: Sequence[Region], plain: np.ndarray
) -> Iterator[Piece]:
    """Tiles beyond the box of what is not plain, which hold `plain` in every pixel; then those that are predicted."""
    box = foreground_box(image.array, predictor.description.prepare)
    for tile in tiles:
        if not overlap(tile, box):
            yield tile, np.broadcast_to(plain, (len(plain), *(side.stop - side.start for side in tile)))
    inside = [tile for tile in tiles if overlap(tile, box)]
    if inside:
        yield from predict_tiles(predictor, image, stride, inside, box)


def _is_changed_later(predictor: Predictor, shape: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether probabilities are blended or resampled, so that a tile does not know the likeliest class yet."""
    description = predictor.description
    resampled = description.prepare.spacing is not None or description.predict.spacing == "resample"
    return resampled or is_blended(shape, stride, predictor.geometry)


def notes(predictor: Predictor, image: Raster, stride: Sequence[int]) -> dict:
    """Attributes of an image's arrays in a store: where its pixels lie, and a note if tiles were blended."""
    note = BLENDED if is_blended(image.array.shape[1:], stride, predictor.geometry) else ""
    place = {} if image.affine is None else {"affine": image.affine.tolist()}
    return {"note": note, "axes": f"c{image.axes}", "spacing": list(image.spacing), **place}
