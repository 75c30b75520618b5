"""Infer the kind of the labels of a folder: instance, binary or semantic."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from snakeseg.checks.findings.label_kind import DESCRIPTION_OF_APPEARANCE, MIN_LABELS_FOR_CLASSES
from snakeseg.checks.label_facts import MAX_CLASS_VALUES
from snakeseg.errors import BadInput
from snakeseg.settings import Labels
from snakeseg.setup.layout import Layout

# Conventional value of pixels to ignore, if the values of classes are 0, 1, 2, ...
IGNORE_VALUE = 255


class LabelSummary(NamedTuple):
    """Appearance and values of a label image.

    Attributes
    ----------
    looks_like : str
        From `label_facts.value_facts`; "" if it was not determined.
    values : integer array, shape (n,), or None
        Distinct values; None if they were not read.
    """

    looks_like: str
    values: np.ndarray | None


def infer_labels(summaries: list[LabelSummary], layout: Layout, body: bool) -> tuple[Labels, str]:
    """Infer the section `labels` of the config from the label images.

    Parameters
    ----------
    summaries : list of LabelSummary
        Summaries of the label images.
    layout : Layout
        Its classes are used unchanged, if it has any.
    body : bool
        True for medical volumes, in which few values are usually classes.

    Returns
    -------
    labels : Labels
        Section `labels` of the config.
    reason : str
        Explanation for the terminal and the config.

    Raises
    ------
    BadInput
        If all label images are empty.
    """
    if layout.classes:
        return Labels("semantic", layout.classes, layout.ignore), f"classes of {layout.source}"
    sets = [frozenset(summary.values.tolist()) for summary in summaries if summary.values is not None]
    union = sorted(frozenset().union(*sets))
    if not set(union) - {0}:
        raise BadInput(
            layout.root,
            "labels without any object",
            "at least one labelled object",
            "open the label files and check them",
        )
    appearances = Counter(
        summary.looks_like for summary in summaries if summary.looks_like in DESCRIPTION_OF_APPEARANCE
    )
    usual = appearances.most_common(1)[0][0] if appearances else "mask"
    few = len(union) <= MAX_CLASS_VALUES + 1
    most_frequent = Counter(sets).most_common(1)[0][1]
    identical = len(sets) >= MIN_LABELS_FOR_CLASSES and most_frequent == len(sets) and len(union) > 2
    anatomical = body and few and (usual != "ids" or most_frequent * 2 >= len(sets))
    values = " ".join(map(str, union)) if len(union) <= MAX_CLASS_VALUES else f"{union[0]} to {union[-1]}"
    classes = few and (identical or anatomical or usual == "classes")
    if layout.kind == "semantic" or (classes and layout.kind != "instance"):
        reason = "the same few values in all label images" if identical else "few distinct values"
        return _semantic_labels(union, layout.only_class), f"{reason}: {values}"
    reason = "one object in each label image"
    if appearances:
        description = DESCRIPTION_OF_APPEARANCE[usual]
        reason = f"{appearances[usual]} of {appearances.total()} label images examined have {description}"
    return Labels(layout.kind or {"mask": "binary"}.get(usual, "instance")), f"{reason}: {values}"


def _semantic_labels(values: list[int], only_class: str) -> Labels:
    """Make a class of each value; the lowest is the background."""
    ignore = IGNORE_VALUE if IGNORE_VALUE in values and len(values) > 2 and values[-2] == len(values) - 2 else None
    background, *others = [value for value in values if value != ignore]
    names = [only_class or "foreground"] if len(others) == 1 else [f"class-{value}" for value in others]
    return Labels("semantic", {"background": background, **dict(zip(names, others, strict=True))}, ignore)
