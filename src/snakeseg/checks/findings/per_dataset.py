"""Findings that no image has alone: what differs between images, what is rare, what settings it asks for."""

from collections.abc import Iterator

import pandas as pd

from snakeseg.checks.findings.finding import Finding
from snakeseg.settings import Labels, Network, Prepare
from snakeseg.transforms.resample import SAME_SPACING

# A ratio of grey values that one scale cannot span.
GREY_RATIO = 4.0
# Mean share of the pixels below which a class is rare: most patches, drawn anywhere, show little or none of it.
RARE_SHARE = 0.05
# Share of the objects that touch others beyond which parting them decides the scores.
TOUCHING_SHARE = 0.05


def whole_findings(
    table: pd.DataFrame, labels: Labels, prepare: Prepare, networks: dict[str, Network]
) -> Iterator[Finding]:
    """Findings of the data as a whole.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.table_of`.
    labels : Labels
    prepare : Prepare
    networks : dict
        The network of every experiment.
    """
    yield from _groups(table)
    yield from _pixel_sizes(table)
    if prepare.scope == "dataset":
        yield from _grey_ranges(table[table["subset"] == "train"])
    yield from _rare(table[table["subset"] == "train"], labels)
    if labels.kind == "instance":
        yield from _touching(table, [name for name, network in networks.items() if network.border == 0])


def _groups(table: pd.DataFrame) -> Iterator[Finding]:
    both = table[table["subset"] != "predict"]
    for name, part in both.groupby("group", sort=False):
        if part["subset"].nunique() > 1:
            yield Finding(
                "warning", "Groups in training and test", tuple(part["sample"]), f"group '{name}' is in both",
                "what belongs together is alike: the test scores say nothing about new ones",
                "give all rows of a group the same subset",
            )  # fmt: skip


def _pixel_sizes(table: pd.DataFrame) -> Iterator[Finding]:
    sizes = table["spacing"].dropna().astype(str).str.split(expand=True).astype(float)
    ratios = sizes.max() / sizes.min()
    if (ratios > SAME_SPACING).any():
        ends = [sizes[ratios.idxmax()].idxmin(), sizes[ratios.idxmax()].idxmax()]
        yield Finding(
            "warning", "Pixels of several sizes", tuple(table.loc[ends, "sample"]),
            "from {} to {}".format(*table.loc[ends, "spacing"]),
            "objects of one size fill different numbers of pixels, which is harder to learn",
            "resample the images to one pixel size, or correct the column spacing",
        )  # fmt: skip


def _grey_ranges(table: pd.DataFrame) -> Iterator[Finding]:
    ranges = (table["p99"] - table["p1"]).dropna()
    ranges = ranges[ranges > 0]
    if len(ranges) and ranges.max() > GREY_RATIO * ranges.min():
        yield Finding(
            "warning", "Grey values of several ranges", tuple(table.loc[[ranges.idxmin(), ranges.idxmax()], "sample"]),
            f"99 % of the pixels span {ranges.min():g} in one image and {ranges.max():g} in another",
            "with prepare.scope: dataset all are divided by the same number, and some are left nearly black",
            "set prepare: {scope: image}",
        )  # fmt: skip


def _rare(table: pd.DataFrame, labels: Labels) -> Iterator[Finding]:
    for name in labels.classes:
        share = table.get(f"share_{name}", pd.Series(dtype=float)).mean()
        if share == 0:
            yield Finding(
                "warning", "Classes that are nowhere", (), f"no training image has any {name}",
                "it cannot be learned, and its scores are empty", "label some, or take it out of labels.values",
            )  # fmt: skip
        elif share < RARE_SHARE:
            several = ", balanced: true" if len(labels.classes) > 2 else ""
            yield Finding(
                "note", "Rare classes", (), f"{name} fills {share:.2%} of a training image, on average",
                "most patches show none of it", f"set train: {{foreground: 0.33{several}}}",
            )  # fmt: skip


def _touching(table: pd.DataFrame, plain: list[str]) -> Iterator[Finding]:
    share = table["touching"].sum() / max(table["objects"].sum(), 1)
    if share > TOUCHING_SHARE and plain:
        yield Finding(
            "note", "Objects that touch", tuple(table.nlargest(3, "touching")["sample"]),
            f"{share:.0%} of the objects touch another without background between them",
            "the gap that training draws between them is one pixel wide, and easily missed",
            f"try network: {{border: 1}} (now 0 in {', '.join(plain)})",
        )  # fmt: skip
