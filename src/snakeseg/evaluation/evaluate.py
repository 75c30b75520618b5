"""Scores of predicted label files against true ones: per image and per object."""

from pathlib import Path

import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.evaluation.scores import score
from snakeseg.io.formats import label_suffix
from snakeseg.io.images import open_image, read_label, require_same_shape
from snakeseg.io.sheet import spacing_of
from snakeseg.settings import Labels

# Grey values of larger images are not read: brightness of objects would need more memory than all scores.
MOST_PIXELS = 2**26


def evaluate_rows(
    rows: pd.DataFrame, folder: Path, dims: int, labels: Labels, at_edge: bool = True
) -> tuple[list[dict], list[dict]]:
    """Score every row's prediction in a folder; without `at_edge`, true objects that touch the edge do not count.

    Returns
    -------
    images : list of dict
        One per row: sample, group, status (scored, unlabelled, unreadable), reason, and the scores.
    objects : list of dict
        One per true or predicted object: its partner, IoU, and measurements. Those of grey values are left out for
        images of more than `MOST_PIXELS`.
    """
    images, objects = [], []
    for row in rows.itertuples():
        image = {"sample": row.sample, "group": row.group, "status": "scored", "reason": ""}
        if not row.label:
            images.append({**image, "status": "unlabelled", "reason": "no label in the sample sheet"})
            continue
        try:
            scores, found = _score_row(row, folder, dims, labels, at_edge)
        except ValueError as error:
            images.append({**image, "status": "unreadable", "reason": str(error)})
            continue
        images.append({**image, **scores})
        objects += [{"sample": row.sample, **entry} for entry in found]
    return images, objects


def score_table(scores: list[dict], rows: pd.DataFrame, experiment: str, fold: int | None) -> pd.DataFrame:
    """Return scores of images or objects as a table, with experiment, subset and fold as its first columns.

    Parameters
    ----------
    scores : list of dict
        From `evaluate_rows`.
    rows : DataFrame
        Of the sample sheet; held-out training images are the subset "validation".
    experiment : str
    fold : int, optional
        That was held out.
    """
    subset = dict(zip(rows["sample"], rows["subset"].replace("train", "validation"), strict=True))
    table = pd.DataFrame(scores, columns=None if scores else ["sample"])
    table.insert(0, "fold", fold)
    table.insert(0, "subset", table["sample"].map(subset))
    table.insert(0, "experiment", experiment)
    return table


def _score_row(row, folder: Path, dims: int, labels: Labels, at_edge: bool) -> tuple[dict, list[dict]]:
    truth, image = read_label(row.label, dims), open_image(row.image, dims)
    path = folder / f"{row.sample}{label_suffix(row.image)}"
    predicted = read_label(path, dims).array
    if predicted.shape != truth.array.shape:
        found, expected = f"shape {predicted.shape}", f"{truth.array.shape}, as its label"
        raise BadInput(path, found, expected, "predict it again")
    require_same_shape(image, truth)
    few = predicted.size <= MOST_PIXELS
    grey = image.array[:1][0] if few else None
    return score(truth.array, predicted, labels, spacing_of(row.spacing, image.spacing), grey, at_edge)
