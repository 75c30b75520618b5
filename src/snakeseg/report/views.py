"""What is shown of an image: a plane of it, at most so many pixels a side, with true and predicted objects."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.io.raster import label_suffix, open_image, read_label
from snakeseg.labels import classes_and_objects
from snakeseg.lazy import Region
from snakeseg.report.pictures import grey
from snakeseg.settings import Labels

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
    """A plane of an image, (y, x).

    Parameters
    ----------
    picture : uint8 array, shape (y, x, 3)
    truth : int array, shape (y, x), or None
        Ids of true objects.
    predicted : dict of int arrays, shape (y, x)
        By experiment: ids of predicted objects, or classes.
    errors : dict of uint8 arrays, shape (y, x)
        By experiment, of scored images: codes of `KINDS`, 0 elsewhere.
    grey_value, contrast : float
        Mean and standard deviation of the first channel's pixels.
    note : str
        What part of the image this is, if it is not all of it.
    """

    picture: np.ndarray
    truth: np.ndarray | None
    predicted: dict[str, np.ndarray]
    errors: dict[str, np.ndarray]
    grey_value: float
    contrast: float
    note: str


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
        array = open_image(source["image"], self.dims).array
        part = shown_part(array.shape[1:])
        image = self._flat(array[(slice(0, 3), *part)])
        true = None
        if source["label"]:
            label = read_label(source["label"], self.dims).array
            true = self._flat((label if self.labels is None else classes_and_objects(label, self.labels)[1])[part])
        predicted, errors = {}, {}
        for row in self.readable(sample):
            name, scored = row["experiment"], row["status"] == "scored"
            predicted[name] = self._predicted(self.prediction(row), part, scored)
            if scored:
                errors[name] = self._errors(name, sample, true, predicted[name])
        measured = {"grey_value": float(image[0].mean()), "contrast": float(image[0].std())}
        return View(grey(image), true, predicted, errors, **measured, note=_note(array.shape[1:], part))

    def readable(self, sample: str) -> list[dict]:
        """Rows of the image table, one for each experiment, but for predictions that could not be read."""
        rows = self.images.get(sample)
        return [] if rows is None else rows[rows["status"] != "unreadable"].to_dict("records")

    def prediction(self, row: dict) -> Path:
        """The label file that was predicted for a row of the image table."""
        kind = "validation" if row["subset"] == "validation" else "predictions"
        name = f"{row['sample']}{label_suffix(self.sources.loc[row['sample'], 'image'])}"
        folder = self.run / kind / row["experiment"]
        for path in folder.glob(f"*/{name}"):
            return path
        raise BadInput(folder, f"no prediction of {row['sample']}", name, "predict it again")

    def counts(self, experiment: str, sample: str) -> dict[str, int]:
        """True objects by what became of them, and predicted ones that are false."""
        none = pd.Series(dtype=object)
        found = {side: self.kinds.get((experiment, sample, side), none) for side in ("true", "predicted")}
        return {kind: int((found["predicted" if kind == "false" else "true"] == kind).sum()) for kind in KINDS}

    def _predicted(self, path: Path, part: Region, scored: bool) -> np.ndarray:
        if scored and self.labels.kind == "semantic":  # components are numbered over the whole image
            return self._flat(classes_and_objects(read_label(path, self.dims).array, self.labels)[1][part])
        return self._flat(open_image(path, self.dims).array[(slice(0, 1), *part)])[0]

    def _flat(self, array: np.ndarray) -> np.ndarray:
        """Without the axis of a volume's one slice."""
        return array.squeeze(-3) if self.dims == 3 else array

    def _errors(self, experiment: str, sample: str, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Predicted objects by what became of them, and true ones that were missed."""
        codes = _codes(predicted, self.kinds.get((experiment, sample, "predicted")))
        missed = _codes(true, self.kinds.get((experiment, sample, "true"))) == CODES["miss"]
        return np.where(missed & (codes == 0), CODES["miss"], codes).astype(np.uint8)


def shown_part(shape: tuple[int, ...]) -> Region:
    """The middle of an image (*spatial): one slice of a volume, and at most `LARGEST` pixels a side."""
    slices = [slice(n // 2, n // 2 + 1) for n in shape[:-2]]
    starts = [max(0, (n - LARGEST) // 2) for n in shape[-2:]]
    return (*slices, *(slice(start, min(n, start + LARGEST)) for start, n in zip(starts, shape[-2:], strict=True)))


def _note(shape: tuple[int, ...], part: Region) -> str:
    told = [f"slice {part[0].start + 1} of {shape[0]}"] if len(shape) == 3 else []
    sides = [region.stop - region.start for region in part[-2:]]
    if tuple(sides) != shape[-2:]:
        told.append(f"the middle {sides[0]} x {sides[1]} of {shape[-2]} x {shape[-1]} pixels")
    return ", ".join(told)


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
