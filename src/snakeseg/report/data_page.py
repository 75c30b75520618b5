"""The report about the data as a page: findings first, then an overview of the data, then every image."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from snakeseg.arrays import Region
from snakeseg.io.images import open_image, read_label_for
from snakeseg.report.data_charts import intensity_ranges, object_lengths, objects_of_images
from snakeseg.report.images.gallery import gallery
from snakeseg.report.images.pictures import draw_outlines, jpeg_url, stretch_to_rgb
from snakeseg.report.images.views import Views
from snakeseg.report.templating import number_charts, render

# Limits of the page; findings.tsv and data.tsv have all findings and all images.
MAX_FINDINGS_PER_TOPIC, MAX_PICTURES_PER_FINDING, MAX_TABLE_ROWS = 6, 6, 2000
# Picture of a place: side of the crop in pixels of the image, and its magnification.
CROP_SIDE_PIXELS, MAGNIFICATION = 96, 3
# Ring around the place: radius in pixels of the picture, and colour.
RING_RADIUS_PIXELS, RING_COLOUR = 54, (240, 228, 66)
SEVERITIES = ("error", "warning", "note")
# How names of parts begin, in the order in which a run uses them.
PARTS = ("training", "validation", "fold", "test", "predict")
# Headings of the table of images, by column of data.tsv, besides the name, part and findings.
HEADINGS = {
    "shape": "shape", "type": "data type", "smallest": "minimum", "p1": "1st percentile", "p50": "median",
    "p99": "99th percentile", "largest": "maximum", "objects": "objects", "extent_50": "median object length, pixels",
    "touching": "touching objects", "foreground": "share of foreground",
}  # fmt: skip


class DataReport(NamedTuple):
    """Contents of the data report.

    Attributes
    ----------
    name : str
        Name of the run.
    dims : int
        Number of spatial dimensions of the images, 2 or 3.
    sheet : DataFrame
        The sample sheet, from `read_sheet`.
    table : DataFrame
        Facts about each image, from `findings.table.build_facts_table`.
    findings : list of Finding
        Findings, the most severe first.
    objects : dict
        Sizes of objects, from `findings.object_sizes.overview`; empty without objects.
    """

    name: str
    dims: int
    sheet: pd.DataFrame
    table: pd.DataFrame
    findings: list
    objects: dict


def data_page(report: DataReport, page: Path) -> str:
    """Return the data report as HTML; text from files is escaped.

    Parameters
    ----------
    report : DataReport
        Contents of the page.
    page : path
        Path of the page, to which its links are relative.

    Returns
    -------
    str
        The page.
    """
    table, findings, objects = report.table, report.findings, report.objects
    listed = _order_by_severity(table, findings)
    # Images whose labels could not be read are shown without outlines.
    readable = table["ids"].notna().to_numpy()
    sources = report.sheet.assign(label=report.sheet["label"].where(readable, ""), part=table["part"].to_numpy())
    views = Views(page.parent, sources, pd.DataFrame(columns=["sample"]), pd.DataFrame(), report.dims, None)
    pictures = gallery(views, listed["sample"], page)
    sections = {"verdict": "Verdict", "findings": "Findings", "overview": "At a glance",
                **({"objects": "Objects"} if objects else {}), "images": "Every image"}  # fmt: skip
    drawn = number_charts({
        "intensities": [intensity_ranges(table)],
        "objects": [object_lengths(objects["bars"]), objects_of_images(table)] if objects else [],
    })  # fmt: skip
    return render(
        "data.html.j2", drawn, **_part_values(table), name=report.name, sections=sections, columns=HEADINGS,
        gallery=pictures, topics=list(_topics(findings, views, pictures)), objects=objects,
        networks=_network_rows(objects["experiments"], objects["middle"]) if objects else [],
        severities={severity: sum(f.severity == severity for f in findings) for severity in SEVERITIES},
        states=[severity for severity in SEVERITIES if (listed["state"] == severity).any()],
        listed=[_plain_row(row) for row in listed.head(MAX_TABLE_ROWS).to_dict("records")], images=len(table),
        unpictured=len(set(table["sample"]) - set(pictures)), layers={"image": "Image", "truth": "Label"},
        volumes=report.dims == 3, classes={},
    )  # fmt: skip


def _part_values(table: pd.DataFrame) -> dict:
    """Return the template's values about parts (training, validation, ...): names, numbers of images, overview."""
    parts = sorted(table.groupby("part"), key=_part_order)
    return {
        "parts": [part for part, _ in parts],
        "counted": [f"{len(rows):,} {'to predict' if part == 'predict' else part}" for part, rows in parts],
        "overview": [_plain_row(_overview_row(part, rows)) for part, rows in parts],
    }


def _order_by_severity(table: pd.DataFrame, findings: list) -> pd.DataFrame:
    """Add the worst severity (`state`) and the topics of each image's findings, and sort the images by them.

    A finding that names only examples is left out: other images that it concerns would seem to be free of it.
    """
    by_sample: dict[str, dict[str, str]] = {}
    for finding in findings:
        for sample in () if finding.has_examples else finding.samples:
            by_sample.setdefault(sample, {}).setdefault(finding.topic, finding.severity)
    severities = [by_sample.get(sample, {}) for sample in table["sample"]]
    states = [next(iter(topics.values()), "") for topics in severities]
    listed = table.assign(topics=["; ".join(topics) for topics in severities], state=states)
    order = [((*SEVERITIES, "").index(state), -len(topics)) for state, topics in zip(states, severities, strict=True)]
    return listed.iloc[sorted(range(len(order)), key=order.__getitem__)]


def _topics(findings: list, views: Views, pictures: dict[str, dict]) -> Iterator[dict]:
    """Yield the findings of each topic; pictures of findings about a single image are gathered under the topic."""
    topics: dict[tuple[str, str], list] = {}
    for finding in findings:
        topics.setdefault((finding.severity, finding.topic), []).append(finding)
    for (severity, topic), members in topics.items():
        first = [(finding, list(_pictures(finding, views, pictures))) for finding in members[:MAX_FINDINGS_PER_TOPIC]]
        yield {
            "severity": severity,
            "topic": topic,
            "findings": [
                {
                    "samples": f.samples,
                    "found": f.found,
                    "means": f.means,
                    "remedy": f.remedy,
                    "pictures": shown,
                    "has_examples": f.has_examples,
                }
                for f, shown in first
            ],
            "count": len(members),
            "advice": list(dict.fromkeys((f.means, f.remedy) for f in members)),
            "pictures": [picture for f, shown in first if len(f.samples) == 1 for picture in shown],
        }


def _pictures(finding, views: Views, pictures: dict[str, dict]) -> Iterator[dict]:
    """Yield pictures of a finding: of the pixel that it names, else of its images, which the page carries anyway."""
    for sample in finding.samples[:MAX_PICTURES_PER_FINDING]:
        if finding.at:
            with suppress(ValueError):  # an image that cannot be read has a finding of its own
                url = _place_url(views.sources.loc[sample], views.dims, finding.at)
                at = ", ".join(
                    f"{axis} {number}" for axis, number in zip("zyx"[-views.dims :], finding.at.split(), strict=True)
                )
                yield {"sample": sample, "at": at, "url": url}
        elif "picture" in pictures.get(sample, {}):
            yield {"sample": sample, "part": views.sources.at[sample, "part"]}


def _place_url(source: pd.Series, dims: int, at: str) -> str:
    """Return a data URL of the surroundings of a pixel, with outlines of objects and a ring around the pixel."""
    raster = open_image(source["image"], dims)
    array = raster.array
    place = [int(number) for number in at.split()]
    region = _region_around(place, array.shape[1:])
    image, label = array[(slice(0, 3), *region)], read_label_for(raster, source["label"]).array[region]
    image, label = (crop.reshape(*crop.shape[:-dims], *crop.shape[-2:]) for crop in (image, label))
    outlined = draw_outlines(stretch_to_rgb(image), label, None)
    picture = np.ascontiguousarray(outlined.repeat(MAGNIFICATION, 0).repeat(MAGNIFICATION, 1))
    y, x = (int(MAGNIFICATION * (at - own.start + 0.5)) for at, own in zip(place[-2:], region[-2:], strict=True))
    return jpeg_url(draw_ring(picture, y, x), 80)


def draw_ring(picture: np.ndarray, y: int, x: int) -> np.ndarray:
    """Draw a ring around a place; a picture that the ring would leave is extended by black pixels.

    Parameters
    ----------
    picture : uint8 array, shape (y, x, 3)
        In RGB.
    y, x : int
        The place, in pixels of the picture.
    """
    reach = RING_RADIUS_PIXELS + 2  # the line is two pixels wide
    margins = [
        (max(0, reach - at), max(0, at + reach + 1 - size)) for at, size in zip((y, x), picture.shape, strict=False)
    ]
    extended = np.pad(picture, [*margins, (0, 0)])
    centre = (x + margins[1][0], y + margins[0][0])
    return cv2.circle(extended, centre, RING_RADIUS_PIXELS, RING_COLOUR, 2, cv2.LINE_AA)


def _region_around(place: list[int], shape: tuple[int, ...]) -> Region:
    """Return a region of one plane, at most `CROP_SIDE_PIXELS` a side, with the place in its middle where possible."""
    sides = [1] * (len(shape) - 2) + [CROP_SIDE_PIXELS] * 2
    starts = [max(0, min(at - side // 2, size - side)) for at, side, size in zip(place, sides, shape, strict=True)]
    return tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))


def _overview_row(part: str, rows: pd.DataFrame) -> dict:
    """Summarise the images of a part as a row of the overview table."""
    labelled = rows["ids"].notna()
    # The share of the first class, the background, follows from those of the others.
    names = [key for key in rows if key.startswith("share_")][1:]
    shares = {name.removeprefix("share_"): rows[name].mean() for name in names}
    return {
        "part": part, "shape": _commonest(rows["shape"]), "data type": _commonest(rows["type"]),
        "pixel size": _commonest(rows["spacing"]), "images": len(rows), "with label": int(labelled.sum()),
        "lowest intensity": rows["smallest"].min(), "median intensity": rows["p50"].median(),
        "highest intensity": rows["largest"].max(),
        "objects": int(rows["objects"].sum()) if labelled.any() else None,
        "objects per image (median)": rows["objects"].median(),
        **{f"share of {name}": f"{share:.3f}" if share == share else None for name, share in shares.items()},
    }  # fmt: skip


def _network_rows(experiments: list[dict], median_length: float) -> list[dict]:
    """Compare receptive field and patch of each network with the median object, as rows of a table."""
    return [
        {"experiment": e["experiment"], "network": e["network"], "receptive field, pixels": e["field"],
         "patch side, pixels": e["patch"],
         "patch side / median object": None if e["patch"] == "auto" else f"{e['patch'] / median_length:.1f}"}
        for e in experiments
    ]  # fmt: skip


def _part_order(entry: tuple) -> tuple[int, str]:
    """Return the sort key of (part, ...): the place of the part in `PARTS`, then its name."""
    return next((i for i, word in enumerate(PARTS) if entry[0].startswith(word)), 0), entry[0]


def _plain_row(row: dict) -> dict:
    """Turn whole floats into integers: pandas stores integer columns with gaps as floats."""
    return {key: int(v) if isinstance(v, float) and v.is_integer() else v for key, v in row.items()}


def _commonest(values: pd.Series) -> str:
    """Return the two commonest values, and the number of further ones."""
    counts = values.dropna().value_counts()
    more = f", {len(counts) - 2} more" if len(counts) > 2 else ""
    return ", ".join(map(str, counts.index[:2])) + more
