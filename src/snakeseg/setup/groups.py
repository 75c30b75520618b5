"""Who is held out together: groups by name, stretches of a stack or film, and the folds that follow."""

import math

import numpy as np
import pandas as pd

from snakeseg.checks.image_facts import decoded, image_facts
from snakeseg.errors import collect
from snakeseg.io.images import open_image

# Neighbours that correlate by this much, and by so much more than images further apart, are of one stack or film.
ALIKE, MORE = 0.3, 0.2
# Images in a row that are compared, and how far apart others are.
ROW, APART = 8, 4
# Every fifth group is held out (see `io.sheet.assign_folds`).
STRETCHES = 5
LARGEST = 2**25


def grouped(sheet: pd.DataFrame, dims: int) -> tuple[pd.DataFrame, str]:
    """The sheet with its groups filled in where something belongs together; and why, in words."""
    train = sheet.index[sheet["subset"] == "train"]
    known = sheet.loc[train, "group"]
    if known.nunique() > 1:
        named = known[known != ""]
        together = named.duplicated(keep=False).any()
        return sheet, f"{named.nunique()} groups, as in {named.iloc[0]}" if together else ""
    if len(train) < 2 * STRETCHES:
        return sheet.assign(group=""), ""
    if not known.iloc[0] and not neighbours_alike(sheet.loc[train, "image"].tolist(), dims):
        return sheet, ""
    numbers = np.arange(len(train)) * STRETCHES // len(train)
    stretches = pd.Series([f"stretch-{number + 1}" for number in numbers], train)
    sheet = sheet.assign(group=sheet["group"].where(sheet["subset"] != "train", stretches.reindex(sheet.index)))
    return sheet, f"consecutive images look alike, as in a stack or film: {STRETCHES} stretches"


def neighbours_alike(images: list[str], dims: int) -> bool:
    """Whether images that follow each other look more alike than others, as sections and frames do."""
    start = (len(images) - ROW) // 2
    found = [collect([], lambda path=path: _signature(path, dims)) for path in images[start : start + ROW]]
    if len(found) < ROW or any(each is None for each in found):
        return False
    alike = np.stack(found) @ np.stack(found).T
    near = float(np.diagonal(alike, 1).mean())
    far = float(np.mean([alike[i, j] for i in range(ROW) for j in range(i + APART, ROW)]))
    return near > ALIKE and near > far + MORE


def _signature(path: str, dims: int) -> np.ndarray:
    array = open_image(path, dims).array
    if math.prod(array.shape) > LARGEST:
        raise ValueError("too large to compare")
    return decoded(image_facts(array)["signature"])


def folds_of(sheet: pd.DataFrame, validation: list[str]) -> tuple[dict, str]:
    """Keys of the config about who is held out, and what that means, in words."""
    if validation:
        return {"validation": validation}, "Held out: what the folder itself holds out."
    train = sheet[sheet["subset"] == "train"]
    groups = train["group"].where(train["group"] != "", train["sample"]).nunique()
    what = "group" if (train["group"] != "").any() else "image"
    if groups >= STRETCHES:
        return {"folds": 1}, f"Every fifth {what} is held out. (With folds: 5 each would be, once, by five trainings.)"
    first = f"One {what} of {groups} is held out"
    return {"folds": groups, "fold": 0}, f"{first}. (With fold: all each would be, once, by {groups} trainings.)"
