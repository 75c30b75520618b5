"""Figures of example images: training images with elastic copies, weight maps, predictions."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.evaluation.summary import lower_is_better
from snakeseg.io.store import read_store
from snakeseg.report.comparison import comparison_image, split_into_rows
from snakeseg.report.images.figures import grid_of_pictures
from snakeseg.report.images.pictures import Picture, draw_outlines, shrink, shrink_labels, stretch_to_rgb
from snakeseg.report.images.views import Views, middle_slice
from snakeseg.report.images.volumes import in_display_order, is_anatomical, most_central_voxel, square_pixels
from snakeseg.report.tables import format_score, readable_name

# Number of worst, median and best images, and of training images, in a figure.
EXAMPLES = 3
# Pictures of a training image in a figure: itself and its elastic copies.
PICTURES_PER_IMAGE = 5
PICTURE_SIDE_PX = 360


def draw_examples(folder: Path, stores: dict[str, Path], views: Views, rows: pd.DataFrame, metric: str) -> None:
    """Draw examples of training images and of predictions.

    Parameters
    ----------
    folder : path
        Folder of the figures; its subfolders `training` and `images` are made.
    stores : dict of path
        Stores of a batch of training images, by the step that wrote them: prepared, augmented, weights.
    views : Views
        Reader of the run's images.
    rows : DataFrame
        From `image_rows`.
    metric : str
        The score by which images are ranked.

    Raises
    ------
    BadInput
        If an image, label or prediction of an example cannot be read.
    """
    for name in ("training", "images"):
        (folder / name).mkdir(exist_ok=True)
    grid_of_pictures(folder / "training" / "augmentation.png", list(_augmentation_rows(stores, views.dims)))
    if weighted := list(_weight_rows(stores, views.dims)):
        grid_of_pictures(folder / "training" / "weights.png", weighted)
    for (experiment, subset), part in rows.groupby(["experiment", "subset"]):
        pictures = [_overlay(views, row, metric) for row in rank_images(part, metric)]
        if pictures:
            grid_of_pictures(
                folder / "images" / f"overlays-{experiment}-{subset}.png", split_into_rows(pictures, EXAMPLES)
            )
    sample = comparison_image(rows, metric)
    if sample and rows["experiment"].nunique() > 1:
        chosen = rows[rows["sample"] == sample].to_dict("records")
        pictures = [_overlay(views, {**row, "rank": row["experiment"]}, metric) for row in chosen]
        grid_of_pictures(folder / "images" / "comparison.png", split_into_rows(pictures))


def rank_images(rows: pd.DataFrame, metric: str) -> list[dict]:
    """Choose the images with the worst, the middle and the best scores, worst first.

    Parameters
    ----------
    rows : DataFrame
        Rows of one experiment and subset, from `image_rows`.
    metric : str
        The score by which images are ranked.

    Returns
    -------
    list of dict
        At most `EXAMPLES` rows from the start, the middle and the end of the order, each row once, with its `rank`,
        such as "1 of 4". If no image has the score, the first unlabelled ones, with the rank "not scored".
    """
    scored = rows.dropna(subset=[metric]) if metric in rows else rows[:0]
    if scored.empty:
        return rows[rows["state"] == "unlabelled"][:EXAMPLES].assign(rank="not scored").to_dict("records")
    scored = scored.sort_values([metric, "sample"], ascending=not lower_is_better(metric)).to_dict("records")
    number = len(scored)
    starts = (0, max(0, (number - EXAMPLES) // 2), max(0, number - EXAMPLES))
    chosen = sorted({index for start in starts for index in range(start, min(start + EXAMPLES, number))})
    return [{**scored[index], "rank": f"{index + 1} of {number}"} for index in chosen]


def _overlay(views: Views, row: dict, metric: str) -> Picture:
    """Return an image, or a slice of a volume, with its true and predicted outlines."""
    view = views.view(row["sample"])
    view = middle_slice(view) if view.frame else view
    truth = None if view.truth is None else shrink_labels(view.truth, PICTURE_SIDE_PX)
    predicted = shrink_labels(view.predicted[row["experiment"]], PICTURE_SIDE_PX)
    score = f", {readable_name(metric)} {format_score(row, metric)}" if row["status"] == "scored" else ""
    outlined = draw_outlines(shrink(view.picture, PICTURE_SIDE_PX), truth, predicted)
    return f"{row['sample']}\n{row['rank']}{score}", outlined


def _augmentation_rows(stores: dict[str, Path], dims: int) -> Iterator[list[Picture]]:
    """Yield rows of pictures: a training image and its elastic copies, with outlines."""
    samples: dict[str, list] = {}
    for kind in ("prepared", "augmented"):
        for name, attributes, group in read_store(stores[kind]):
            source = attributes.get("copy_of", name)
            row = samples.setdefault(source, []) if len(samples) < EXAMPLES or source in samples else None
            if row is not None and len(row) < PICTURES_PER_IMAGE:
                row.append((name, _outlined(*_planes(dims, attributes, group["objects"][:], group["image"][:]))))
    yield from samples.values()


def _weight_rows(stores: dict[str, Path], dims: int) -> Iterator[list[Picture]]:
    """Yield rows of pictures: a training image and its border term; nothing if all terms are equal."""
    rows = list(_weighted(stores, dims))
    yield from rows if any(np.ptp(weights[1]) for _, weights in rows) else ()


def _weighted(stores: dict[str, Path], dims: int) -> Iterator[list[Picture]]:
    """Yield rows of pictures: a training image with outlines, and the border term of its weights."""
    maps = {name: group for name, _, group in read_store(stores["weights"])}
    for name, attributes, group in list(read_store(stores["prepared"]))[:EXAMPLES]:
        arrays = group["objects"][:], group["image"][:], maps[name]["border"][:]
        objects, image, weights = _planes(dims, attributes, *arrays)
        caption = f"border term {weights.min():.2g} to {weights.max():.3g}"
        yield [(name, _outlined(objects, image)), (caption, shrink(weights, PICTURE_SIDE_PX))]


def _planes(dims: int, attributes: dict, objects: np.ndarray, *arrays: np.ndarray) -> list[np.ndarray]:
    """Return planes (..., y, x) of prepared arrays: of volumes, the slice through the middle of the objects."""
    if dims == 2:
        return [objects, *arrays]
    anatomical = is_anatomical(attributes["image"]["path"])
    volumes = [in_display_order(array, anatomical)[:] for array in (objects, *arrays)]
    z = most_central_voxel(volumes[0] > 0)[0] if objects.any() else len(volumes[0]) // 2
    spacing = attributes["spacing"][::-1] if anatomical else attributes["spacing"]
    rows, columns = square_pixels(volumes[0].shape[1:], spacing[1:])
    return [volume[..., z, :, :][..., rows, :][..., columns] for volume in volumes]


def _outlined(objects: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return a prepared image (channels, y, x) as a picture with the outlines of its objects (y, x)."""
    return draw_outlines(shrink(stretch_to_rgb(image), PICTURE_SIDE_PX), shrink_labels(objects, PICTURE_SIDE_PX), None)
