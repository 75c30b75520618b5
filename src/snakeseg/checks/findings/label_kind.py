"""Findings about what label values mean: whether the config says what the files look like."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from snakeseg.checks.findings.finding import Finding
from snakeseg.checks.label_facts import FEW
from snakeseg.settings import Labels

# What labels of each kind may look like. One object alone, or nothing, looks like anything.
FITTING = {"instance": ("ids",), "binary": ("mask", "classes"), "semantic": ()}
KIND = {"ids": "instance", "mask": "binary", "classes": "semantic"}
MEANS = {
    "instance": "all pixels of one value count as one object, however many pieces it has: nothing learns to part them",
    "binary": "all values count as one, so that objects which touch are taken for one",
    "semantic": "each value must be a class, and objects of one class that touch are taken for one",
}
WORDS = {
    "ids": "one value for each object",
    "mask": "one value for all objects",
    "classes": "few values for many pieces",
}
# Number of labels from which identical values in all suggest classes: ids of objects differ in number.
MIN_ALIKE = 3
OBJECTS = ("objects", "extents", "extent_5", "extent_50", "extent_95", "specks", "holes", "split", "gaps", "touching")


def meaning_findings(table: pd.DataFrame, labels: Labels) -> Iterator[Finding]:
    """A finding if most labels do not look like the kind they are said to be; else one for each that differs.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.table_of`.
    labels : Labels
    """
    looks = _telling(table, labels)
    if misread(table, labels):
        usual = _usual(looks)
        like = looks[looks["looks_like"] == usual]
        found = f"{len(like)} of {len(looks)} labels have {WORDS[usual]}: {_some(like['values'])}"
        yield Finding(
            "warning", "Labels mean something else", tuple(like["sample"][:3]),
            f"{found}; labels.kind is {labels.kind}", MEANS[labels.kind], f"set labels: {_setting(usual, like)}",
        )  # fmt: skip
    elif labels.kind == "instance" and len(looks) >= MIN_ALIKE and looks["values"].nunique() == 1:
        yield Finding(
            "note", "The same few values in all labels", tuple(looks["sample"][:3]),
            f"{len(looks)} labels hold {_some(looks['values'])}",
            "they count as objects; classes would mean the same in all images",
            f"if they are classes, set labels: {_setting('classes', looks)}",
        )  # fmt: skip
    for row in looks[~looks["looks_like"].isin([_usual(looks), *FITTING[labels.kind]])].itertuples():
        yield Finding(
            "warning", "Labels unlike the others", (row.sample,),
            f"{WORDS[row.looks_like]}: {row.values}", MEANS[labels.kind], "export this label again like the others",
        )  # fmt: skip


def misread(table: pd.DataFrame, labels: Labels) -> bool:
    """Whether most labels do not look like the kind that they are said to be."""
    looks = _telling(table, labels)
    return len(looks) > 0 and _usual(looks) not in FITTING[labels.kind]


def trusted(table: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """The table without what was measured of objects, if they are none."""
    return table.assign(**dict.fromkeys(OBJECTS, np.nan)) if misread(table, labels) else table


def _telling(table: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Rows whose labels look like something; of semantic ones, those with values that are no classes."""
    looks = table[table["looks_like"].isin(KIND)]
    return looks[looks["foreground"].isna()] if labels.kind == "semantic" else looks


def _usual(looks: pd.DataFrame) -> str:
    """What most look like; "" if there are none."""
    return "" if looks.empty else looks["looks_like"].value_counts().idxmax()


def _setting(usual: str, like: pd.DataFrame) -> str:
    """The section of the config that fits, as YAML."""
    if usual != "classes":
        return f"{{kind: {KIND[usual]}}}"
    values = sorted({int(value) for text in like["values"] for value in text.split()})[: FEW + 1]
    named = ", ".join(f"{'background' if value == 0 else f'class-{value}'}: {value}" for value in values)
    return f"{{kind: semantic, values: {{{named}}}}}"


def _some(values: pd.Series) -> str:
    """The commonest three, in words."""
    return " / ".join(values.value_counts().index[:3])
