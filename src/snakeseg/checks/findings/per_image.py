"""Findings about single images and label images: each is a rule in a table."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pandas as pd

from snakeseg.checks.findings.finding import Finding
from snakeseg.settings import Labels

# Minimum number of different intensity values; the noise of a camera alone gives more.
MIN_INTENSITY_LEVELS = 16
# Maximum share of the pixels that have the largest intensity value.
MAX_SATURATED_SHARE = 0.01
# Maximum share of the pixels of a label image that are foreground.
MAX_FOREGROUND_SHARE = 0.99


class ImageCheck(NamedTuple):
    """A condition on the rows of the table of images, and the finding about each row that meets it.

    Attributes
    ----------
    severity, topic, means, remedy : str
        As in `Finding`.
    holds : callable
        Takes the table and returns a boolean Series, True for rows that meet the condition.
    found, at : str
        As in `Finding`; templates for `str.format`, filled with the columns of the row.
    """

    severity: str
    topic: str
    holds: Callable[[pd.DataFrame], pd.Series]
    found: str
    means: str
    remedy: str
    at: str = ""


IMAGES = (
    ImageCheck(
        "warning", "Images that viewers show inverted", lambda t: t["inverted"].eq(True),
        "the tag PhotometricInterpretation of the image is WhiteIsZero",
        "intensities are read as they are stored: small values are dark, although viewers show them bright",
        "compare with the other images, which should all be stored in the same way",
    ),
    ImageCheck(
        "warning", "Images with a single intensity value", lambda t: t["levels"] == 1,
        "all pixels have the value {smallest:g}", "the image contains nothing to learn from",
        "remove the row, or check for a failed exposure or export",
    ),
    ImageCheck(
        "warning", "Empty channels", lambda t: (t["constant_channels"] > 0) & (t["levels"] > 1),
        "{constant_channels:.0f} of {channels:.0f} channels have a single value",
        "the network receives an empty channel in these images, but a signal in the others",
        "save all images with the same channels, without the unused ones",
    ),
    ImageCheck(
        "warning", "Images with very few intensity values",
        lambda t: t["levels"].between(2, MIN_INTENSITY_LEVELS - 1),
        "{levels:.0f} values from {smallest:g} to {largest:g}",
        "steps this coarse hide detail; an image with two or three values may be a label image",
        "export again from the raw file, which may have 12 or 16 bits, or correct the column image",
    ),
    ImageCheck(
        "note", "Saturated pixels",
        lambda t: (t["brightest"] > MAX_SATURATED_SHARE) & (t["levels"] >= MIN_INTENSITY_LEVELS),
        "{brightest:.1%} of the pixels have the largest value, {largest:g}",
        "detail in the brightest places is lost (harmless if only a white background is clipped)",
        "export again with a wider intensity range, if the raw file has one",
    ),
)  # fmt: skip

SIZES = (
    ImageCheck(
        "warning", "Contradictory pixel sizes", lambda t: t["doubt"].fillna("") != "",
        "the file states {doubt}", "distances and deformations may be those of another magnification",
        "write the correct size into the column spacing of the sheet",
    ),
)  # fmt: skip

LABELS = (
    ImageCheck(
        "warning", "Labels that viewers show inverted", lambda t: t["label_inverted"].eq(True),
        "the tag PhotometricInterpretation of the label is WhiteIsZero", "values are read as they are stored: 0 is "
        "background, although viewers show it white", "check whether the outlines fit; if not, invert the label",
    ),
    ImageCheck(
        "warning", "Labels on a different grid", lambda t: t["elsewhere"].eq(True),
        "the files of image and label state different pixel sizes or positions",
        "the label may be flipped, rotated or scaled, although it has as many pixels as the image along each axis",
        "check whether the outlines fit; if not, resample the label to the image",
    ),
    ImageCheck(
        "note", "Rounded labels", lambda t: t["rounded"] > 0,
        "values of the label are up to {rounded:.2g} away from whole numbers, and were rounded",
        "a program stored them as scaled integers or floats, which is harmless unless it also interpolated",
        "save labels as integers, without scaling",
    ),
    ImageCheck(
        "warning", "Labels without background", lambda t: t["foreground"] > MAX_FOREGROUND_SHARE,
        "{foreground:.1%} of the pixels are foreground",
        "the label may be inverted, or its background may have a value other than 0",
        "set the background of the label to 0, or, if its values are classes, set labels: {kind: semantic, "
        "values: {background: 1, foreground: 2}}",
    ),
    ImageCheck(
        "note", "Test images without labels", lambda t: (t["subset"] == "test") & (t["label"] == ""),
        "the row has no label", "the image is predicted, but not scored",
        "add its label to the sheet, or set its subset to predict",
    ),
)  # fmt: skip

OBJECTS = (
    ImageCheck(
        "warning", "Labels without objects", lambda t: (t["looks_like"] == "nothing") & (t["subset"] == "train"),
        "no pixel is labelled", "if the image shows objects, the network learns that they are background",
        "finish the label; if the image shows no objects, keep it",
    ),
    ImageCheck(
        "warning", "Objects much smaller than the others", lambda t: t["specks"] > 0,
        "{specks:.0f} of {objects:.0f} objects have at most 2 % of the pixels of the median object, "
        "and do not touch the edge of the image",
        "stray pixels from drawing count as objects: each missed one lowers AP",
        "erase them, unless they are real objects", "{speck_at}",
    ),
    ImageCheck(
        "note", "Objects with holes", lambda t: t["holes"] > 0,
        "{holes:.0f} of {objects:.0f} objects",
        "the network learns that objects can have holes",
        "fill the holes, unless they are real", "{hole_at}",
    ),
)  # fmt: skip

IDS = (
    ImageCheck(
        "warning", "Objects in several pieces", lambda t: (t["split"] > 0) & t["looks_like"].isin(["ids", "object"]),
        "{split:.0f} of {ids:.0f} objects ({split_ids})",
        "the pieces of an id are one object: extra pieces predicted as cells count as false",
        "give each piece its own id, erase stray pixels, or connect them", "{split_at}",
    ),
    ImageCheck(
        "note", "Missing ids", lambda t: (t["gaps"] > 0) & (t["looks_like"] == "ids"),
        "{gaps:.0f} ids below the largest are missing",
        "gaps between ids are harmless, but objects may have been deleted by mistake",
        "check the image for objects without a label",
    ),
)  # fmt: skip


def image_findings(table: pd.DataFrame, labels: Labels) -> Iterator[Finding]:
    """Apply the rules that suit the kind of labels to every image.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.build_facts_table`.
    labels : Labels
        Section `labels` of the config: semantic labels have no objects, binary labels have no ids.

    Yields
    ------
    Finding
        One for each rule and row that meets its condition.
    """
    rules = IMAGES + SIZES + LABELS
    rules += OBJECTS if labels.kind != "semantic" else ()
    rules += IDS if labels.kind == "instance" else ()
    for rule in rules:
        for row in table[rule.holds(table)].to_dict("records"):
            row["split_ids"] = _list_ids(row["split_ids"], row["split"])
            found, at = rule.found.format(**row), rule.at.format(**row)
            yield Finding(rule.severity, rule.topic, (row["sample"],), found, rule.means, rule.remedy, at)


def _list_ids(ids: object, number: float) -> str:
    """Separate the first ids of `number` by commas, with an ellipsis if there are more."""
    first = str(ids).split()
    return ", ".join([*first, *(["..."] if number > len(first) else [])])
