"""Group images that belong together, such as consecutive frames, and choose the folds."""

import math

import numpy as np
import pandas as pd

from snakeseg.checks.image_facts import decoded, image_facts
from snakeseg.errors import collect
from snakeseg.io.images import open_image

# Minimum mean correlation of consecutive images of a stack or film, and its minimum difference to that of distant ones.
MIN_CORRELATION, MIN_CORRELATION_DROP = 0.3, 0.2
# Number of consecutive images that are compared, and minimum distance of distant ones.
COMPARED_IMAGES, MIN_DISTANCE = 8, 4
# Number of stretches of consecutive images; every fifth group is held out (see `io.sheet.assign_folds`).
STRETCHES = 5
# Maximum number of pixels, over all channels, of an image that is compared.
MAX_COMPARED_PIXELS = 2**25


def assign_groups(sheet: pd.DataFrame, dims: int) -> tuple[pd.DataFrame, str]:
    """Keep the groups of a layout, or group consecutive images that are similar.

    Parameters
    ----------
    sheet : DataFrame
        With the columns of `layout.LAYOUT_COLUMNS`.
    dims : int
        Number of spatial axes, 2 or 3.

    Returns
    -------
    sheet : DataFrame
        With its column group filled in.
    reason : str
        Description of the groups; "" if every image is a group of its own.
    """
    train = sheet.index[sheet["subset"] == "train"]
    groups = sheet.loc[train, "group"]
    if groups.nunique() > 1:
        names = groups[groups != ""]
        shared = names.duplicated(keep=False).any()
        return sheet, f"{names.nunique()} groups, such as {names.iloc[0]}" if shared else ""
    if len(train) < 2 * STRETCHES:
        return sheet.assign(group=""), ""
    if not groups.iloc[0] and not are_neighbours_similar(sheet.loc[train, "image"].tolist(), dims):
        return sheet, ""
    numbers = np.arange(len(train)) * STRETCHES // len(train)
    stretches = pd.Series([f"stretch-{number + 1}" for number in numbers], train)
    sheet = sheet.assign(group=sheet["group"].where(sheet["subset"] != "train", stretches.reindex(sheet.index)))
    return sheet, f"consecutive images are similar, as in a stack or film: divided into {STRETCHES} stretches"


def are_neighbours_similar(images: list[str], dims: int) -> bool:
    """Return True if consecutive images are more similar than distant ones, like sections of a stack or frames.

    Parameters
    ----------
    images : list of str
        Paths of images in order; the middle `COMPARED_IMAGES` are compared.
    dims : int
        Number of spatial axes, 2 or 3.
    """
    count = COMPARED_IMAGES
    start = (len(images) - count) // 2
    signatures = [collect([], lambda path=path: _signature(path, dims)) for path in images[start : start + count]]
    if len(signatures) < count or any(signature is None for signature in signatures):
        return False
    correlations = np.stack(signatures) @ np.stack(signatures).T
    near = float(np.diagonal(correlations, 1).mean())
    far = float(np.mean([correlations[i, j] for i in range(count) for j in range(i + MIN_DISTANCE, count)]))
    return near > MIN_CORRELATION and near > far + MIN_CORRELATION_DROP


def _signature(path: str, dims: int) -> np.ndarray:
    """Return the signature of an image; raise ValueError if it is too large."""
    array = open_image(path, dims).array
    if math.prod(array.shape) > MAX_COMPARED_PIXELS:
        raise ValueError("too large to compare")
    return decoded(image_facts(array)["signature"])


def choose_folds(sheet: pd.DataFrame, validation: list[str], classes: dict[str, set[str]]) -> tuple[dict, str]:
    """Choose the folds by the number of groups, with every class among held-out and other images where possible.

    Parameters
    ----------
    sheet : DataFrame
        With the columns of `layout.LAYOUT_COLUMNS`.
    validation : list of str
        Patterns of the samples that the folder itself holds out.
    classes : dict of set of str
        Names of the classes in the label of each sample, where known.

    Returns
    -------
    keys : dict
        Keys of the config: validation, or folds and fold.
    comment : str
        Explanation for the config.
    """
    if validation:
        return {"validation": validation}, "Held out for validation: the images in the validation part of the folder."
    train = sheet[sheet["subset"] == "train"]
    groups = train["group"].where(train["group"] != "", train["sample"]).nunique()
    unit = "group" if (train["group"] != "").any() else "image"
    held_out = hold_out_every_class(train, classes) if groups >= STRETCHES else []
    if held_out:
        return {"validation": held_out}, f"Held out for validation: {unit}s with examples of every class."
    if groups >= STRETCHES:
        comment = f"Every fifth {unit} is held out for validation. folds: 5 holds out each {unit} once, in 5 trainings."
        return {"folds": 1}, comment
    comment = f"One {unit} of {groups} is held out for validation. fold: all holds out each {unit} once, in {groups}"
    return {"folds": groups, "fold": 0}, f"{comment} trainings."


def hold_out_every_class(train: pd.DataFrame, classes: dict[str, set[str]]) -> list[str]:
    """Return samples to hold out if every fifth group leaves a class on one side only, which other groups do not.

    Parameters
    ----------
    train : DataFrame
        Training rows, with the columns sample and group.
    classes : dict of set of str
        Names of the classes in the label of each sample, where known.

    Returns
    -------
    list of str
        Names of the samples; empty if every fifth group is a good choice, or no choice of every fifth group is.
    """
    rank = pd.factorize(train["group"].where(train["group"] != "", train["sample"]))[0] % STRETCHES
    names = train["sample"].to_numpy()
    everything = set().union(*classes.values()) if classes else set()

    def missing(shift: int) -> int:
        sides = (names[rank == shift], names[rank != shift])
        return sum(len(everything - set().union(*(classes.get(n, set()) for n in side))) for side in sides)

    default = STRETCHES - 1  # `io.sheet.assign_folds` holds out the fifth of five groups
    best = min(range(STRETCHES), key=lambda shift: (missing(shift), shift != default))
    return [] if best == default else names[rank == best].tolist()
