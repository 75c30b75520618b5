"""Labels that programs saved as floats or as scaled integers, back to the whole numbers they are."""

from pathlib import Path

import numpy as np

from snakeseg.errors import BadInput

# Largest distance of a label from a whole number: in general, and where the steps of scaled integers explain it.
MAX_DISTANCE, MAX_SCALED_DISTANCE = 1e-3, 0.05


def to_integers(path: str | Path, array: np.ndarray, step: float) -> tuple[np.ndarray, float]:
    """Convert labels to integers.

    Parameters
    ----------
    path : path
        The file, for the error.
    array : array of numbers
        Floats are rounded; integers keep their dtype, and booleans become int64.
    step : float
        Distance of neighbouring values that the file can store as scaled integers; 0 if it has no scaling.

    Returns
    -------
    labels : array of integers
    distance : float
        Largest distance of a value from its whole number.

    Raises
    ------
    BadInput
        If a value is further from a whole number than saving the label can have moved it: class probabilities and
        interpolated labels are no labels.
    """
    if array.dtype.kind in "iu":
        return array, 0.0
    if array.dtype.kind == "b":
        return array.astype(np.int64), 0.0
    whole = np.rint(array)
    distance = float(np.abs(array - whole).max(initial=0))
    # Half a step, and the rounding of scale factors to float32.
    scaled = min(0.5 * step * (1 + 1e-4), MAX_SCALED_DISTANCE)
    if distance > max(MAX_DISTANCE, scaled):
        raise BadInput(path, f"labels of type {array.dtype}", "integers", "round them and save as uint8 or uint16")
    return whole.astype(np.int64), distance
