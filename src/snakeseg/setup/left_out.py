"""Describe how many images of a folder are used, and why the others are left out."""

import pandas as pd

from snakeseg.checks.findings.all import PROBLEM
from snakeseg.setup.layout import Layout, format_first
from snakeseg.setup.survey import Survey

SAVES_TIME = "without a label, to save time"


def describe_use(layout: Layout, survey: Survey, used: pd.DataFrame) -> str:
    """Describe the use of all images: "12 images: 10 used, 2 left out (b.tif: 4 channels; ...)".

    Parameters
    ----------
    layout : Layout
        All images of the folder.
    survey : Survey
        Its problems are the reasons.
    used : DataFrame
        Rows of the sheet that is written.
    """
    reasons = dict(layout.left_out)
    for row in layout.sheet.drop(index=used.index).itertuples():
        reasons[row.image] = _reason(row.image, row.label, survey.problems) or SAVES_TIME
    total = len(layout.sheet) + len(layout.left_out)
    images_of: dict[str, list[str]] = {}
    for image, reason in reasons.items():
        images_of.setdefault(reason, []).append(image)
    texts = [f"{format_first(images)}: {reason}" for reason, images in images_of.items()]
    why = f" ({'; '.join(texts)})" if texts else ""
    return f"{total} images: {total - len(reasons)} used, {len(reasons)} left out{why}"


def _reason(image: str, label: str, problems: list[str]) -> str:
    """Return what the first problem of an image or its label found; "" without a problem."""
    for problem in problems:
        match = PROBLEM.fullmatch(problem)
        if match and any(match["where"].endswith(path) for path in (*image.split(";"), label) if path):
            return match["found"]
    return ""
