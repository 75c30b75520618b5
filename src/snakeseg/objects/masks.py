"""Combine masks of single objects, one file per object, into a label image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from snakeseg.errors import BadInputs, collect
from snakeseg.io.images import read_label_for
from snakeseg.io.raster import Raster
from snakeseg.progress import log


def combine_masks(masks: Sequence[Path], source: Raster) -> np.ndarray:
    """Combine masks into a label image; a pixel of several masks belongs to the first of them.

    Parameters
    ----------
    masks : sequence of path
        Files of one plane each, 0 outside the object.
    source : Raster
        The image on which the masks were drawn.

    Returns
    -------
    uint32 array, shape (height, width)
        The id of an object is the position of its mask in `masks`, from 1. A mask that earlier masks cover completely
        adds no object; a warning is logged.

    Raises
    ------
    BadInputs
        With one problem for each mask that cannot be read or has another shape than the image.
    """
    labels, problems = np.zeros(source.array.shape[1:], np.uint32), []
    for number, path in enumerate(masks, 1):
        mask = collect(problems, lambda path=path: read_label_for(source, path))
        if mask:
            own = (mask.array != 0) & (labels == 0)
            labels[own] = number
            if not own.any():
                log(f"warning: {path}: the mask adds no object; earlier masks cover all of its pixels")
    if problems:
        raise BadInputs(problems)
    return labels
