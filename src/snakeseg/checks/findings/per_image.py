"""Findings that an image or a label has by itself: one rule, one line of a table."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pandas as pd

from snakeseg.checks.findings.finding import Finding
from snakeseg.settings import Labels

# Fewer values than this are more than any noise would leave.
LEVELS = 16
# Share of pixels at the largest value beyond which highlights are cut off, and of those that are foreground.
CLIPPED, FULL = 0.01, 0.99


class Rule(NamedTuple):
    """A finding for every row for which `holds`; `found` is filled in with what is known of the row, as is `at`."""

    severity: str
    topic: str
    holds: Callable[[pd.DataFrame], pd.Series]
    found: str
    means: str
    remedy: str
    at: str = ""


IMAGES = (
    Rule(
        "warning", "Images of one grey value", lambda t: t["levels"] == 1,
        "every pixel is {smallest:g}", "there is nothing to see, and nothing to learn from",
        "drop the row, or look for a failed exposure or export",
    ),
    Rule(
        "warning", "Empty channels", lambda t: (t["constant_channels"] > 0) & (t["levels"] > 1),
        "{constant_channels:.0f} of {channels:.0f} channels hold one value",
        "the network sees a channel in these images that the others use differently",
        "save the channels that are in use, in all images the same",
    ),
    Rule(
        "warning", "Images with hardly any grey values", lambda t: t["levels"].between(2, LEVELS - 1),
        "{levels:.0f} values from {smallest:g} to {largest:g}",
        "steps this coarse hide what lies between them; with two or three values it may be a label, not an image",
        "go back to the raw file, which may have 12 or 16 bits, or correct the column image",
    ),
    Rule(
        "note", "Cut-off highlights", lambda t: (t["brightest"] > CLIPPED) & (t["levels"] >= LEVELS),
        "{brightest:.1%} of the pixels have the largest value, {largest:g}",
        "whatever is brighter was cut off, and edges in there are lost (on a white background it is harmless)",
        "export again with a wider range, if the raw file has one",
    ),
)  # fmt: skip

LABELS = (
    Rule(
        "warning", "Labels on another grid", lambda t: t["elsewhere"].eq(True),
        "by what the files say of pixel size and place, the label does not lie on the image",
        "as many pixels along each axis, but they may be flipped, turned or of another size",
        "look whether the outlines fit; if not, resample the label to the image",
    ),
    Rule(
        "warning", "Labels without background", lambda t: t["foreground"] > FULL,
        "{foreground:.1%} of the pixels are foreground", "is it inverted, or is the background a value of its own?",
        "make the background 0",
    ),
    Rule(
        "note", "Not scored", lambda t: (t["subset"] == "test") & (t["label"] == ""),
        "a test image without label", "it is predicted, but there is nothing to score it by", "add its label",
    ),
)  # fmt: skip

OBJECTS = (
    Rule(
        "warning", "Labels without objects", lambda t: (t["looks_like"] == "nothing") & (t["subset"] == "train"),
        "nothing is labelled", "if there are objects, the network is taught that they are background",
        "finish the label; if the field is truly empty, keep it",
    ),
    Rule(
        "warning", "Specks", lambda t: t["specks"] > 0,
        "{specks:.0f} of {objects:.0f} objects are smaller than a 50th of the middle one, away from the edge",
        "left-overs of drawing count as objects: each one missed lowers AP",
        "erase them, unless they are real", "{speck_at}",
    ),
    Rule(
        "note", "Objects with holes", lambda t: t["holes"] > 0,
        "{holes:.0f} of {objects:.0f} objects have background inside",
        "holes are learned like any other edge", "fill them, unless they are real", "{hole_at}",
    ),
)  # fmt: skip

IDS = (
    Rule(
        "warning", "One id in several pieces", lambda t: (t["split"] > 0) & t["looks_like"].isin(["ids", "object"]),
        "{split:.0f} of {ids:.0f} ids ({split_ids}) lie in pieces that do not touch",
        "they count as one object each: a prediction that finds the pieces is scored as wrong",
        "give each piece an id of its own, erase strays, or connect what belongs together", "{split_at}",
    ),
    Rule(
        "note", "Missing ids", lambda t: (t["gaps"] > 0) & (t["looks_like"] == "ids"),
        "{gaps:.0f} ids below the largest are missing",
        "harmless, as ids need not follow each other; but objects may have been deleted",
        "look whether objects are unlabelled",
    ),
)  # fmt: skip


def single_findings(table: pd.DataFrame, labels: Labels) -> Iterator[Finding]:
    """Findings of every row of a table from `findings.table.table_of`."""
    rules = IMAGES + LABELS
    rules += OBJECTS if labels.kind != "semantic" else ()
    rules += IDS if labels.kind == "instance" else ()
    for rule in rules:
        for row in table[rule.holds(table)].to_dict("records"):
            found, at = rule.found.format(**row), rule.at.format(**row)
            yield Finding(rule.severity, rule.topic, (row["sample"],), found, rule.means, rule.remedy, at)
