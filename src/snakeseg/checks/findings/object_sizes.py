"""How large objects are beside what networks see at once: patches, receptive fields, pixels."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from snakeseg.checks.findings.finding import Finding
from snakeseg.checks.label_facts import STEPS
from snakeseg.networks.registry import geometry_of
from snakeseg.settings import Experiment, Labels, Network

# A patch should hold the middle object so many times along each side, and a large one once, with what is around it.
TIMES, LARGE = 4, 1.5
# Objects of fewer pixels across lose their shape in the first pooling.
TINY = 6
# Patches are proposed in steps that suit all networks.
STEP = 32


def extents_of(table: pd.DataFrame) -> np.ndarray:
    """How many objects of all images have ``STEPS * log2(extent)`` from 0 to 1, 1 to 2, ..."""
    lists = [value for value in table["extents"] if isinstance(value, list)]
    total = np.zeros(max(map(len, lists), default=0), np.int64)
    for each in lists:
        total[: len(each)] += np.array(each, np.int64)
    return total


def extent_at(counts: np.ndarray, percent: float) -> float:
    """About the extent in pixels that so many percent of the objects do not exceed: the middle of its bin."""
    place = np.searchsorted(counts.cumsum(), percent / 100 * (counts.sum() - 1), side="right")
    return float(2 ** ((place + 0.5) / STEPS))


def proposed_patch(counts: np.ndarray, side: float) -> int:
    """Pixels a side that hold a typical object several times and a large one once, in images of this side."""
    wanted = max(TIMES * extent_at(counts, 50), LARGE * extent_at(counts, 95))
    return int(-(-min(wanted, side) // STEP) * STEP)


def side_of(table: pd.DataFrame) -> float:
    """The middle of the images' geometric mean sides; NaN if none was read."""
    shapes = table["shape"].dropna().astype(str).str.split("x", expand=True).astype(float)
    return float(np.exp(np.log(shapes).mean(axis=1)).median())


def experiments_of(experiments: dict[str, Experiment], dims: int) -> list[dict]:
    """What every network sees: experiment, network, patch (its geometric mean side, if it has several), field (pixels
    across that an output pixel depends on, along the axis where it is largest).
    """
    return [
        {
            "experiment": name,
            "network": of.network.name,
            "patch": _mean_side(of.train.patch),
            "field": _field_of(of.network, dims),
        }
        for name, of in experiments.items()
    ]


def _mean_side(patch: int | list[int] | str) -> int | str:
    """Return the geometric mean of a patch's sides; "auto" as it is."""
    return round(np.prod(patch) ** (1 / len(patch))) if isinstance(patch, list) else patch


def _field_of(network: Network, dims: int) -> int:
    """Return the pixels across that an output pixel depends on, along the axis where they are most."""
    return 2 * max(geometry_of(dims, network).halo) + 1


def overview(table: pd.DataFrame, labels: Labels, experiments: list[dict]) -> dict:
    """How large the objects of training images are, for the page.

    Returns
    -------
    dict
        small, middle, large (extents that 5, 50 and 95 % do not exceed); bars (a histogram, by doublings: start, stop,
        count); patch (proposed, in pixels; none for classes); scale (in words); touching (share, if the labels tell);
        experiments. Empty if there are no objects.
    """
    train = table[table["subset"] == "train"]
    counts = extents_of(train)
    if not counts.sum():
        return {}
    doublings = np.pad(counts, (0, -len(counts) % STEPS)).reshape(-1, STEPS).sum(axis=1)
    bars = [{"start": 2**i, "stop": 2 ** (i + 1) - 1, "count": int(count)} for i, count in enumerate(doublings)]
    return {
        **{name: extent_at(counts, percent) for name, percent in (("small", 5), ("middle", 50), ("large", 95))},
        "bars": bars[int(np.argmax(doublings > 0)) :],
        "patch": None if labels.kind == "semantic" else proposed_patch(counts, side_of(train)),
        "scale": _scale(extent_at(counts, 50), extent_at(counts, 95), experiments),
        **({"touching": train["touching"].sum() / counts.sum()} if labels.kind == "instance" else {}),
        "experiments": experiments,
    }


def size_findings(table: pd.DataFrame, labels: Labels, experiments: list[dict]) -> Iterator[Finding]:
    """Findings about objects, patches and networks that do not suit each other.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.table_of`.
    labels : Labels
    experiments : list of dict
        From `experiments_of`.
    """
    train = table[table["subset"] == "train"]
    side = side_of(train)
    for experiment in experiments:
        yield from _patch_beyond_images(experiment, side)
    counts = extents_of(train)
    if labels.kind == "semantic" or not counts.sum():
        return
    yield from _tiny(extent_at(counts, 50))
    for experiment in experiments:
        yield from _patch_beside_objects(experiment, counts, side)
        yield from _field(experiment, extent_at(counts, 95))


def _patch_beyond_images(experiment: dict, side: float) -> Iterator[Finding]:
    if experiment["patch"] != "auto" and experiment["patch"] > 1.5 * side:
        yield Finding(
            "note", "Patches larger than images", (),
            f"{experiment['experiment']}: patches of {experiment['patch']} pixels a side, images of {side:.0f}",
            "most of a patch is mirrored: time without anything new to learn",
            f"set train: {{patch: {int(-(-side // STEP) * STEP)}}}, and a larger batch",
        )  # fmt: skip


def _patch_beside_objects(experiment: dict, counts: np.ndarray, side: float) -> Iterator[Finding]:
    patch, middle, large = experiment["patch"], extent_at(counts, 50), extent_at(counts, 95)
    if patch != "auto" and patch < min(max(large, 2 * middle), side):
        yield Finding(
            "warning", "Patches too small for the objects", (),
            f"{experiment['experiment']}: patches of {patch} pixels; the middle object is {middle:.0f} pixels long, "
            f"one in 20 over {large:.0f}",
            "hardly a patch shows an object and what is around it",
            f"set train: {{patch: {proposed_patch(counts, side)}}}",
        )  # fmt: skip


def _field(experiment: dict, large: float) -> Iterator[Finding]:
    if experiment["field"] < large:
        yield Finding(
            "warning", "Objects larger than what the network sees", (),
            f"{experiment['experiment']}: {experiment['field']} pixels; one object in 20 is longer than {large:.0f}",
            "inside such an object the network sees no edge to go by",
            _shrink(experiment, large),
        )  # fmt: skip


def _tiny(middle: float) -> Iterator[Finding]:
    if middle < TINY:
        yield Finding(
            "warning", "Objects of a few pixels", (), f"the middle object is {middle:.0f} pixels long",
            "one pixel more or less decides about a match",
            _enlarge(middle),
        )  # fmt: skip


def _scale(middle: float, large: float, experiments: list[dict]) -> str:
    """Whether images should be larger or smaller, for their objects' sake."""
    if middle < TINY:
        return _enlarge(middle)
    narrow = [each for each in experiments if each["field"] < large]
    if narrow:
        return _shrink(min(narrow, key=lambda each: each["field"]), large)
    return "keep it; objects are neither too small nor too large"


def _enlarge(middle: float) -> str:
    return f"enlarge images and labels {np.ceil(8 / middle):.0f} times"


def _shrink(experiment: dict, large: float) -> str:
    return f"take a deeper network, or shrink images and labels {np.ceil(large / experiment['field']):.0f} times"
