"""Score label images."""

from collections.abc import Sequence

import numpy as np

from snakeseg.errors import BadInput
from snakeseg.evaluation import scores
from snakeseg.settings import Labels
from snakeseg.transforms.argument_checks import require_image, require_labels, require_spacing


def score(
    truth: np.ndarray,
    prediction: np.ndarray,
    labels: Labels | None = None,
    spacing: Sequence[float] | None = None,
    image: np.ndarray | None = None,
    at_edge: bool = True,
) -> tuple[dict, list[dict]]:
    """Score a predicted label image against the true one.

    Parameters
    ----------
    truth, prediction : integer arrays, shape (*spatial)
        Ids of instances, or values of classes.
    labels : Labels, optional
        Meaning of the values, as the section `labels` of a config; instances by default.
    spacing : sequence of float, optional
        Pixel size along each axis, for distances and sizes; 1 by default.
    image : array, shape (*spatial), optional
        Intensities, for those of every object.
    at_edge : bool
        Count true objects that touch the edge of the image.

    Returns
    -------
    scores : dict
        Every score by its name in the tables of a run, such as "ap_0.50", "dice", "voi_split".
    objects : list of dict
        A row for each true and predicted object: partner, IoU, error kind, measurements.

    Raises
    ------
    BadInput
        If shapes differ, a dtype is not integer, or a value is negative or none of the classes.

    References
    ----------
    Every score's definition and paper: docs/reference/metrics.md.

    Examples
    --------
    >>> scores, objects = snakeseg.score(labels.array, labels.array)
    >>> scores["ap_0.50"], scores["count_error"]
    (1.0, 0)
    """
    labels = labels or Labels()
    truth = _require_values("truth", truth, labels)
    prediction = _require_values("prediction", prediction, labels)
    if prediction.shape != truth.shape:
        expected = f"{truth.shape}, the shape of the truth"
        raise BadInput("prediction", f"shape {prediction.shape}", expected, "pass the labels of one image")
    spacing = require_spacing(spacing, truth.ndim)
    image = None if image is None else require_image(image, "image", truth.shape)
    return scores.score(truth, prediction, labels, spacing, image, at_edge)


def _require_values(where: str, values, labels: Labels) -> np.ndarray:
    """Return a label image after checking that its values are ids, classes, or ignored."""
    values = require_labels(values, where, negative=True)
    ignored = [] if labels.ignore is None else [labels.ignore]
    if labels.kind != "semantic":
        require_labels(np.where(np.isin(values, ignored), 0, values), where)
    elif (unknown := np.setdiff1d(values, [*labels.values.values(), *ignored])).size:
        expected = f"the classes {labels.values}"
        raise BadInput(where, f"values {unknown[:5].tolist()}", expected, "correct the array, or the argument labels")
    return values
