"""What can be wrong with the input besides its files (`checks.inspect`), found before anything is computed."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from snakeseg.errors import BadInput, collect
from snakeseg.io.sheet import parts_of
from snakeseg.models.compatibility import check_networks
from snakeseg.settings import Settings


class Inspected(NamedTuple):
    """What the files of all rows hold (a row for each image, from `inspect`), and all problems of the input."""

    facts: pd.DataFrame
    problems: list[str]


def gather(batches: list[dict], sheet: pd.DataFrame, settings: Settings) -> Inspected:
    """Join what `inspect` found in all batches, and add problems of rows together and of networks.

    Parameters
    ----------
    batches : list of dict
        facts and problems of each batch, from `inspect`.
    sheet : DataFrame
        From `read_sheet`.
    settings : Settings
    """
    facts = pd.DataFrame([fact for batch in batches for fact in batch["facts"]])
    problems = [problem for batch in batches for problem in batch["problems"]]
    problems += check(sheet, facts, settings.folds, settings.validation)
    problems += check_networks(settings.experiments, facts, settings.spatial_dims, settings.labels)
    return Inspected(facts, list(dict.fromkeys(problems)))  # rows may share a file


def check(sheet: pd.DataFrame, facts: pd.DataFrame, folds: int, validation: list[str]) -> list[str]:
    """Problems that no image has alone: other channels than the first, folds with nobody in them, leaks."""
    problems: list[str] = []
    channels = facts.get("channels", pd.Series(dtype=float)).dropna()
    for index in channels.index[channels != (channels.iloc[0] if len(channels) else 0)]:
        expected, example = int(channels.iloc[0]), facts.at[channels.index[0], "path"]
        error = BadInput(
            facts.at[index, "path"], f"{int(channels[index])} channels", f"{expected}, as in {example}",
            "save all images with the same channels",
        )  # fmt: skip
        problems.append(str(error))
    parts = collect(problems, lambda: parts_of(sheet, folds, validation))
    parts = sheet["subset"] if parts is None else parts
    return problems + [str(leak) for leak in _leaks(facts, dict(zip(sheet["sample"], parts, strict=True)))]


def _leaks(facts: pd.DataFrame, parts: dict[str, str]) -> Iterator[BadInput]:
    """The very same image in two parts, so that one learns from what the other is scored by."""
    if "pixels" not in facts:
        return
    facts = facts[facts.duplicated("pixels", keep=False)]
    facts = facts.assign(part=facts["sample"].map(parts))
    facts = facts[(facts["part"] != "predict") & (facts["smallest"] != facts["largest"])]
    for _, same in facts.groupby("pixels", sort=False):
        first, *others = same.drop_duplicates("part").itertuples()
        for other in others:
            remedy = "drop one of the rows"
            remedy += "" if "test" in (first.part, other.part) else ", or give both the same 'group'"
            found = f"the very pixels of {first.path} ({other.part} and {first.part})"
            yield BadInput(other.path, found, "no image in two parts", remedy)
