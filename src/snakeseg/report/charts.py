"""Charts of the page, as Vega-Lite: each with what it shows in words, for those who cannot see it."""

from typing import NamedTuple

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from snakeseg.report.tables import title

# Points of a learning curve that are drawn: more than the eye can tell apart.
MOST_POINTS = 200
# Images of a chart that has a mark for each.
MOST_DOTS = 1000
# Okabe and Ito's colours without those that are hard to see on white or on black.
RANGE = ["#0f8a70", "#d55e00", "#3d7fd1", "#c0629a", "#b98a00", "#56b4e9"]
UNIT = alt.Scale(domain=[0, 1])


class Chart(NamedTuple):
    """A chart, what it is about, and its numbers in words, for those who cannot see it."""

    title: str
    text: str
    numbers: str
    chart: alt.TopLevelMixin

    @property
    def spec(self) -> dict:
        """For the page, whose width it takes."""
        return self.chart.properties(width="container").to_dict()

    def png(self) -> bytes:
        """For whoever cannot run the page's scripts."""
        return vl_convert.vegalite_to_png(self.chart.properties(width=480).to_dict(), scale=2)


def javascript() -> str:
    """Vega, Vega-Lite and Vega-Embed, of the versions that the specs are written for."""
    return vl_convert.javascript_bundle(vl_version=".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2]))


def learning_curves(histories: dict[str, pd.DataFrame]) -> Chart:
    """Loss over steps of every model, as running means."""
    rows, told = [], {}
    for name, history in histories.items():
        window = max(1, len(history) // 40)
        loss = history["loss"].rolling(window, min_periods=1).mean()
        for index in np.unique(np.linspace(0, len(history) - 1, MOST_POINTS).astype(int)):
            rows.append({"step": int(history["step"].iloc[index]), "loss": float(loss.iloc[index]), "series": name})
        told[name] = loss.iloc[-1]
    chart = _chart(rows).mark_line(strokeWidth=2).encode(
        x=alt.X("step:Q", title="training step"),
        y=alt.Y("loss:Q", title="weighted loss", scale=alt.Scale(type="log", nice=False)),
        color=_series(histories),
    )  # fmt: skip
    return Chart(
        "Learning curves", "Loss on the training patches, as a running mean.", f"At the end, {_told(told)}", chart
    )


def spread_of_images(rows: pd.DataFrame, summary: pd.DataFrame, metric: str) -> Chart | None:
    """The score of every image, and the means, with their intervals where there are any; None if nothing was scored."""
    points = [{**_point(row), "score": float(row[metric])} for row in _scored(rows, metric)]
    if not points:
        return None
    means = summary[(summary["metric"] == metric) & (summary["n"] > 0)].to_dict("records")
    means = [{"series": _part(m), **{key: m.get(key, np.nan) for key in ("mean", "low", "high")}} for m in means]
    known = [m for m in means if m["low"] == m["low"]]
    alike = len({point["score"] for point in points}) == 1  # an axis of one value alone says nothing
    means = [{"series": m["series"], "mean": m["mean"]} for m in means]
    parts = alt.Y("series:N", title=None, axis=alt.Axis(labelLimit=160), sort=[m["series"] for m in means])
    dots = _chart(points).mark_circle(size=60, opacity=0.55).encode(
        x=alt.X("score:Q", title=title(metric), scale=alt.Scale(zero=alike)), y=parts, tooltip=_tooltips(points),
        color=alt.value(RANGE[2]),
    )  # fmt: skip
    bars = _chart(known).mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title=title(metric)), x2="high:Q", y=parts)
    ticks = _chart(means).mark_tick(thickness=3, size=22).encode(x=alt.X("mean:Q", title=title(metric)), y=parts)
    # Dots on top, as they open their images.
    chart = alt.layer(bars, ticks, dots).properties(height=40 * len(means))
    text = f"A dot is an image, the mark the mean{', the bar its 95 % interval' if known else ''}."
    return Chart(f"{title(metric)} of every image", text, _told({m["series"]: m["mean"] for m in means}), chart)


def scores_over_thresholds(summary: pd.DataFrame) -> Chart | None:
    """Pooled AP against the IoU threshold of a match; None if nothing was scored."""
    rows = summary[summary["metric"].str.startswith("ap_") & summary["pooled"].notna()]
    if rows.empty:
        return None
    values = [
        {"threshold": float(r["metric"].removeprefix("ap_")), "AP": r["pooled"], "series": _part(r), "n": r["n"]}
        for r in rows.to_dict("records")
    ]
    first = {v["series"]: v["AP"] for v in values if v["threshold"] == 0.5}
    chart = _chart(values).mark_line(point=True).encode(
        x=alt.X("threshold:Q", title="IoU threshold", scale=alt.Scale(domain=[0.5, 0.95])),
        y=alt.Y("AP:Q", title="AP, pooled", scale=UNIT), color=_series([v["series"] for v in values]),
        tooltip=_tooltips(values),
    )  # fmt: skip
    text = "The stricter the match, the fewer objects pass; a late fall means exact outlines."
    return Chart("AP over IoU thresholds", text, f"At 0.5, {_told(first)}", chart)


# How objects are separated, as in `objects.segment`.
METHODS = ("components", "distance", "soft", "core")
# Column of the trials, the methods that it is told of, and its name.
PARAMETERS = (
    ("threshold", METHODS, "foreground threshold"),
    ("smallest", METHODS, "smallest size in pixels"),
    ("depth", ("distance", "soft"), "depth of distance maxima in pixels"),
    ("depth", ("core",), "threshold of seeds"),
)


def sensitivity(parameters: dict[str, dict]) -> list[Chart]:
    """How much each parameter of cutting objects matters: the best score that each of its values reached.

    Parameters
    ----------
    parameters : dict
        By experiment, what `tune` wrote.
    """
    trials = pd.DataFrame([
        {**trial, "experiment": name, "by": found["select_by"]}
        for name, found in parameters.items() for trial in found["trials"]
    ])  # fmt: skip
    if trials.empty:
        return []
    trials["series"] = trials["experiment" if len(parameters) > 1 else "method"]
    charts = []
    for column, methods, name in PARAMETERS:
        tried = trials[trials["method"].isin(methods)]
        best = tried.groupby(["series", column], sort=False)["score"].max().reset_index()
        if best[column].nunique() < 2:
            continue
        rows = best.rename(columns={column: "value"}).to_dict("records")
        chart = _chart(rows).mark_line(point=True).encode(
            x=alt.X("value:Q", title=name),
            y=alt.Y("score:Q", title=title(trials["by"].iloc[0]), scale=alt.Scale(zero=False)),
            color=_series(best["series"]), tooltip=_tooltips(rows),
        )  # fmt: skip
        top = best.loc[best["score"].idxmax()]
        lost = best.groupby(column)["score"].max().min()
        text = f"Best at {top[column]:g} ({top['score']:.3f}); at the worst value, {lost:.3f} is still to be had."
        charts.append(Chart(name[0].upper() + name[1:], text, "", chart))
    return charts


def reliability_diagram(parameters: dict[str, dict]) -> Chart | None:
    """Predicted probability against what is there; None if it was not measured."""
    measured = {name: found["calibration"] for name, found in parameters.items() if found.get("calibration")}
    rows = [
        {**one, "series": name}
        for name, found in measured.items() for one in found["bins"]
    ]  # fmt: skip
    if not rows:
        return None
    line = _chart([{"x": 0, "y": 0}, {"x": 1, "y": 1}]).mark_line(strokeDash=[4, 4], color="#888")
    chart = _chart(rows).mark_line(point=True).encode(
        x=alt.X("probability:Q", title="predicted probability of foreground", scale=UNIT),
        y=alt.Y("share:Q", title="share that is foreground", scale=UNIT),
        color=_series(measured), tooltip=_tooltips(rows),
    )  # fmt: skip
    text = "On the dashed line, probabilities are what they say; below it, the network is too sure of its objects."
    errors = _told({name: found["error"] for name, found in measured.items()})
    numbers = f"Expected calibration error on the validation images: {errors}"
    return Chart("Calibration", f"{text} {numbers}", "", alt.layer(line.encode(x="x:Q", y="y:Q"), chart))


PROPERTIES = {
    "true_objects": "number of objects",
    "foreground": "share of foreground",
    "pixels": "size in pixels",
    "grey_value": "mean grey value",
    "contrast": "contrast (standard deviation of grey values)",
}


def score_over_properties(rows: pd.DataFrame, metric: str) -> list[Chart]:
    """The score of every image against what it is like, wherever images differ.

    Parameters
    ----------
    rows : DataFrame
        From `image_rows`, with a column for each of `PROPERTIES` that is known.
    metric : str
    """
    charts = []
    for column, name in PROPERTIES.items():
        known = rows.dropna(subset=[column]) if column in rows else rows[:0]
        scored = _scored(known, metric)
        values = [float(row[column]) for row in scored]
        if len(set(values)) < 3:
            continue
        points = [{**_point(row), "score": row[metric], "value": v} for row, v in zip(scored, values, strict=True)]
        wide = min(values) > 0 and max(values) > 20 * min(values)
        scale = alt.Scale(type="log", nice=False) if wide else alt.Scale(zero=False)
        chart = _chart(points).mark_circle(size=60, opacity=0.7).encode(
            x=alt.X("value:Q", title=name, scale=scale),
            y=alt.Y("score:Q", title=title(metric), scale=alt.Scale(zero=False)),
            color=_series(sorted({p["series"] for p in points})), tooltip=_tooltips(points),
        )  # fmt: skip
        rank = pd.Series(values).corr(pd.Series([p["score"] for p in points]), method="spearman")
        text = f"{len(points)} predictions" + (f"; rank correlation {rank:+.2f}." if rank == rank else ".")
        charts.append(Chart(f"{title(metric)} against {name}", text, "", chart))
    return charts


def grey_values(table: pd.DataFrame) -> Chart | None:
    """The grey values of every image, from its darkest hundredth to its brightest; None if none was read."""
    rows = _some_of(table.dropna(subset=["p50"]).sort_values("p50"), ["sample", "part", "p1", "p50", "p99"])
    if not rows:
        return None
    rows = [{**row, "rank": rank} for rank, row in enumerate(rows, start=1)]
    x, y = alt.X("rank:Q", title="images, from dark to bright"), alt.Y("p1:Q", title="grey value")
    base = _chart(rows).encode(x=x, tooltip=_tooltips(rows), color=_series(table["part"], "part"))
    chart = alt.layer(
        base.mark_rule(opacity=0.45).encode(y=y, y2="p99:Q"), base.mark_circle(size=40, opacity=1).encode(y="p50:Q")
    )
    text = "A line is an image, from its 1st to its 99th percentile, the dot its median."
    ends = _told({"Darkest median": rows[0]["p50"], "brightest median": rows[-1]["p50"]})
    return Chart("Grey values of every image", text, ends, chart)


def extents(bars: list[dict]) -> Chart:
    """How many objects are how long; bars are doublings (start, stop, count)."""
    rows = [{"from": str(b["start"]), "to": b["stop"], "objects": b["count"]} for b in bars]
    chart = _chart(rows).mark_bar(color=RANGE[0]).encode(
        x=alt.X("from:N", title="pixels, from so many to twice as many", sort=None, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("objects:Q", title="objects"), tooltip=_tooltips(rows),
    )  # fmt: skip
    told = _told({f"From {row['from']} pixels:": row["objects"] for row in rows})
    return Chart("Length of objects", "The longest side of each object's box.", told, chart)


def objects_of_images(table: pd.DataFrame) -> Chart | None:
    """How many objects every image has, and how long the middle one is; None if there are none."""
    rows = _some_of(table[table["objects"] > 0], ["sample", "part", "objects", "extent_50"])
    if not rows:
        return None
    chart = _chart(rows).mark_circle(size=60, opacity=0.7).encode(
        x=alt.X("objects:Q", title="objects in an image", scale=alt.Scale(type="log", nice=False)),
        y=alt.Y("extent_50:Q", title="middle object, in pixels", scale=alt.Scale(type="log", nice=False, padding=12)),
        color=_series(table["part"], "part"), tooltip=_tooltips(rows),
    )  # fmt: skip
    return Chart("Objects of every image", "A dot is an image; those far from the others deserve a look.", "", chart)


def _some_of(table: pd.DataFrame, columns: list[str]) -> list[dict]:
    """Rows at equal distances, as many as can be told apart."""
    chosen = np.unique(np.linspace(0, len(table) - 1, MOST_DOTS).astype(int)) if len(table) else []
    return table.iloc[chosen][columns].to_dict("records")


def _chart(rows: list[dict]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=rows), height=220)


def _series(names, field: str = "series") -> alt.Color:
    """Colours by a field that has these values, with a legend if there are several."""
    names = list(dict.fromkeys(names))
    legend = alt.Legend(title=None, orient="bottom", columns=2, labelLimit=260) if len(names) > 1 else None
    return alt.Color(f"{field}:N", legend=legend, sort=names, scale=alt.Scale(range=RANGE))


def _tooltips(rows: list[dict]) -> list[alt.Tooltip]:
    """All that is known of a mark."""
    return [
        alt.Tooltip(f"{name}:Q", format=".4~g") if isinstance(value, float) else alt.Tooltip(f"{name}:N")
        for name, value in rows[0].items()
    ]


def _scored(rows: pd.DataFrame, metric: str) -> list[dict]:
    """Rows that have the score."""
    return rows.dropna(subset=[metric]).to_dict("records") if metric in rows else []


def _point(row: dict) -> dict:
    """What a mark says of its image; the page opens it by sample and experiment."""
    return {"sample": row["sample"], "experiment": row["experiment"], "series": _part(row)}


def _part(row: dict) -> str:
    return f"{row['experiment']}, {row['subset']}"


def _told(numbers: dict[str, float]) -> str:
    return "; ".join(f"{name} {value:.3g}" for name, value in numbers.items()) + "."
