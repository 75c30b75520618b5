"""Findings about the data set as a whole: differences between images, rare classes, settings that suit it."""

from collections.abc import Iterator

import pandas as pd

from snakeseg.checks.findings.finding import Finding
from snakeseg.settings import Augment, Labels, Network, Settings
from snakeseg.transforms.elastic import MAX_STD_SHARE, largest_std
from snakeseg.transforms.resample import SAME_SPACING_RATIO

# Maximum ratio of intensity ranges that one normalisation of the whole data set can cover.
MAX_INTENSITY_RANGE_RATIO = 4.0
# Minimum mean share of the pixels of a class; most randomly placed patches miss a class below it.
RARE_SHARE = 0.05
# Share of the objects that touch others, above which separating them decides the scores.
TOUCHING_SHARE = 0.05


def dataset_findings(table: pd.DataFrame, settings: Settings, networks: dict[str, Network]) -> Iterator[Finding]:
    """Detect problems of the data set as a whole.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.build_facts_table`.
    settings : Settings
        Settings of the run.
    networks : dict of Network
        The network of every experiment, by the name of the experiment.

    Yields
    ------
    Finding
        Groups in training and test, different and unknown pixel sizes, different intensity ranges, missing and rare
        classes, classes that a fold does not train on, large elastic deformations, touching objects.
    """
    train = table[table["subset"] == "train"]
    yield from _check_groups(table)
    yield from _check_pixel_sizes(table)
    yield from _check_unknown_sizes(table)
    if settings.prepare.scope == "dataset":
        yield from _check_intensity_ranges(train)
    yield from _check_class_shares(train, settings.labels)
    yield from _check_classes_of_folds(train, settings.labels)
    if settings.augment.copies or any(e.train.elastic == "online" for e in settings.experiments.values()):
        yield from _check_deformations(train, settings.augment)
    if settings.labels.kind == "instance":
        yield from _check_touching(table, [name for name, network in networks.items() if network.border == 0])


def _check_groups(table: pd.DataFrame) -> Iterator[Finding]:
    """Detect groups with rows in training and in test."""
    train_and_test = table[table["subset"] != "predict"]
    for name, group in train_and_test.groupby("group", sort=False):
        if group["subset"].nunique() > 1:
            yield Finding(
                "warning", "Groups in training and test", tuple(group["sample"]),
                f"group '{name}' has rows in training and in test",
                "images of one group are alike: the test scores do not show the performance on new groups",
                "give all rows of a group the same subset in the sheet",
            )  # fmt: skip


def _check_pixel_sizes(table: pd.DataFrame) -> Iterator[Finding]:
    """Detect images with different pixel sizes."""
    sizes = table["spacing"].dropna().astype(str).str.split(expand=True).astype(float)
    ratios = sizes.max() / sizes.min()
    if (ratios > SAME_SPACING_RATIO).any():
        ends = [sizes[ratios.idxmax()].idxmin(), sizes[ratios.idxmax()].idxmax()]
        yield Finding(
            "warning", "Different pixel sizes", tuple(table.loc[ends, "sample"]),
            "pixel sizes range from {} to {}".format(*table.loc[ends, "spacing"]),
            "objects of the same size cover different numbers of pixels, which is harder to learn",
            "set prepare: {spacing: auto}, or correct the column spacing of the sheet", has_examples=True,
        )  # fmt: skip


def _check_unknown_sizes(table: pd.DataFrame) -> Iterator[Finding]:
    """Detect volumes without the pixel size of an axis. In planes, distances are measured in pixels all the same."""
    is_volume = table["shape"].astype(str).str.count("x") == 2
    rows = table[is_volume & (table.get("unknown", pd.Series("", table.index)).fillna("") != "")]
    if len(rows):
        axes = ", ".join(sorted(set("".join(rows["unknown"])), reverse=True))
        yield Finding(
            "warning", "Unknown pixel sizes", tuple(rows["sample"][:3]),
            f"the files of {len(rows)} volume{'s' if len(rows) > 1 else ''} do not state the pixel size along {axes}",
            "it is taken to be that of the other axes, or 1; slices are often thicker, which changes deformations, "
            "border weights, turns and surface distances",
            "write the size into the column spacing of the sheet, such as 2.5 0.3 0.3 for z, y, x",
        )  # fmt: skip


def _check_intensity_ranges(table: pd.DataFrame) -> Iterator[Finding]:
    """Detect images with different intensity ranges, from the 1st to the 99th percentile."""
    ranges = (table["p99"] - table["p1"]).dropna()
    ranges = ranges[ranges > 0]
    if len(ranges) and ranges.max() > MAX_INTENSITY_RANGE_RATIO * ranges.min():
        yield Finding(
            "warning", "Different intensity ranges", tuple(table.loc[[ranges.idxmin(), ranges.idxmax()], "sample"]),
            f"the intensities (1st to 99th percentile) span {ranges.min():g} in one image and {ranges.max():g} in "
            "another",
            "with prepare.scope: dataset, all images are divided by the same number, which leaves some nearly black",
            "set prepare: {scope: image}", has_examples=True,
        )  # fmt: skip


def _check_class_shares(table: pd.DataFrame, labels: Labels) -> Iterator[Finding]:
    """Detect classes that are missing or rare in the training images."""
    for name in labels.classes:
        share = table.get(f"share_{name}", pd.Series(dtype=float)).mean()
        if share == 0:
            yield Finding(
                "warning", "Missing classes", (), f"no training image contains the class {name}",
                "the class cannot be learned, and its scores are empty",
                "label examples of the class, or remove it from labels.values",
            )  # fmt: skip
        elif share < RARE_SHARE:
            balanced = ", balanced: true" if len(labels.classes) > 2 else ""
            yield Finding(
                "note", "Rare classes", (), f"{name} covers {share:.2%} of a training image, on average",
                "most patches do not contain the class", f"set train: {{foreground: 0.33{balanced}}}",
            )  # fmt: skip


def _check_classes_of_folds(table: pd.DataFrame, labels: Labels) -> Iterator[Finding]:
    """Detect classes that are only in the images that a fold holds out."""
    for part in [part for part in table["part"].unique() if part != "training"]:
        is_held_out = table["part"] == part
        for name in labels.classes[1:]:
            shares = table.get(f"share_{name}", pd.Series(0.0, table.index))
            if shares[is_held_out].sum() > 0 and shares[~is_held_out].sum() == 0:
                fold = "the only fold" if part == "validation" else part
                yield Finding(
                    "warning", "Classes that are not trained on", tuple(table["sample"][is_held_out & (shares > 0)]),
                    f"only images that {fold} holds out contain the class {name}",
                    "the fold cannot learn the class, and its scores are those of guesses",
                    "hold out other images (config key validation), or label more examples of the class",
                )  # fmt: skip


def _check_deformations(table: pd.DataFrame, augment: Augment) -> Iterator[Finding]:
    """Detect images whose elastic deformation is limited, since it would fold."""
    shapes = table["shape"].dropna().astype(str).str.split("x", expand=True).astype(float)
    limits = shapes.map(lambda size: largest_std(size, augment.grid)).min(axis=1)
    limited = limits[limits < augment.std]
    if len(limited):
        yield Finding(
            "warning", "Large elastic deformations", tuple(table["sample"].loc[limited.nsmallest(3).index]),
            f"augment.std {augment.std:g} is more than {MAX_STD_SHARE:g} of the distance between control points in "
            f"{len(limited)} training images",
            f"there it is limited, to {limited.min():.1f} pixels in the smallest: larger deformations fold the image",
            f"set augment: {{std: {max(1, int(limits.median()))}}}", has_examples=True,
        )  # fmt: skip


def _check_touching(table: pd.DataFrame, without_border: list[str]) -> Iterator[Finding]:
    """Detect many touching objects in experiments without a border class."""
    share = table["touching"].sum() / max(table["objects"].sum(), 1)
    if share > TOUCHING_SHARE and without_border:
        yield Finding(
            "note", "Touching objects", tuple(table.nlargest(3, "touching")["sample"]),
            f"{100 * share:.0f} % of the objects in all labelled images touch another one",
            "training puts a gap of two pixels between them, which the network easily misses",
            f"add border: 1 below network: in the config (now 0 in {', '.join(without_border)})", has_examples=True,
        )  # fmt: skip
