"""Infer the kind of the labels of a folder: instance, binary or semantic."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from snakeseg.checks.findings.label_kind import DESCRIPTION_OF_APPEARANCE, MIN_LABELS_FOR_CLASSES
from snakeseg.checks.label_facts import MAX_CLASS_VALUES
from snakeseg.errors import BadInput
from snakeseg.io.colours import COLOUR_BASE, decode_colours
from snakeseg.settings import Labels
from snakeseg.setup.layout import Layout

# Conventional value of pixels to ignore, if the values of classes are consecutive.
IGNORE_VALUE = 255
# A value of a single label image is stray if there are at least `MIN_LABELS_FOR_STRAY` label images and it has less
# than these shares of the pixels of its label image, and of the median area of the other values.
MIN_LABELS_FOR_STRAY, STRAY_SHARE, STRAY_AREA_SHARE = 5, 0.001, 0.1
# Number of values of labels without 0 that are classes if one of them is the background, which fills more than this
# share of every label image.
CLASSES_WITHOUT_ZERO, MIN_BACKGROUND_SHARE = (2, 3), 0.5


class LabelSummary(NamedTuple):
    """Appearance and values of a label image.

    Attributes
    ----------
    looks_like : str
        From `label_facts.value_facts`; "" if it was not determined.
    values : integer array, shape (n,), or None
        Distinct values; None if they were not read.
    counts : integer array, shape (n,), or None
        Number of pixels of each value.
    """

    looks_like: str
    values: np.ndarray | None
    counts: np.ndarray | None = None


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
        If all label images are empty, or have several negative values.
    """
    if layout.classes:
        return Labels("semantic", layout.classes, layout.ignore), f"classes of {layout.source}"
    if stray := _stray_values(summaries):
        labels, reason = _infer_from_values([_without_values(summary, stray) for summary in summaries], layout, body)
        if labels.kind == "semantic":
            listed = ", ".join(f"{value} in {pixels} pixels" for value, pixels in stray.items())
            question = f"erase {listed} of a single label image, or add a class to labels.values if it is meant"
            return labels, f"{reason}; {question}"
    return _infer_from_values(summaries, layout, body)


def _stray_values(summaries: list[LabelSummary]) -> dict[int, int]:
    """Return the few pixels of values that only one of several label images has: their numbers, by value."""
    counted = [summary for summary in summaries if summary.values is not None and summary.counts is not None]
    if len(counted) < MIN_LABELS_FOR_STRAY:
        return {}
    owners: dict[int, list[tuple[int, float]]] = {}
    areas = []
    for summary in counted:
        shares = summary.counts / summary.counts.sum()
        for value, pixels, share in zip(summary.values.tolist(), summary.counts.tolist(), shares, strict=True):
            owners.setdefault(value, []).append((pixels, share))
            areas += [pixels] if pixels < summary.counts.max() else []
    limit = STRAY_AREA_SHARE * np.median(areas) if areas else 0
    single = {value: owned[0] for value, owned in owners.items() if value > 0 and len(owned) == 1}
    return {value: pixels for value, (pixels, share) in single.items() if pixels < limit and share < STRAY_SHARE}


def _without_values(summary: LabelSummary, dropped: dict[int, int]) -> LabelSummary:
    if summary.values is None or summary.counts is None:
        return summary
    is_kept = ~np.isin(summary.values, list(dropped))
    return LabelSummary(summary.looks_like, summary.values[is_kept], summary.counts[is_kept])


def _infer_from_values(summaries: list[LabelSummary], layout: Layout, body: bool) -> tuple[Labels, str]:
    """Infer the section `labels` as `infer_labels`, without classes of the layout."""
    sets = [frozenset(summary.values.tolist()) for summary in summaries if summary.values is not None]
    ignore = _unannotated_value(sets, layout)
    sets = [values - {ignore} for values in sets]
    union = sorted(frozenset().union(*sets))
    if not set(union) - {0}:
        raise BadInput(
            layout.root,
            "labels without any object",
            "at least one labelled object",
            "open the label files and check them",
        )
    values = " ".join(map(str, union)) if len(union) <= MAX_CLASS_VALUES else f"{union[0]} to {union[-1]}"
    if union[-1] >= COLOUR_BASE and layout.kind != "instance":
        return _colour_classes(union), "colours of the label images, named by red, green and blue in hexadecimal"
    background = _background_without_zero(summaries, union, ignore)
    if background is not None and layout.kind != "instance":
        reason = f"no 0, and most of every label image is {background}"
        return _semantic_labels(union, layout.only_class, ignore, background), f"{reason}: {values}"
    appearances = Counter(
        summary.looks_like for summary in summaries if summary.looks_like in DESCRIPTION_OF_APPEARANCE
    )
    usual = appearances.most_common(1)[0][0] if appearances else "mask"
    few = len(union) <= MAX_CLASS_VALUES + 1
    most_frequent = Counter(sets).most_common(1)[0][1]
    identical = len(sets) >= MIN_LABELS_FOR_CLASSES and most_frequent == len(sets) and len(union) > 2
    anatomical = body and few and (usual != "ids" or most_frequent * 2 >= len(sets))
    classes = few and (identical or anatomical or usual == "classes")
    if layout.kind == "semantic" or (classes and layout.kind != "instance"):
        reason = "the same few values in all label images" if identical else "few distinct values"
        return _semantic_labels(union, layout.only_class, ignore), f"{reason}: {values}"
    reason = "one object in each label image"
    if appearances:
        description = DESCRIPTION_OF_APPEARANCE[usual]
        reason = f"{appearances[usual]} of {appearances.total()} label images examined have {description}"
    return Labels(layout.kind or {"mask": "binary"}.get(usual, "instance"), ignore=ignore), f"{reason}: {values}"


def _unannotated_value(sets: list[frozenset], layout: Layout) -> int | None:
    """Return the negative value of the labels, which marks pixels without annotation; None without one."""
    union = frozenset().union(*sets)
    negative = sorted(value for value in union if value < 0)
    # Without 0, two values are the classes -1 and 1.
    if not negative or (0 not in union and len(union) == 2):
        return None
    if len(negative) > 1:
        expected = "at most one, for pixels without annotation"
        remedy = "give pixels that are not annotated one value, and the others positive values"
        raise BadInput(layout.root, f"the negative label values {negative[:5]}", expected, remedy)
    return negative[0]


def _background_without_zero(summaries: list[LabelSummary], union: list[int], ignore: int | None) -> int | None:
    """Return the value that fills most of every label image, if the labels have a few values without 0."""
    if 0 in union or len(union) not in CLASSES_WITHOUT_ZERO:
        return None
    fillers = set()
    for summary in summaries:
        if summary.values is not None and summary.counts is not None:
            counts = np.where(summary.values == ignore, 0, summary.counts)
            is_filled = counts.max() > MIN_BACKGROUND_SHARE * counts.sum()
            if counts.any():
                fillers.add(int(summary.values[counts.argmax()]) if is_filled else None)
    return fillers.pop() if len(fillers) == 1 else None


def _colour_classes(values: list[int]) -> Labels:
    """Make a class of each colour, named class-RRGGBB; the darkest is the background."""
    colours = decode_colours(np.array(values))
    ranks = np.argsort(colours.sum(axis=-1, dtype=int), kind="stable")
    names = [f"class-{colours[rank].tobytes().hex()}" for rank in ranks]
    named = zip(["background", *names[1:]], (values[rank] for rank in ranks), strict=True)
    return Labels("semantic", dict(named))


def _semantic_labels(values: list[int], only_class: str, ignore: int | None, background: int | None = None) -> Labels:
    """Make a class of each value; the background is the lowest unless it is known."""
    if ignore is None and len(values) > 2 and values == [*range(values[0], values[-2] + 1), IGNORE_VALUE]:
        ignore = IGNORE_VALUE
    background = values[0] if background is None else background
    others = [value for value in values if value not in (ignore, background)]
    names = [only_class or "foreground"] if len(others) == 1 else [f"class-{value}" for value in others]
    return Labels("semantic", {"background": background, **dict(zip(names, others, strict=True))}, ignore)
