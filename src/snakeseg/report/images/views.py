"""What is shown of an image: at most so many pixels a side of it, with true and predicted objects."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.arrays import Region
from snakeseg.errors import BadInput
from snakeseg.io.formats import label_suffix
from snakeseg.io.images import open_image, read_label
from snakeseg.io.sheet import spacing_of
from snakeseg.report.images.pictures import grey
from snakeseg.report.images.volumes import Frame, frame_of, means, middle_of, nearest, square
from snakeseg.settings import Labels
from snakeseg.transforms.labels import IGNORED, classes_and_objects

# Pixels a side of larger images that are read, in the middle: shrunk further, objects could no longer be seen.
LARGEST = 2048
# What became of an object, in the order of its codes, which start at 1; and what that means.
KINDS = {
    "match": "found", "split": "cut into several", "merge": "joined with others", "miss": "not found",
    "false": "nobody there",
}  # fmt: skip
CODES = {kind: code for code, kind in enumerate(KINDS, start=1)}


@dataclass(frozen=True)
class View:
    """An image of which a part is shown, (y, x), or a volume, (z, y, x) of its frame.

    Parameters
    ----------
    picture : uint8 array, shape (*spatial, 3)
    truth : int array, shape (*spatial), or None
        Ids of true objects.
    predicted : dict of int arrays, shape (*spatial)
        By experiment: ids of predicted objects, or classes.
    errors : dict of uint8 arrays, shape (*spatial)
        By experiment, of scored images: codes of `KINDS`, 0 elsewhere.
    classes : dict of uint8 arrays, shape (*spatial)
        By experiment, and of the truth under "": indices of classes. Of volumes, where there are several classes.
    grey_value, contrast : float
        Mean and standard deviation of the first channel's pixels.
    note : str
        What part of the image this is, if it is not all of it.
    frame : Frame or None
        Of a volume.
    """

    picture: np.ndarray
    truth: np.ndarray | None
    predicted: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    classes: dict[str, np.ndarray]
    grey_value: float
    contrast: float
    note: str
    frame: Frame | None = None


class Views:
    """Reads views of a run's images.

    Parameters
    ----------
    run : path
        Folder of the run's results.
    sheet : DataFrame
        From `read_sheet`.
    images, objects : DataFrame
        Rows of images and objects, as evaluated.
    dims : int
    labels : Labels or None
        None if labels are shown as they are in their files.
    """

    def __init__(
        self, run: Path, sheet, images: pd.DataFrame, objects: pd.DataFrame, dims: int, labels: Labels | None
    ):  # fmt: skip
        self.run, self.dims, self.labels = run, dims, labels
        self.sources = sheet.set_index("sample")
        self.images = dict(list(images.groupby("sample")))
        self.kinds = _kinds(objects)

    def view(self, sample: str) -> View:
        """What is shown of a sample.

        Raises
        ------
        BadInput
            If a file cannot be read.
        """
        source = self.sources.loc[sample]
        raster = open_image(source["image"], self.dims)
        if self.dims == 3:
            frame = frame_of(raster, spacing_of(source.get("spacing", ""), raster.spacing))
            image, mean, deviation = means(raster.array, frame)
            cut, total, shown = partial(nearest, frame=frame), frame.total, frame.part
        else:
            frame, total, shown = None, raster.array.shape[1:], shown_part(raster.array.shape[1:])
            image = raster.array[(slice(0, 3), *shown)]
            mean, deviation = float(image[0].mean()), float(image[0].std())
            cut = partial(_cut, part=shown)
        return View(grey(image), **self._labelled(sample, source["label"], cut), grey_value=mean, contrast=deviation,
                    note=_note(total, shown), frame=frame)  # fmt: skip

    def _labelled(self, sample: str, label: str, cut: Callable) -> dict:
        """Truth, predictions, errors and classes, of each what `cut` takes of it."""
        true, predicted, errors, classes = None, {}, {}, {}
        if label:
            true = self._objects(read_label(label, self.dims).array, cut, classes, "")
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
                if self.several:
                    classes[name] = _inner(classes_and_objects(predicted[name], self.labels)[0])
        return {"truth": true, "predicted": predicted, "errors": errors, "classes": classes}

    @property
    def several(self) -> bool:
        """Whether volumes have several classes besides the background."""
        return self.dims == 3 and self.labels is not None and len(self.labels.classes) > 2

    def readable(self, sample: str) -> list[dict]:
        """Rows of the image table, one for each experiment, but for predictions that could not be read."""
        rows = self.images.get(sample)
        return [] if rows is None else rows[rows["status"] != "unreadable"].to_dict("records")

    def prediction(self, row: dict) -> Path:
        """The label file that was predicted for a row of the image table."""
        source = self.sources.loc[row["sample"]]
        held_out = row["subset"] == "validation"
        kind, part = ("validation", f"fold-{row['fold']:.0f}") if held_out else ("predictions", source["batch"])
        path = self.run / kind / row["experiment"] / part / f"{row['sample']}{label_suffix(source['image'])}"
        if not path.exists():
            raise BadInput(path, "no such file", f"the prediction of {row['sample']}", "predict it again")
        return path

    def counts(self, experiment: str, sample: str) -> dict[str, int]:
        """True objects by what became of them, and predicted ones that are false."""
        none = pd.Series(dtype=object)
        found = {side: self.kinds.get((experiment, sample, side), none) for side in ("true", "predicted")}
        return {kind: int((found["predicted" if kind == "false" else "true"] == kind).sum()) for kind in KINDS}

    def _objects(self, label: np.ndarray, cut: Callable, classes: dict, name: str) -> np.ndarray:
        """What is shown of a label's objects; where there are several classes, they are added under a name."""
        if self.labels is None:
            return cut(label[None])
        found, objects = classes_and_objects(label, self.labels)
        if self.several:
            classes[name] = _inner(cut(found[None]))
        return cut(objects[None])

    def _errors(self, experiment: str, sample: str, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Predicted objects by what became of them, and true ones that were missed."""
        codes = _codes(predicted, self.kinds.get((experiment, sample, "predicted")))
        missed = _codes(true, self.kinds.get((experiment, sample, "true"))) == CODES["miss"]
        return np.where(missed & (codes == 0), CODES["miss"], codes).astype(np.uint8)


def shown_part(shape: tuple[int, ...]) -> Region:
    """The middle of a plane (y, x): at most `LARGEST` pixels a side."""
    starts = [max(0, (n - LARGEST) // 2) for n in shape]
    return tuple(slice(start, min(n, start + LARGEST)) for start, n in zip(starts, shape, strict=True))


def place_of(view: View) -> tuple[int, ...]:
    """The voxel (z, y, x) of a volume that is shown first: in the middle of true objects, else of predicted ones."""
    labels = [each for each in (view.truth, *view.predicted.values()) if each is not None and each.any()]
    return middle_of(labels[0] > 0) if labels else tuple(n // 2 for n in view.picture.shape[:3])


def across(view: View) -> View:
    """A volume's slice (y, x) through that place, with pixels as wide as high."""
    at, cells = place_of(view)[0], np.ix_(*square(view.picture.shape[1:3], view.frame.steps[1:]))

    def cut(array):
        return None if array is None else array[at][cells]

    layers = {name: {key: cut(each) for key, each in getattr(view, name).items()} for name in ("predicted", "errors")}
    return replace(view, picture=cut(view.picture), truth=cut(view.truth), **layers, classes={}, frame=None)


def _cut(array, part: Region) -> np.ndarray:
    """A part of the first channel of an array (channels, *spatial)."""
    return array[(slice(0, 1), *part)][0]


def _inner(classes: np.ndarray) -> np.ndarray:
    """Classes, and the background where the label is to be ignored."""
    return np.where(classes == IGNORED, 0, classes)


def _note(shape: tuple[int, ...], part: Region) -> str:
    sides = [region.stop - region.start for region in part]
    if sides == list(shape):
        return ""
    sizes = (" x ".join(map(str, each)) for each in (sides, shape))
    return f"the middle {next(sizes)} of {next(sizes)} {'pixels' if len(shape) == 2 else 'voxels'}"


def _kinds(objects: pd.DataFrame) -> dict[tuple[str, str, str], pd.Series]:
    """What became of objects, by experiment, sample and side; their ids are the index."""
    if "side" not in objects:  # there are none
        return {}
    if "kind" not in objects:
        found, true = objects["partner"].astype(str) != "", objects["side"] == "true"
        objects = objects.assign(kind=np.select([found, true], ["match", "miss"], "false"))
    return {key: part.set_index("id")["kind"] for key, part in objects.groupby(["experiment", "sample", "side"])}


def _codes(ids: np.ndarray, kinds: pd.Series | None) -> np.ndarray:
    """The code of every pixel's object; 0 where there is none."""
    if kinds is None:
        return np.zeros(ids.shape, np.uint8)
    codes = np.zeros(1 + max(int(ids.max(initial=0)), int(kinds.index.max())), np.uint8)
    codes[kinds.index.to_numpy()] = [CODES[kind] for kind in kinds]
    return codes[ids.astype(np.intp)]
