"""Detect problems of the input that concern several files or the config; `checks.inspect` checks single files."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from snakeseg.errors import BadInput, collect
from snakeseg.io.sheet import assign_parts
from snakeseg.models.compatibility import check_networks
from snakeseg.settings import Settings


class Inspected(NamedTuple):
    """Facts and problems of the whole input.

    Attributes
    ----------
    facts : DataFrame
        One row per image, from `inspect_rows`.
    problems : list of str
        Texts of `BadInput`, without repetitions.
    """

    facts: pd.DataFrame
    problems: list[str]


def read_inspected(batches: list[dict], sheet: pd.DataFrame, settings: Settings) -> Inspected:
    """Join the results of `inspect` for all batches, and check images against each other and against the networks.

    Parameters
    ----------
    batches : list of dict
        Keys facts and problems of each batch, from `inspect_rows`.
    sheet : DataFrame
        From `read_sheet`.
    settings : Settings
        Settings of the run.

    Returns
    -------
    Inspected
        Facts about all images and all problems.
    """
    facts = _with_grey_images(pd.DataFrame([fact for batch in batches for fact in batch["facts"]]))
    problems = [problem for batch in batches for problem in batch["problems"]]
    problems += check_input(sheet, facts, settings.folds, settings.validation)
    problems += check_networks(settings.experiments, facts, settings.spatial_dims, settings.labels)
    return Inspected(facts, list(dict.fromkeys(problems)))  # Rows may share a file, and then its problems.


def _with_grey_images(facts: pd.DataFrame) -> pd.DataFrame:
    """Set the number of channels to 1 if all images are grey, some of them stored as colours."""
    if not {"channels", "equal_channels"} <= set(facts):
        return facts
    is_grey = facts["channels"].isna() | (facts["channels"] == 1) | facts["equal_channels"].eq(True)
    return facts.assign(channels=facts["channels"].clip(upper=1)) if is_grey.all() else facts


def check_input(sheet: pd.DataFrame, facts: pd.DataFrame, folds: int, validation: list[str]) -> list[str]:
    """Detect different numbers of channels, empty folds, and identical images in different parts.

    Parameters
    ----------
    sheet : DataFrame
        From `read_sheet`.
    facts : DataFrame
        One row per image, from `inspect_rows`.
    folds : int
        Config key `folds`.
    validation : list of str
        Config key `validation`: patterns of the samples to hold out.

    Returns
    -------
    list of str
        Texts of `BadInput`, one per problem.
    """
    problems: list[str] = []
    channels = facts.get("channels", pd.Series(dtype=float)).dropna()
    for index in channels.index[channels != (channels.iloc[0] if len(channels) else 0)]:
        expected, example = int(channels.iloc[0]), facts.at[channels.index[0], "path"]
        error = BadInput(
            facts.at[index, "path"], f"{int(channels[index])} channels", f"{expected}, as in {example}",
            "save all images with the same channels",
        )  # fmt: skip
        problems.append(str(error))
    parts = collect(problems, lambda: assign_parts(sheet, folds, validation))
    parts = sheet["subset"] if parts is None else parts
    return problems + [str(leak) for leak in _leaks(facts, dict(zip(sheet["sample"], parts, strict=True)))]


def _leaks(facts: pd.DataFrame, parts: dict[str, str]) -> Iterator[BadInput]:
    """Yield an error for each identical image in two parts: a model would be trained and scored on the same image."""
    if "pixels" not in facts:
        return
    facts = facts[facts.duplicated("pixels", keep=False)]
    facts = facts.assign(part=facts["sample"].map(parts))
    facts = facts[(facts["part"] != "predict") & (facts["smallest"] != facts["largest"])]
    for _, identical in facts.groupby("pixels", sort=False):
        first, *others = identical.drop_duplicates("part").itertuples()
        for other in others:
            remedy = "remove one of the two rows from the sheet"
            remedy += "" if "test" in (first.part, other.part) else ", or give both the same 'group'"
            found = f"the same pixels as in {first.path} ({other.part} and {first.part})"
            yield BadInput(other.path, found, "each image in one part only", remedy)
