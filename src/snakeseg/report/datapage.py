"""The page about the data: findings first, then the data at a glance, then every image."""

import base64
import io
from collections.abc import Iterable, Iterator
from importlib import resources
from itertools import groupby

import numpy as np
import pandas as pd
from jinja2 import Environment
from PIL import Image
from skimage.measure import block_reduce

from snakeseg.io.raster import open_image
from snakeseg.report.pictures import grey, outlines

# How many findings and pictures of a topic, examples and images are shown; the tables beside the page have all.
LINES, PICTURES, EXAMPLES, ROWS = 6, 4, 6, 200
# Pixels a side of what is read for a picture of an image, and of a place in it; of the picture, about.
WINDOW, PLACE, PICTURE = 1024, 96, 256
PARTS = ("training", "validation", "fold", "test", "predict")
COLUMNS = ["sample", "part", "shape", "type", "smallest", "p50", "p99", "largest", "values", "objects", "extent_50",
           "foreground", "findings"]  # fmt: skip


def data_page(name: str, dims: int, sheet: pd.DataFrame, table: pd.DataFrame, findings: list, objects: dict) -> str:
    """The page as HTML; all text from files is escaped.

    Parameters
    ----------
    name : str
        Of the run.
    dims : int
    sheet : DataFrame
        From `read_sheet`.
    table : DataFrame
        From `findings.table.table_of`.
    findings : list of Finding
        Worst first.
    objects : dict
        From `findings.sizes.overview`.
    """
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        resources.files("snakeseg.report").joinpath("data.html.j2").read_text(encoding="utf-8")
    )
    rows = sheet.set_index("sample")
    concerned = pd.Series([sample for finding in findings for sample in finding.samples], dtype=str).value_counts()
    listed = table.assign(findings=table["sample"].map(concerned).fillna(0).astype(int))
    listed = listed.sort_values("findings", ascending=False, kind="stable")
    labelled = table.loc[table["values"].notna(), "sample"].tolist()
    examples = labelled[:: max(1, len(labelled) // EXAMPLES)][:EXAMPLES]
    return template.render(
        name=name,
        topics=[_topic(list(alike), rows, dims) for _, alike in groupby(findings, lambda f: (f.severity, f.topic))],
        lines=LINES,
        glance=sorted((_glance(part, own) for part, own in table.groupby("part")), key=_rank),
        objects=objects,
        examples=list(_pictures([(sample, "") for sample in examples], rows, dims)),
        columns=COLUMNS,
        listed=listed[COLUMNS].head(ROWS).to_dict("records"),
        images=len(table),
    )


def _topic(alike: list, rows: pd.DataFrame, dims: int) -> dict:
    """Findings of one topic, with pictures of the rows that the first of them are about."""
    places = {sample: finding.at for finding in alike[:LINES] for sample in finding.samples}
    return {
        "severity": alike[0].severity,
        "topic": alike[0].topic,
        "findings": alike[:LINES],
        "count": len(alike),
        "advice": {(finding.means, finding.remedy) for finding in alike},
        "pictures": list(_pictures(list(places.items())[:PICTURES], rows, dims)),
    }


def _glance(part: str, own: pd.DataFrame) -> dict:
    """What the images of a part have in common."""
    return {
        "part": part,
        "images": len(own),
        "shapes": _some(own["shape"]),
        "types": _some(own["type"]),
        "greys": (own["smallest"].min(), own["p50"].median(), own["largest"].max()),
        "labelled": int(own["values"].notna().sum()),
        "objects": own["objects"].sum(),
        "shares": {key.removeprefix("share_"): own[key].mean() for key in own if key.startswith("share_")},
    }


def _rank(glance: dict) -> tuple[int, str]:
    """Place among the parts: in the order in which they are used."""
    return next((i for i, word in enumerate(PARTS) if glance["part"].startswith(word)), 0), glance["part"]


def _some(values: pd.Series) -> str:
    """The commonest two values, and how many more there are."""
    counts = values.dropna().value_counts()
    more = f", {len(counts) - 2} more" if len(counts) > 2 else ""
    return ", ".join(map(str, counts.index[:2])) + more


def _pictures(wanted: Iterable[tuple[str, str]], rows: pd.DataFrame, dims: int) -> Iterator[dict]:
    """Pictures of samples, or of a place in them, with outlines of the labels; what cannot be read has none."""
    for sample, at in wanted:
        try:
            image = _window(rows.at[sample, "image"], dims, at)
            step = max(1, round(max(image.shape[1:]) / PICTURE))
            image = block_reduce(image, (1, step, step), np.mean, image.mean())
            label = _window(rows.at[sample, "label"], dims, at)[0, ::step, ::step] if rows.at[sample, "label"] else None
            picture = outlines(grey(image), label, None)
        except (ValueError, OSError, IndexError):
            continue
        yield {"caption": f"{sample}, around {at}" if at else sample, "url": _url(picture)}


def _window(path: str, dims: int, at: str) -> np.ndarray:
    """The middle of an image, or what is around a pixel, in one plane of a volume; shape (channels, y, x)."""
    array = open_image(path, dims).array
    centre = [int(number) for number in at.split()] or [size // 2 for size in array.shape[1:]]
    sides = [1] * (dims - 2) + [PLACE if at else WINDOW] * 2
    starts = [max(0, min(c - side // 2, n - side)) for c, side, n in zip(centre, sides, array.shape[1:], strict=True)]
    found = array[(slice(None), *(slice(start, start + side) for start, side in zip(starts, sides, strict=True)))]
    return found.reshape(len(found), *found.shape[-2:])


def _url(picture: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
