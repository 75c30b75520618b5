"""Findings about label values: whether the label images match the config key `labels.kind`."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from snakeseg.checks.findings.finding import Finding
from snakeseg.checks.label_facts import MAX_CLASS_VALUES
from snakeseg.settings import Labels

# Appearances (`label_facts.appearance_of`) that are plausible for each `labels.kind`. A label image with one connected
# object ("object") or without any ("nothing") is plausible for every kind.
PLAUSIBLE_APPEARANCES = {"instance": ("ids",), "binary": ("mask", "classes"), "semantic": ()}
KIND_OF_APPEARANCE = {"ids": "instance", "mask": "binary", "classes": "semantic"}
CONSEQUENCE_OF_KIND = {
    "instance": "with labels.kind: instance, all pixels of one value are one object, even in separate pieces: "
    "the network cannot learn to separate them",
    "binary": "with labels.kind: binary, all values are one foreground, and touching objects become one object",
    "semantic": "with labels.kind: semantic, each value must be a class, and touching objects of one class become one",
}
DESCRIPTION_OF_APPEARANCE = {
    "ids": "one value for each object",
    "mask": "one value for all objects",
    "classes": "few values, most of them in several pieces",
}
# Minimum number of label images before identical values suggest classes; instance ids differ between images.
MIN_LABELS_FOR_CLASSES = 3
OBJECT_COLUMNS = (
    "objects", "extents", "extent_5", "extent_50", "extent_95", "specks", "holes", "split", "gaps", "touching",
)  # fmt: skip


def label_kind_findings(table: pd.DataFrame, labels: Labels) -> Iterator[Finding]:
    """Compare the appearance of the label images with the configured kind of labels.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.build_facts_table`.
    labels : Labels
        Section `labels` of the config.

    Yields
    ------
    Finding
        One if most label images contradict `labels.kind`, and one for each label image that differs from most others.
    """
    informative = _informative_rows(table, labels)
    if contradicts_kind(table, labels):
        usual = _usual_appearance(informative)
        typical = informative[informative["looks_like"] == usual]
        description = DESCRIPTION_OF_APPEARANCE[usual]
        found = f"{len(typical)} of {len(informative)} labels have {description}: {_common_values(typical['values'])}"
        yield Finding(
            "warning", "Labels do not match labels.kind", tuple(typical["sample"][:3]),
            f"{found}; labels.kind is {labels.kind}", CONSEQUENCE_OF_KIND[labels.kind],
            f"set labels: {_matching_section(usual, typical)}", has_examples=True,
        )  # fmt: skip
    elif (
        labels.kind == "instance"
        and len(informative) >= MIN_LABELS_FOR_CLASSES
        and informative["values"].nunique() == 1
    ):
        yield Finding(
            "note", "The same few values in all labels", tuple(informative["sample"][:3]),
            f"all {len(informative)} labels have the values {_common_values(informative['values'])}",
            "with labels.kind: instance, each value is an object; identical values in all images suggest classes",
            f"if they are classes, set labels: {_matching_section('classes', informative)}", has_examples=True,
        )  # fmt: skip
    expected = [_usual_appearance(informative), *PLAUSIBLE_APPEARANCES[labels.kind]]
    for row in informative[~informative["looks_like"].isin(expected)].itertuples():
        yield Finding(
            "warning", "Labels unlike the others", (row.sample,),
            f"{DESCRIPTION_OF_APPEARANCE[row.looks_like]}: {row.values}", CONSEQUENCE_OF_KIND[labels.kind],
            "export this label again in the form of the others",
        )  # fmt: skip


def contradicts_kind(table: pd.DataFrame, labels: Labels) -> bool:
    """Return True if the appearance of most label images contradicts `labels.kind`."""
    informative = _informative_rows(table, labels)
    return len(informative) > 0 and _usual_appearance(informative) not in PLAUSIBLE_APPEARANCES[labels.kind]


def mask_contradicted_objects(table: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Set all measurements of objects to NaN if the label images contradict `labels.kind`."""
    return table.assign(**dict.fromkeys(OBJECT_COLUMNS, np.nan)) if contradicts_kind(table, labels) else table


def _informative_rows(table: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Select label images whose appearance indicates a kind; of semantic ones, those with values of no class."""
    informative = table[table["looks_like"].isin(KIND_OF_APPEARANCE)]
    return informative[informative["foreground"].isna()] if labels.kind == "semantic" else informative


def _usual_appearance(informative: pd.DataFrame) -> str:
    """Return the most frequent appearance; "" for an empty table."""
    return "" if informative.empty else informative["looks_like"].value_counts().idxmax()


def _matching_section(usual: str, typical: pd.DataFrame) -> str:
    """Format the section `labels` of the config that matches the label images, as YAML."""
    if usual != "classes":
        return f"{{kind: {KIND_OF_APPEARANCE[usual]}}}"
    values = sorted({int(value) for text in typical["values"] for value in text.split()})[: MAX_CLASS_VALUES + 1]
    classes = ", ".join(f"{'background' if value == 0 else f'class-{value}'}: {value}" for value in values)
    return f"{{kind: semantic, values: {{{classes}}}}}"


def _common_values(values: pd.Series) -> str:
    """Format the three most frequent sets of values."""
    return " / ".join(values.value_counts().index[:3])
