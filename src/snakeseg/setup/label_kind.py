"""What the labels of a folder mean: ids of objects, a mask of them, or classes."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from snakeseg.checks.findings.label_kind import MIN_ALIKE, WORDS
from snakeseg.checks.label_facts import FEW
from snakeseg.errors import BadInput
from snakeseg.settings import Labels
from snakeseg.setup.layout import Layout

# The value that means "do not count" wherever classes are counted from 0.
VOID = 255


class Seen(NamedTuple):
    """What a label looks like (`value_facts`; "" if nobody looked) and its values, if they were read."""

    looks_like: str
    values: np.ndarray | None


def labels_of(seen: list[Seen], layout: Layout, body: bool) -> tuple[Labels, str]:
    """What labels mean, and why, in words.

    Parameters
    ----------
    seen : list of Seen
    layout : Layout
        Its classes are taken as they are.
    body : bool
        Whether these are volumes of bodies, in which few values are rarely objects.

    Raises
    ------
    BadInput
        If no label holds anything.
    """
    if layout.classes:
        return Labels("semantic", layout.classes, layout.ignore), f"classes of {layout.source}"
    sets = [frozenset(each.values.tolist()) for each in seen if each.values is not None]
    union = sorted(frozenset().union(*sets))
    if not set(union) - {0}:
        raise BadInput(layout.root, "labels without any object", "something labelled", "look at the label files")
    looks = Counter(each.looks_like for each in seen if each.looks_like in WORDS)
    usual = looks.most_common(1)[0][0] if looks else "mask"
    few = len(union) <= FEW + 1
    commonest = Counter(sets).most_common(1)[0]
    alike = len(sets) >= MIN_ALIKE and commonest[1] == len(sets) and len(union) > 2
    of_a_body = body and few and (usual != "ids" or commonest[1] * 2 >= len(sets))
    shown = " ".join(map(str, union)) if len(union) <= FEW else f"{union[0]} to {union[-1]}"
    classes = few and (alike or of_a_body or usual == "classes")
    if layout.kind == "semantic" or (classes and layout.kind != "instance"):
        why = "the same few values in all of them" if alike else "few values for many pieces"
        return _classes(union, layout.only_class), f"{why}: {shown}"
    told = f"{looks[usual]} of {looks.total()} looked at have {WORDS[usual]}" if looks else "one object each"
    return Labels(layout.kind or {"mask": "binary"}.get(usual, "instance")), f"{told}: {shown}"


def _classes(values: list[int], only: str) -> Labels:
    """Classes of these values, the lowest for the background."""
    ignore = VOID if VOID in values and len(values) > 2 and values[-2] == len(values) - 2 else None
    background, *others = [value for value in values if value != ignore]
    names = [only or "foreground"] if len(others) == 1 else [f"class-{value}" for value in others]
    return Labels("semantic", {"background": background, **dict(zip(names, others, strict=True))}, ignore)
