"""The page about the data: findings first, then the data at a glance, then every image."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from snakeseg.arrays import Region
from snakeseg.io.images import open_image, read_label
from snakeseg.report import charts
from snakeseg.report.images.gallery import gallery
from snakeseg.report.images.pictures import grey, jpeg_url, outlines
from snakeseg.report.images.views import Views
from snakeseg.report.templating import numbered, render

# How many findings of a topic, pictures of each, and images are shown; the tables beside the page have all.
LINES, PICTURES, ROWS = 6, 6, 2000
# Pixels a side of what is shown around a place, how often each is repeated, and the ring's radius after that.
PLACE, TIMES, RING, YELLOW = 96, 3, 54, (240, 228, 66)
SEVERITIES = ("error", "warning", "note")
PARTS = ("training", "validation", "fold", "test", "predict")
COLUMNS = ["shape", "type", "smallest", "p1", "p50", "p99", "largest", "objects", "extent_50", "touching", "foreground"]


class DataReport(NamedTuple):
    """What the page shows.

    Attributes
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
        From `findings.object_sizes.overview`.
    """

    name: str
    dims: int
    sheet: pd.DataFrame
    table: pd.DataFrame
    findings: list
    objects: dict


def data_page(report: DataReport, page: Path) -> str:
    """Return the page as HTML; all text from files is escaped.

    Parameters
    ----------
    report : DataReport
    page : path
        Where it will be, which links start from.
    """
    table, findings, objects = report.table, report.findings, report.objects
    listed = _listed(table, findings)
    # Labels that could not be read leave the image without outlines.
    readable = table["ids"].notna().to_numpy()
    known = report.sheet.assign(label=report.sheet["label"].where(readable, ""), part=table["part"].to_numpy())
    views = Views(page.parent, known, pd.DataFrame(columns=["sample"]), pd.DataFrame(), report.dims, None)
    pictures = gallery(views, listed["sample"], page)
    sections = {"verdict": "Verdict", "findings": "Findings", "overview": "At a glance",
                **({"objects": "Objects"} if objects else {}), "images": "Images"}  # fmt: skip
    shown = numbered({
        "greys": [charts.grey_values(table)],
        "objects": [charts.extents(objects["bars"]), charts.objects_of_images(table)] if objects else [],
    })  # fmt: skip
    return render(
        "data.html.j2", shown, **_of_parts(table), name=report.name, sections=sections, columns=COLUMNS,
        gallery=pictures, topics=list(_topics(findings, views, pictures)), objects=objects,
        beside=_beside(objects["experiments"], objects["middle"]) if objects else [],
        severities={severity: sum(f.severity == severity for f in findings) for severity in SEVERITIES},
        states=[severity for severity in SEVERITIES if (listed["state"] == severity).any()],
        listed=[_plain_row(row) for row in listed.head(ROWS).to_dict("records")], images=len(table),
        unpictured=len(set(table["sample"]) - set(pictures)), layers={"image": "Image", "truth": "Label"},
        volumes=report.dims == 3, classes={},
    )  # fmt: skip


def _of_parts(table: pd.DataFrame) -> dict:
    """Training, validation and so on, in the order in which they are used: how many images, and what they hold."""
    parts = sorted(table.groupby("part"), key=_rank)
    return {
        "parts": [part for part, _ in parts],
        "counted": [f"{len(own):,} {'to predict' if part == 'predict' else part}" for part, own in parts],
        "glance": [_plain_row(_glance(part, own)) for part, own in parts],
    }


def _listed(table: pd.DataFrame, findings: list) -> pd.DataFrame:
    """Images in the order of the page's table, with the worst severity (`state`) and the topics of their findings."""
    told: dict[str, dict[str, str]] = {}
    for finding in findings:
        for sample in finding.samples:
            told.setdefault(sample, {}).setdefault(finding.topic, finding.severity)
    own = [told.get(sample, {}) for sample in table["sample"]]
    listed = table.assign(
        topics=["; ".join(each) for each in own], state=[next(iter(each.values()), "") for each in own]
    )
    order = [((*SEVERITIES, "").index(state), -len(each)) for state, each in zip(listed["state"], own, strict=True)]
    return listed.iloc[sorted(range(len(order)), key=order.__getitem__)]


def _topics(findings: list, views: Views, pictures: dict[str, dict]) -> Iterator[dict]:
    """Findings by topic, with pictures: of all together if each is about one image, else of each."""
    topics: dict[tuple[str, str], list] = {}
    for finding in findings:
        topics.setdefault((finding.severity, finding.topic), []).append(finding)
    for (severity, topic), alike in topics.items():
        first = [(finding, list(_pictures(finding, views, pictures))) for finding in alike[:LINES]]
        yield {
            "severity": severity,
            "topic": topic,
            "findings": [
                {"samples": f.samples, "found": f.found, "means": f.means, "remedy": f.remedy, "pictures": shown}
                for f, shown in first
            ],
            "count": len(alike),
            "advice": list(dict.fromkeys((f.means, f.remedy) for f in alike)),
            "pictures": [picture for f, shown in first if len(f.samples) == 1 for picture in shown],
        }


def _pictures(finding, views: Views, pictures: dict[str, dict]) -> Iterator[dict]:
    """The place that a finding is about, or the images, which the page has anyhow."""
    for sample in finding.samples[:PICTURES]:
        if finding.at:
            with suppress(ValueError):  # an image that cannot be read is a finding of its own
                url = _place(views.sources.loc[sample], views.dims, finding.at)
                yield {"sample": sample, "at": finding.at, "url": url}
        elif "picture" in pictures.get(sample, {}):
            yield {"sample": sample, "part": views.sources.at[sample, "part"]}


def _place(source: pd.Series, dims: int, at: str) -> str:
    """A data URL of what is around a pixel, outlined, with a ring around it."""
    array = open_image(source["image"], dims).array
    place = [int(number) for number in at.split()]
    region = _around(place, array.shape[1:])
    image, label = array[(slice(0, 3), *region)], read_label(source["label"], dims).array[region]
    image, label = (each.reshape(*each.shape[:-dims], *each.shape[-2:]) for each in (image, label))
    picture = np.ascontiguousarray(outlines(grey(image), label, None).repeat(TIMES, 0).repeat(TIMES, 1))
    y, x = (int(TIMES * (at - own.start + 0.5)) for at, own in zip(place[-2:], region[-2:], strict=True))
    return jpeg_url(cv2.circle(picture, (x, y), RING, YELLOW, 2, cv2.LINE_AA), 80)


def _around(place: list[int], shape: tuple[int, ...]) -> Region:
    """One plane, and at most `PLACE` pixels a side, with the place in the middle if there is room."""
    sides = [1] * (len(shape) - 2) + [PLACE] * 2
    starts = [max(0, min(at - side // 2, size - side)) for at, side, size in zip(place, sides, shape, strict=True)]
    return tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))


def _glance(part: str, own: pd.DataFrame) -> dict:
    """What the images of a part have in common, as a row of a table."""
    labelled = own["ids"].notna()
    # Of the first class, the background, is what the others leave.
    shares = {key.removeprefix("share_"): own[key].mean() for key in [k for k in own if k.startswith("share_")][1:]}
    return {
        "part": part, "sizes": _some(own["shape"]), "types": _some(own["type"]), "pixel sizes": _some(own["spacing"]),
        "images": len(own), "with label": int(labelled.sum()), "lowest": own["smallest"].min(),
        "middle": own["p50"].median(), "highest": own["largest"].max(),
        "objects": int(own["objects"].sum()) if labelled.any() else None,
        "per image": own["objects"].median(),
        **{f"{name}, %": f"{100 * share:.1f}" if share == share else None for name, share in shares.items()},
    }  # fmt: skip


def _beside(experiments: list[dict], middle: float) -> list[dict]:
    """What networks see beside the middle object, as rows of a table."""
    return [
        {"experiment": e["experiment"], "network": e["network"], "sees, in pixels": e["field"], "patch": e["patch"],
         "middle objects along a patch": None if e["patch"] == "auto" else f"{e['patch'] / middle:.1f}"}
        for e in experiments
    ]  # fmt: skip


def _rank(entry: tuple) -> tuple[int, str]:
    """Place of an entry (part, ...) among the parts: in the order in which they are used."""
    return next((i for i, word in enumerate(PARTS) if entry[0].startswith(word)), 0), entry[0]


def _plain_row(row: dict) -> dict:
    """Whole numbers without decimals, which columns with gaps hold as floats."""
    return {key: int(v) if isinstance(v, float) and v.is_integer() else v for key, v in row.items()}


def _some(values: pd.Series) -> str:
    """The commonest two values, and how many more there are."""
    counts = values.dropna().value_counts()
    more = f", {len(counts) - 2} more" if len(counts) > 2 else ""
    return ", ".join(map(str, counts.index[:2])) + more
