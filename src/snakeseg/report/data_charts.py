"""Charts of the data report: intensities and objects of the images."""

import altair as alt
import numpy as np
import pandas as pd

from snakeseg.report.chart import SERIES_COLOURS, Chart, base_chart, list_numbers, series_colours, tooltips

# Maximum number of images in a chart with a mark for each.
MAX_MARKS = 1000


def intensity_ranges(table: pd.DataFrame) -> Chart | None:
    """Draw the intensities of every image, from the 1st to the 99th percentile.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.build_facts_table`.

    Returns
    -------
    Chart or None
        None if no image could be read.
    """
    rows = _spaced_rows(table.dropna(subset=["p50"]).sort_values("p50"), ["sample", "part", "p1", "p50", "p99"])
    if not rows:
        return None
    rows = [{**row, "rank": rank} for rank, row in enumerate(rows, start=1)]
    x, y = alt.X("rank:Q", title="images, from dark to bright"), alt.Y("p1:Q", title="intensity")
    base = base_chart(rows).encode(x=x, tooltip=tooltips(rows), color=series_colours(table["part"], "part"))
    chart = alt.layer(
        base.mark_rule(opacity=0.45).encode(y=y, y2="p99:Q"), base.mark_circle(size=40, opacity=1).encode(y="p50:Q")
    )
    text = "One line per image: from its 1st to its 99th percentile of intensity. Dot: median."
    ends = list_numbers({"Lowest median": rows[0]["p50"], "highest median": rows[-1]["p50"]})
    return Chart("Intensities of every image", text, ends, chart)


def object_lengths(bars: list[dict]) -> Chart:
    """Draw the number of objects by length.

    Parameters
    ----------
    bars : list of dict
        start and stop (pixels, both included), each bar twice as wide as the one before; count (objects).
    """
    rows = [{"from": str(b["start"]), "to": b["stop"], "objects": b["count"]} for b in bars]
    chart = base_chart(rows).mark_bar(color=SERIES_COLOURS[0]).encode(
        x=alt.X("from:N", title="length in pixels, from this to twice this", sort=None, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("objects:Q", title="objects"), tooltip=tooltips(rows),
    )  # fmt: skip
    numbers = list_numbers({f"From {row['from']} pixels:": row["objects"] for row in rows})
    text = "The length of an object is the longest side of its bounding box."
    return Chart("Length of objects", text, numbers, chart)


def objects_of_images(table: pd.DataFrame) -> Chart | None:
    """Draw the number of objects in every image, and their median length.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.build_facts_table`.

    Returns
    -------
    Chart or None
        None if there are no objects.
    """
    rows = _spaced_rows(table[table["objects"] > 0], ["sample", "part", "objects", "extent_50"])
    if not rows:
        return None
    chart = base_chart(rows).mark_circle(size=60, opacity=0.7).encode(
        x=alt.X("objects:Q", title="objects in an image (log axis)", scale=alt.Scale(type="log", nice=False)),
        y=alt.Y(
            "extent_50:Q", title="median length in pixels (log axis)",
            scale=alt.Scale(type="log", nice=False, padding=12),
        ),
        color=series_colours(table["part"], "part"), tooltip=tooltips(rows),
    )  # fmt: skip
    return Chart("Objects of every image", "Look at images (dots) far from the others.", "", chart)


def _spaced_rows(table: pd.DataFrame, columns: list[str]) -> list[dict]:
    """Return at most `MAX_MARKS` rows of a table, evenly spaced by position."""
    chosen = np.unique(np.linspace(0, len(table) - 1, MAX_MARKS).astype(int)) if len(table) else []
    return table.iloc[chosen][columns].to_dict("records")
