"""Labels of masks that others drew: a file for each object."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from snakeseg.errors import BadInputs, collect
from snakeseg.io.images import Raster, read_label, require_same_shape
from snakeseg.progress import tell


def labels_of_masks(masks: Sequence[Path], source: Raster) -> np.ndarray:
    """Return a label image of masks; a pixel of several masks belongs to the first.

    Parameters
    ----------
    masks : sequence of path
        Images of one plane, each 0 outside its object.
    source : Raster
        The image that they were drawn on.

    Returns
    -------
    uint32 array, shape (height, width)
        Ids are the masks' numbers, from 1; a mask without a pixel of its own makes no object, and a warning.

    Raises
    ------
    BadInputs
        For each mask that cannot be read or is of another shape.
    """
    labels, problems = np.zeros(source.array.shape[1:], np.uint32), []
    for number, path in enumerate(masks, 1):
        mask = collect(problems, lambda path=path: read_label(path, 2))
        if mask and collect(problems, lambda mask=mask: require_same_shape(source, mask) or True):
            own = (mask.array != 0) & (labels == 0)
            labels[own] = number
            if not own.any():
                tell(f"warning: {path}: no pixel that the masks before do not have; no object")
    if problems:
        raise BadInputs(problems)
    return labels
