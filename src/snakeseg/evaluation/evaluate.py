"""Score predicted label files against the true labels, per image and per object."""

from pathlib import Path

import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.evaluation.scores import score
from snakeseg.io.formats import label_suffix
from snakeseg.io.images import open_image, read_label, read_label_for
from snakeseg.io.sheet import spacing_of
from snakeseg.settings import Labels

# Maximum size of an image, in pixels, whose intensities are read: they would take more memory than all scores.
MAX_INTENSITY_PIXELS = 2**26


def evaluate_rows(
    rows: pd.DataFrame, folder: Path, dims: int, labels: Labels, at_edge: bool = True
) -> tuple[list[dict], list[dict]]:
    """Score the predicted label file of every row of the sample sheet.

    An image that cannot be scored is a row with a reason; it raises no error.

    Parameters
    ----------
    rows : DataFrame
        Rows of the sample sheet.
    folder : path
        Folder of the predicted label files.
    dims : int
        Number of spatial axes.
    labels : Labels
    at_edge : bool
        Score true objects that touch the edge of the image.

    Returns
    -------
    images : list of dict
        One per row: sample, group, status ("scored", "unlabelled" or "unreadable"), reason, and the scores.
    objects : list of dict
        One per true or predicted object: see `snakeseg.evaluation.scores.score`. Intensities are not measured for
        images of more than `MAX_INTENSITY_PIXELS`.
    """
    images, objects = [], []
    for row in rows.itertuples():
        image = {"sample": row.sample, "group": row.group, "status": "scored", "reason": ""}
        if not row.label:
            images.append({**image, "status": "unlabelled", "reason": "no label in the sample sheet"})
            continue
        try:
            scores, object_rows = _score_row(row, folder, dims, labels, at_edge)
        except ValueError as error:
            images.append({**image, "status": "unreadable", "reason": str(error)})
            continue
        images.append({**image, **scores})
        objects += [{"sample": row.sample, **entry} for entry in object_rows]
    return images, objects


def score_table(scores: list[dict], rows: pd.DataFrame, experiment: str, fold: int | None) -> pd.DataFrame:
    """Convert scores of images or objects to a table, with experiment, subset and fold as its first columns.

    Parameters
    ----------
    scores : list of dict
        From `evaluate_rows`.
    rows : DataFrame
        Rows of the sample sheet.
    experiment : str
    fold : int, optional
        The held-out fold, for training images.

    Returns
    -------
    DataFrame
        One row per entry of `scores`. The subset of training images is "validation", since they are scored when they
        are held out.
    """
    subset = dict(zip(rows["sample"], rows["subset"].replace("train", "validation"), strict=True))
    table = pd.DataFrame(scores, columns=None if scores else ["sample"])
    table.insert(0, "fold", fold)
    table.insert(0, "subset", table["sample"].map(subset))
    table.insert(0, "experiment", experiment)
    return table


def _score_row(row, folder: Path, dims: int, labels: Labels, at_edge: bool) -> tuple[dict, list[dict]]:
    """Read the label, the prediction and the image of a row, and score the prediction."""
    image = open_image(row.image, dims)
    truth = read_label_for(image, row.label)
    path = folder / f"{row.sample}{label_suffix(row.image)}"
    predicted = read_label(path, dims).array
    if predicted.shape != truth.array.shape:
        expected = f"{truth.array.shape}, the shape of {row.label}"
        raise BadInput(path, f"shape {predicted.shape}", expected, "predict it again: snakemake -R instances")
    intensities = image.array[:1][0] if predicted.size <= MAX_INTENSITY_PIXELS else None
    return score(truth.array, predicted, labels, spacing_of(row.spacing, image.spacing), intensities, at_edge)
