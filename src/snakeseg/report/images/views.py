"""Views of a run's images for display, with true and predicted objects; large images are cropped to their middle."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.arrays import Region
from snakeseg.errors import BadInput
from snakeseg.io.formats import label_suffix
from snakeseg.io.images import open_image, read_label, read_label_for
from snakeseg.io.raster import Raster
from snakeseg.io.sheet import spacing_of
from snakeseg.report.images.pictures import stretch_to_rgb
from snakeseg.report.images.volumes import (
    Frame,
    average_image,
    frame_of,
    most_central_voxel,
    sample_labels,
    square_pixels,
)
from snakeseg.settings import Labels
from snakeseg.transforms.labels import IGNORED, classes_and_objects

# Largest height and width of what is read of an image, in pixels: in a larger crop, objects would be too small to see.
READ_SIDE_PIXELS = 2048
# Kinds of objects in a comparison of truth and prediction, with explanations; the first one has the code 1.
KINDS = {
    "match": "found", "split": "cut into several objects", "merge": "joined with other objects", "miss": "not found",
    "false": "predicted where there is no object",
}  # fmt: skip
CODES = {kind: code for code, kind in enumerate(KINDS, start=1)}


@dataclass(frozen=True)
class View:
    """An image, or a part of it, with its objects: a plane (y, x), or a volume on the grid (z, y, x) of its frame.

    Parameters
    ----------
    picture : uint8 array, shape (*spatial, 3)
        The image in RGB.
    truth : int array, shape (*spatial), or None
        Ids of true objects.
    predicted : dict of int arrays, shape (*spatial)
        Ids of predicted objects, or classes, by experiment.
    errors : dict of uint8 arrays, shape (*spatial)
        Codes of `KINDS`, 0 elsewhere, by experiment; of scored images only.
    classes : dict of uint8 arrays, shape (*spatial)
        Indices of classes by experiment, and those of the truth under ""; of volumes with several classes only.
    mean_intensity, contrast : float
        Mean and standard deviation of the intensities in the first channel.
    note : str
        Which part of the image is shown; empty if all of it is.
    frame : Frame or None
        Geometry of a volume; None for a plane.
    """

    picture: np.ndarray
    truth: np.ndarray | None
    predicted: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    classes: dict[str, np.ndarray]
    mean_intensity: float
    contrast: float
    note: str
    frame: Frame | None = None


class Views:
    """Reader of a run's images, labels and predictions for display.

    Parameters
    ----------
    run : path
        Folder of the run's results.
    sheet : DataFrame
        The sample sheet, from `read_sheet`.
    images, objects : DataFrame
        Tables of images and objects, from `evaluate`; empty before a run.
    dims : int
        Number of spatial dimensions of the images, 2 or 3.
    labels : Labels or None
        Meaning of the labels; None shows their ids unchanged.
    """

    def __init__(
        self, run: Path, sheet, images: pd.DataFrame, objects: pd.DataFrame, dims: int, labels: Labels | None
    ):  # fmt: skip
        self.run, self.dims, self.labels = run, dims, labels
        self.sources = sheet.set_index("sample")
        self.images = dict(list(images.groupby("sample")))
        self.kinds = _kinds_by_side(objects)

    def view(self, sample: str) -> View:
        """Return the view of a sample.

        Parameters
        ----------
        sample : str
            Name of the sample.

        Raises
        ------
        BadInput
            If its image, label or a prediction cannot be read.
        """
        source = self.sources.loc[sample]
        raster = open_image(source["image"], self.dims)
        if self.dims == 3:
            frame = frame_of(raster, spacing_of(source.get("spacing", ""), raster.spacing))
            image, mean, deviation = average_image(raster.array, frame)
            cut, total, part = partial(sample_labels, frame=frame), frame.total, frame.part
        else:
            frame, total, part = None, raster.array.shape[1:], middle_region(raster.array.shape[1:])
            image = raster.array[(slice(0, 3), *part)]
            mean, deviation = float(image[0].mean()), float(image[0].std())
            cut = partial(_crop, part=part)
        label = read_label_for(raster, source["label"]) if source["label"] else None
        layers = self._layers(sample, label, cut)
        note = _note(total, part)
        return View(stretch_to_rgb(image), **layers, mean_intensity=mean, contrast=deviation, note=note, frame=frame)

    def _layers(self, sample: str, label: Raster | None, cut: Callable) -> dict:
        """Return truth, predictions, errors and classes; `cut` takes the shown part of an array (1, *spatial)."""
        true, predicted, errors, classes = None, {}, {}, {}
        if label:
            true = self._objects(label.array, cut, classes, "")
        for row in self.readable(sample):
            name, path = row["experiment"], self.prediction(row)
            if row["status"] == "scored":
                if self.labels.kind == "semantic":  # components are numbered over the whole image
                    predicted[name] = self._objects(read_label(path, self.dims).array, cut, classes, name)
                else:
                    predicted[name] = cut(open_image(path, self.dims).array)
                errors[name] = self._errors(name, sample, true, predicted[name])
            else:
                predicted[name] = cut(open_image(path, self.dims).array)
                if self.has_several_classes:
                    classes[name] = _ignored_to_background(classes_and_objects(predicted[name], self.labels)[0])
        return {"truth": true, "predicted": predicted, "errors": errors, "classes": classes}

    @property
    def has_several_classes(self) -> bool:
        """True for volumes with several classes besides the background."""
        return self.dims == 3 and self.labels is not None and len(self.labels.classes) > 2

    def readable(self, sample: str) -> list[dict]:
        """Return the sample's rows of the image table, one for each experiment whose prediction can be read."""
        rows = self.images.get(sample)
        return [] if rows is None else rows[rows["status"] != "unreadable"].to_dict("records")

    def prediction(self, row: dict) -> Path:
        """Return the label file that was predicted for a row of the image table.

        Parameters
        ----------
        row : dict
            experiment, sample, subset, fold.

        Raises
        ------
        BadInput
            If the file is missing.
        """
        source = self.sources.loc[row["sample"]]
        held_out = row["subset"] == "validation"
        kind, part = ("validation", f"fold-{row['fold']:.0f}") if held_out else ("predictions", source["batch"])
        path = self.run / kind / row["experiment"] / part / f"{row['sample']}{label_suffix(source['image'])}"
        if not path.exists():
            remedy = "run snakemake again, which predicts it"
            raise BadInput(path, "no such file", f"the prediction of {row['sample']}", remedy)
        return path

    def counts(self, experiment: str, sample: str) -> dict[str, int]:
        """Return the number of objects of each of `KINDS`: of predicted objects for "false", else of true ones."""
        none = pd.Series(dtype=object)
        kinds = {side: self.kinds.get((experiment, sample, side), none) for side in ("true", "predicted")}
        return {kind: int((kinds["predicted" if kind == "false" else "true"] == kind).sum()) for kind in KINDS}

    def _objects(self, label: np.ndarray, cut: Callable, classes: dict, name: str) -> np.ndarray:
        """Return the shown part of a label's objects; store its classes under a name if there are several."""
        if self.labels is None:
            return cut(label[None])
        label_classes, objects = classes_and_objects(label, self.labels)
        if self.has_several_classes:
            classes[name] = _ignored_to_background(cut(label_classes[None]))
        return cut(objects[None])

    def _errors(self, experiment: str, sample: str, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Return the codes of predicted objects, and of missed true ones elsewhere."""
        codes = _codes(predicted, self.kinds.get((experiment, sample, "predicted")))
        missed = _codes(true, self.kinds.get((experiment, sample, "true"))) == CODES["miss"]
        return np.where(missed & (codes == 0), CODES["miss"], codes).astype(np.uint8)


def middle_region(shape: tuple[int, ...]) -> Region:
    """Return the middle of a plane (y, x), at most `READ_SIDE_PIXELS` a side."""
    starts = [max(0, (n - READ_SIDE_PIXELS) // 2) for n in shape]
    return tuple(slice(start, min(n, start + READ_SIDE_PIXELS)) for start, n in zip(starts, shape, strict=True))


def initial_voxel(view: View) -> tuple[int, ...]:
    """Return the voxel (z, y, x) of a volume that is shown first: amid the true objects, else amid the predicted ones.

    Parameters
    ----------
    view : View
        View of a volume.
    """
    labels = [layer for layer in (view.truth, *view.predicted.values()) if layer is not None and layer.any()]
    return most_central_voxel(labels[0] > 0) if labels else tuple(n // 2 for n in view.picture.shape[:3])


def middle_slice(view: View) -> View:
    """Return the plane (rows y, columns x) of a volume at which the viewer opens, resampled to square pixels.

    Parameters
    ----------
    view : View
        View of a volume.
    """
    z, pixels = initial_voxel(view)[0], np.ix_(*square_pixels(view.picture.shape[1:3], view.frame.steps[1:]))

    def cut(array):
        return None if array is None else array[z][pixels]

    names = ("predicted", "errors")
    layers = {name: {key: cut(layer) for key, layer in getattr(view, name).items()} for name in names}
    return replace(view, picture=cut(view.picture), truth=cut(view.truth), **layers, classes={}, frame=None)


def _crop(array, part: Region) -> np.ndarray:
    """Return a part (*spatial) of the first channel of an array (channels, *spatial)."""
    return array[(slice(0, 1), *part)][0]


def _ignored_to_background(classes: np.ndarray) -> np.ndarray:
    """Return the classes, with background where the label is ignored."""
    return np.where(classes == IGNORED, 0, classes)


def _note(shape: tuple[int, ...], part: Region) -> str:
    """State in words which part of an image is shown; empty if all of it is."""
    sides = [region.stop - region.start for region in part]
    if sides == list(shape):
        return ""
    sizes = (" x ".join(map(str, lengths)) for lengths in (sides, shape))
    return f"the middle {next(sizes)} of {next(sizes)} {'pixels' if len(shape) == 2 else 'voxels'}"


def _kinds_by_side(objects: pd.DataFrame) -> dict[tuple[str, str, str], pd.Series]:
    """Return the kinds of objects, with their ids as index, by experiment, sample and side (true or predicted)."""
    if "side" not in objects:  # the table is empty
        return {}
    if "kind" not in objects:
        is_matched, is_true = objects["partner"].astype(str) != "", objects["side"] == "true"
        objects = objects.assign(kind=np.select([is_matched, is_true], ["match", "miss"], "false"))
    return {key: part.set_index("id")["kind"] for key, part in objects.groupby(["experiment", "sample", "side"])}


def _codes(ids: np.ndarray, kinds: pd.Series | None) -> np.ndarray:
    """Return the code of each pixel's object; 0 where there is no object."""
    if kinds is None:
        return np.zeros(ids.shape, np.uint8)
    codes = np.zeros(1 + max(int(ids.max(initial=0)), int(kinds.index.max())), np.uint8)
    codes[kinds.index.to_numpy()] = [CODES[kind] for kind in kinds]
    return codes[ids.astype(np.intp)]
