"""A model takes an axis whose pixel size the image does not state to have its own."""

import numpy as np
import pytest

from snakeseg.errors import BadInput
from snakeseg.io.raster import Raster
from snakeseg.models.description import Description
from snakeseg.prediction.images import fit_to_model
from snakeseg.settings import Labels, Predict, Prepare, UNetSettings


def fit(sizes, unknown, trained, setting="refuse"):
    description = Description(
        3,
        1,
        Labels(),
        UNetSettings(width=1, depth=1),
        Prepare(),
        Predict(average=False, spacing=setting),
        None,
        trained,
    )
    return fit_to_model(description, Raster(np.zeros((1, 4, 6, 8)), sizes, "a.tif", "zyx", unknown=unknown))


def test_unknown_axes_are_not_compared():
    assert fit((0.2, 0.2, 0.2), "z", [1.0, 0.2, 0.2]).array.shape == (1, 4, 6, 8)
    with pytest.raises(BadInput, match=r"found pixels of 0.2 x 0.2 x 0.2; expected about 1 x 0.2 x 0.2"):
        fit((0.2, 0.2, 0.2), "", [1.0, 0.2, 0.2])
    with pytest.raises(BadInput, match=r"found pixels of 1 x 0.5 x 0.5; expected about 1 x 0.2 x 0.2"):
        fit((0.5, 0.5, 0.5), "z", [1.0, 0.2, 0.2])


def test_unknown_axes_are_not_resampled():
    assert fit((0.4, 0.4, 0.4), "z", [1.0, 0.2, 0.2], "resample").array.shape == (1, 4, 12, 16)
