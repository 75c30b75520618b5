"""Everything that can be wrong with the input, found before anything is computed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from snakeseg.errors import BadInput
from snakeseg.imagefacts import image_facts
from snakeseg.io.raster import Raster, open_image, read_label, require_same_shape, same_place
from snakeseg.io.sheet import parts_of, spacing_of
from snakeseg.labelfacts import object_facts, value_facts
from snakeseg.labels import IGNORED, known_labels
from snakeseg.networks.registry import geometry_of, make_network
from snakeseg.pretrained import matching, read_state
from snakeseg.progress import progress
from snakeseg.settings import Labels, Network, network_settings


def inspect(rows: pd.DataFrame, dims: int, labels: Labels) -> tuple[list[dict], list[str]]:
    """Read every file of some rows.

    Returns
    -------
    facts : list of dict
        One per image: sample, path, shape, channels, type, spacing; what `image_facts`, `value_facts` and
        `object_facts` say; elsewhere (whether the label's file says that it does not lie on the image); share of
        foreground, of ignored pixels, and of each class (shares: dict); what could not be read is left out.
    problems : list of str
        All of them, a line each.
    """
    facts, problems = [], []
    for row in progress(rows.itertuples(), len(rows), "checking"):
        facts.append({"sample": row.sample, "path": row.image, **_row_facts(row, dims, labels, problems)})
    return facts, problems


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
    parts = _collect(problems, lambda: parts_of(sheet, folds, validation))
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


def check_networks(
    networks: dict[str, dict], starts: dict[str, str], facts: pd.DataFrame, dims: int, labels: Labels
) -> list[str]:
    """Problems of the experiments' networks: settings, depth for the images, weights to start from.

    Parameters
    ----------
    networks : dict
        Settings of each experiment's network.
    starts : dict
        The experiment whose weights an experiment starts from.
    facts : DataFrame
        From `inspect`.
    dims : int
    labels : Labels
    """
    problems: list[str] = []
    made: dict[str, tuple[Network, torch.nn.Module]] = {}
    for name, values in networks.items():
        network = _collect(problems, lambda n=name, v=values: _make(n, v, facts, dims, labels))
        if network is not None:
            made[name] = network
    for name, (settings, network) in made.items():
        where = f"experiment {name}, network"
        _collect(problems, lambda s=settings, w=where: _require_depth(s, facts, w))
        if name in starts and starts[name] in made:
            given = made[starts[name]][1].state_dict()
            where = f"experiment {name}, start_from {starts[name]}"
            _collect(problems, lambda n=network, g=given, w=where: matching(n.state_dict(), g, w))
        elif settings.pretrained:
            path = Path(settings.pretrained)
            _collect(problems, lambda n=network, p=path: matching(n.state_dict(), read_state(p), p))
    return problems


def _make(name: str, values: dict, facts: pd.DataFrame, dims: int, labels: Labels) -> tuple[Network, torch.nn.Module]:
    """The network without its numbers, so that even the largest costs nothing."""
    where = f"experiment {name}, network"
    settings = network_settings(values, where)
    channels = facts.get("channels", pd.Series(dtype=float)).dropna()
    if settings.border and labels.kind == "semantic":
        raise BadInput(where, "border with semantic labels", "instance or binary labels", "set network.border to 0")
    classes = len(labels.classes) + (settings.border > 0)
    try:
        with torch.device("meta"):
            return settings, make_network(dims, int(channels.iloc[0]) if len(channels) else 1, classes, settings)
    except ValueError as error:
        found, _, expected = str(error).partition("; expected ")
        raise BadInput(where, found, expected or "settings that fit together", "correct the config") from error


def _require_depth(settings: Network, facts: pd.DataFrame, where: str) -> None:
    """Every image must leave a pixel at the deepest level."""
    smallest = geometry_of(settings).smallest
    for image in facts.dropna(subset="shape").itertuples() if "shape" in facts else ():
        if min(map(int, image.shape.split("x"))) < smallest:
            raise BadInput(
                where, f"an image of {image.shape} pixels ({image.path})",
                f"{smallest} or more along every axis at this depth", "lower network.depth",
            )  # fmt: skip


def _collect(problems: list[str], work: Callable):
    try:
        return work()
    except (ValueError, OSError) as error:
        problems.append(str(error))
        return None


def _row_facts(row, dims: int, labels: Labels, problems: list[str]) -> dict:
    """What is found in a row's image and label; what goes wrong is added to the problems."""
    raster = _collect(problems, lambda: open_image(row.image, dims))
    facts = raster and _collect(problems, lambda: _image_facts(row, raster))
    label = _collect(problems, lambda: _label_of(row, dims, raster))
    if label is None:
        return facts or {}
    known = _collect(problems, lambda: _class_facts(label.array, labels, row.label))
    elsewhere = raster is not None and not same_place(raster, label)
    return {**(facts or {}), **value_facts(label.array), "elsewhere": elsewhere, **(known or {})}


def _image_facts(row, raster: Raster) -> dict:
    array = raster.array
    values = image_facts(array)
    try:
        spacing = spacing_of(row.spacing, raster.spacing)
    except ValueError as error:
        raise BadInput(f"sample sheet, {row.sample}", str(error), "one number per axis", "correct the cell") from error
    return {
        "shape": "x".join(map(str, array.shape[1:])),
        "channels": array.shape[0],
        "type": str(array.dtype),
        "spacing": " ".join(f"{size:g}" for size in spacing),
        **values,
    }


def _label_of(row, dims: int, raster: Raster | None) -> Raster | None:
    """The label of a row, if it has one."""
    if not row.label:
        if row.subset == "train":
            raise BadInput(
                f"sample sheet, {row.sample}", "no label", "a label for every training image",
                "add one, or set the row's subset to 'predict'",
            )  # fmt: skip
        return None
    label = read_label(row.label, dims)
    if raster is not None:
        require_same_shape(raster, label)
    return label


def _class_facts(label: np.ndarray, labels: Labels, where: str) -> dict:
    classes, objects = known_labels(label, labels, where)
    shares = np.bincount(classes.ravel(), minlength=IGNORED + 1) / classes.size
    return {
        **object_facts(objects),
        "foreground": float(shares[1:IGNORED].sum()),
        "ignored": float(shares[IGNORED]),
        "shares": dict(zip(labels.classes, shares.tolist(), strict=False)),
    }
