"""Figures of examples, as grids of pictures: training images, weight maps, predictions."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.evaluation.summary import lower_is_better
from snakeseg.io.store import read_store
from snakeseg.report.comparison import comparison_image, rows_of
from snakeseg.report.images.figures import grid_of_pictures
from snakeseg.report.images.pictures import Picture, grey, outlines, shrink, shrink_labels
from snakeseg.report.images.views import Views, across
from snakeseg.report.images.volumes import displayed, middle_of, of_a_body, square
from snakeseg.report.tables import title

EXAMPLES = 3
SIDE = 360


def draw_examples(folder: Path, run: Path, views: Views, rows: pd.DataFrame, metric: str) -> None:
    """Write them into `training` and `images` of a folder.

    Parameters
    ----------
    folder : path
    run : path
        Folder of the run's results.
    views : Views
    rows : DataFrame
        From `image_rows`.
    metric : str
        The score that they are ranked by.
    """
    for name in ("training", "images"):
        (folder / name).mkdir(exist_ok=True)
    stores = _first_stores(run, views.sources)
    grid_of_pictures(folder / "training" / "augmentation.png", list(_augmentation_rows(stores, views.dims)))
    if weighted := list(_weight_rows(stores, views.dims)):
        grid_of_pictures(folder / "training" / "weights.png", weighted)
    for (experiment, subset), part in rows.groupby(["experiment", "subset"]):
        pictures = [_overlay(views, row, metric) for row in ranked(part, metric)]
        if pictures:
            grid_of_pictures(folder / "images" / f"overlays-{experiment}-{subset}.png", rows_of(pictures, EXAMPLES))
    sample = comparison_image(rows, metric)
    if sample and rows["experiment"].nunique() > 1:
        chosen = rows[rows["sample"] == sample].to_dict("records")
        pictures = [_overlay(views, {**row, "rank": row["experiment"]}, metric) for row in chosen]
        grid_of_pictures(folder / "images" / "comparison.png", rows_of(pictures))


def ranked(rows: pd.DataFrame, metric: str) -> list[dict]:
    """The worst, middle and best images, each with its `rank`; the first ones where nothing is scored."""
    scored = rows.dropna(subset=[metric]) if metric in rows else rows[:0]
    if scored.empty:
        return rows[rows["state"] == "unlabelled"][:EXAMPLES].assign(rank="not scored").to_dict("records")
    scored = scored.sort_values([metric, "sample"], ascending=not lower_is_better(metric)).to_dict("records")
    starts = {"worst": 0, "middle": max(0, (len(scored) - EXAMPLES) // 2), "best": max(0, len(scored) - EXAMPLES)}
    chosen: dict[int, dict] = {}
    for word, start in starts.items():
        for index in range(start, min(start + EXAMPLES, len(scored))):
            chosen.setdefault(index, {**scored[index], "rank": word})
    return list(chosen.values())


def _overlay(views: Views, row: dict, metric: str) -> Picture:
    """An image, or a slice of a volume, with its true and predicted outlines."""
    view = views.view(row["sample"])
    view = across(view) if view.frame else view
    truth = None if view.truth is None else shrink_labels(view.truth, SIDE)
    predicted = shrink_labels(view.predicted[row["experiment"]], SIDE)
    score = f", {title(metric)} {row[metric]:.3f}" if row["status"] == "scored" else ""
    return f"{row['sample']}\n{row['rank']}{score}", outlines(shrink(view.picture, SIDE), truth, predicted)


def _augmentation_rows(stores: dict[str, Path], dims: int) -> Iterator[list[Picture]]:
    """Some training images, each followed by its elastic copies, with outlines."""
    samples: dict[str, list] = {}
    for kind in ("prepared", "augmented"):
        for name, noted, group in read_store(stores[kind]):
            source = noted.get("copy_of", name)
            shown = samples.setdefault(source, []) if len(samples) < EXAMPLES or source in samples else None
            if shown is not None and len(shown) < 5:
                shown.append((name, _outlined(*_planes(dims, noted, group["objects"][:], group["image"][:]))))
    yield from samples.values()


def _weight_rows(stores: dict[str, Path], dims: int) -> Iterator[list[Picture]]:
    """Some training images with outlines, and their weight maps; none if every pixel of them counts alike."""
    made = list(_weighted(stores, dims))
    yield from made if any(np.ptp(weights[1]) for _, weights in made) else ()


def _weighted(stores: dict[str, Path], dims: int) -> Iterator[list[Picture]]:
    maps = {name: group for name, _, group in read_store(stores["weights"])}
    for name, noted, group in list(read_store(stores["prepared"]))[:EXAMPLES]:
        arrays = group["objects"][:], group["image"][:], maps[name]["weights"][:]
        objects, image, weights = _planes(dims, noted, *arrays)
        caption = f"weights {weights.min():.2g} to {weights.max():.3g}"
        yield [(name, _outlined(objects, image)), (caption, shrink(weights, SIDE))]


def _planes(dims: int, noted: dict, objects: np.ndarray, *arrays: np.ndarray) -> list[np.ndarray]:
    """Prepared arrays themselves; of volumes the slice (..., y, x) through the middle of objects, as they are shown."""
    if dims == 2:
        return [objects, *arrays]
    body = of_a_body(noted["image"]["path"])
    shown = [displayed(array, body)[:] for array in (objects, *arrays)]
    at = middle_of(shown[0] > 0)[0] if objects.any() else len(shown[0]) // 2
    steps = noted["spacing"][::-1] if body else noted["spacing"]
    rows, columns = square(shown[0].shape[1:], steps[1:])
    return [array[..., at, :, :][..., rows, :][..., columns] for array in shown]


def _outlined(objects: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A prepared image (channels, y, x) with the outlines of its objects."""
    return outlines(shrink(grey(image), SIDE), shrink_labels(objects, SIDE), None)


def _first_stores(run: Path, sheet: pd.DataFrame) -> dict[str, Path]:
    """Stores of the first batch of training images, by the step that wrote them."""
    batch = sheet["batch"][sheet["subset"] == "train"].iloc[0]
    return {kind: run / kind / f"{batch}.zarr.zip" for kind in ("prepared", "augmented", "weights")}
