"""Charts of a run's report: training, scores, calibration."""

import altair as alt
import numpy as np
import pandas as pd

from snakeseg.report.chart import SERIES_COLOURS, Chart, base_chart, list_numbers, series_colours, tooltips
from snakeseg.report.tables import readable_name

# Maximum number of points of a learning curve.
MAX_CURVE_POINTS = 200
UNIT_SCALE = alt.Scale(domain=[0, 1])


def learning_curves(histories: dict[str, pd.DataFrame]) -> Chart:
    """Draw the training loss of every model over steps, as a running mean.

    Parameters
    ----------
    histories : dict of DataFrame
        step and loss, by model.
    """
    rows, final_losses = [], {}
    for name, history in histories.items():
        window = max(1, len(history) // 40)
        loss = history["loss"].rolling(window, min_periods=1).mean()
        for index in np.unique(np.linspace(0, len(history) - 1, MAX_CURVE_POINTS).astype(int)):
            rows.append({"step": int(history["step"].iloc[index]), "loss": float(loss.iloc[index]), "series": name})
        final_losses[name] = loss.iloc[-1]
    chart = base_chart(rows).mark_line(strokeWidth=2).encode(
        x=alt.X("step:Q", title="training step"),
        y=alt.Y("loss:Q", title="weighted loss", scale=alt.Scale(type="log", nice=False)),
        color=series_colours(histories),
    )  # fmt: skip
    text = "Error in training, smoothed. It should fall, then stay flat (log axis)."
    return Chart("Learning curves", text, f"At the end: {list_numbers(final_losses)}", chart)


def spread_of_images(rows: pd.DataFrame, summary: pd.DataFrame, metric: str) -> Chart | None:
    """Draw the score of every image and the mean of each part, with its 95 % interval if there is one.

    Parameters
    ----------
    rows : DataFrame
        From `image_rows`.
    summary : DataFrame
        From `evaluation.summary.summarise`.
    metric : str
        The score.

    Returns
    -------
    Chart or None
        None if no image has the score.
    """
    points = [{**_point(row), "score": float(row[metric])} for row in _scored(rows, metric)]
    if not points:
        return None
    means = summary[(summary["metric"] == metric) & (summary["n"] > 0)].to_dict("records")
    means = [{"series": _part_name(m), **{key: m.get(key, np.nan) for key in ("mean", "low", "high")}} for m in means]
    intervals = [m for m in means if m["low"] == m["low"]]
    from_zero = len({point["score"] for point in points}) == 1  # an axis around a single value shows nothing
    means = [{"series": m["series"], "mean": m["mean"]} for m in means]
    score = readable_name(metric)
    parts = alt.Y("series:N", title=None, axis=alt.Axis(labelLimit=160), sort=[m["series"] for m in means])
    dots = base_chart(points).mark_circle(size=60, opacity=0.55).encode(
        x=alt.X("score:Q", title=score, scale=alt.Scale(zero=from_zero)), y=parts, tooltip=tooltips(points),
        color=alt.value(SERIES_COLOURS[2]),
    )  # fmt: skip
    bars = base_chart(intervals).mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title=score), x2="high:Q", y=parts)
    ticks = base_chart(means).mark_tick(thickness=3, size=22).encode(x=alt.X("mean:Q", title=score), y=parts)
    # Dots are on top, since a click on one opens its image.
    chart = alt.layer(bars, ticks, dots).properties(height=40 * len(means))
    text = f"Dot: an image. Tick: the mean of all.{' Bar: 95 % interval of the mean.' if intervals else ''}"
    return Chart(f"{score} of every image", text, list_numbers({m["series"]: m["mean"] for m in means}), chart)


def scores_over_thresholds(summary: pd.DataFrame) -> Chart | None:
    """Draw pooled AP over the IoU threshold of a match.

    Parameters
    ----------
    summary : DataFrame
        From `evaluation.summary.summarise`.

    Returns
    -------
    Chart or None
        None if no image has a score of objects.
    """
    rows = summary[summary["metric"].str.startswith("ap_") & summary["pooled"].notna()]
    if rows.empty:
        return None
    values = [
        {"threshold": float(r["metric"].removeprefix("ap_")), "AP": r["pooled"], "series": _part_name(r), "n": r["n"]}
        for r in rows.to_dict("records")
    ]
    at_half = {v["series"]: v["AP"] for v in values if v["threshold"] == 0.5}
    chart = base_chart(values).mark_line(point=True).encode(
        x=alt.X("threshold:Q", title="IoU threshold", scale=alt.Scale(domain=[0.5, 0.95])),
        y=alt.Y("AP:Q", title="AP, pooled", scale=UNIT_SCALE), color=series_colours([v["series"] for v in values]),
        tooltip=tooltips(values),
    )  # fmt: skip
    text = "A higher IoU threshold demands better outlines. High AP up to 0.9 means exact outlines."
    return Chart("AP over IoU thresholds", text, f"At an IoU of 0.5: {list_numbers(at_half)}", chart)


# Methods of `objects.segment`.
METHOD_NAMES = ("components", "distance", "soft", "core")
# Parameters that were tuned: column of the trials, methods that use it, name.
TUNED_PARAMETERS = (
    ("threshold", METHOD_NAMES, "foreground threshold"),
    ("smallest", METHOD_NAMES, "smallest size in pixels"),
    ("grow", METHOD_NAMES, "growth into gaps in pixels"),
    ("depth", ("distance", "soft"), "depth of a splitting neck (pixels)"),
    ("depth", ("core",), "core probability"),
)

# Names of the scores by which they are chosen, unless it is AP 0.50; higher is better (`objects.trials.SCORES`).
TUNED_SCORES = {"ap": "mean AP 0.50 to 0.90", "adapted_rand_error": "1 - adapted Rand error"}


def sensitivity(parameters: dict[str, dict]) -> list[Chart]:
    """Draw the best score for each value of each parameter that was tuned to separate objects.

    Parameters
    ----------
    parameters : dict
        Contents of instances.json (from `tune`), by experiment.

    Returns
    -------
    list of Chart
        One for each parameter that has several values.
    """
    trials = pd.DataFrame([
        {**trial, "experiment": name, "by": tuned["select_by"]}
        for name, tuned in parameters.items() for trial in tuned["trials"]
    ])  # fmt: skip
    if trials.empty:
        return []
    trials["series"] = trials["experiment" if len(parameters) > 1 else "method"]
    charts, score = [], TUNED_SCORES.get(trials["by"].iloc[0], "AP 0.50")
    for column, methods, name in TUNED_PARAMETERS:
        if column not in trials:  # models of earlier versions
            continue
        tried = trials[trials["method"].isin(methods)]
        best = tried.groupby(["series", column], sort=False)["score"].max().reset_index()
        if best[column].nunique() < 2:
            continue
        rows = best.rename(columns={column: "value"}).to_dict("records")
        chart = base_chart(rows).mark_line(point=True).encode(
            x=alt.X("value:Q", title=name, axis=alt.Axis(values=sorted(best[column].unique().tolist()))),
            y=alt.Y("score:Q", title=score, scale=alt.Scale(zero=False)),
            color=series_colours(best["series"]), tooltip=tooltips(rows),
        )  # fmt: skip
        text = _describe_best(best.groupby(column)["score"].max(), score)
        charts.append(Chart(name[0].upper() + name[1:], text, "", chart))
    return charts


def _describe_best(scores: pd.Series, name: str) -> str:
    """Describe the best score of each value of a parameter (the index), and which values have the highest."""
    is_best = np.isclose(scores, scores.max(), rtol=0, atol=1e-9, equal_nan=True)
    if is_best.all():
        return f"All values tried reach the same {name}, {scores.max():.3f}."
    values = ", ".join(f"{value:g}" for value in scores.index[is_best])
    return f"Best {name} of the values: from {scores.min():.3f} to {scores.max():.3f} (at {values})."


def reliability_diagram(parameters: dict[str, dict]) -> Chart | None:
    """Draw the share of foreground pixels over the predicted probability of foreground.

    Parameters
    ----------
    parameters : dict
        Contents of instances.json (from `tune`), by experiment.

    Returns
    -------
    Chart or None
        None if calibration was not measured.
    """
    measured = {name: tuned["calibration"] for name, tuned in parameters.items() if tuned.get("calibration")}
    rows = [{**bin_, "series": name} for name, calibration in measured.items() for bin_ in calibration["bins"]]
    if not rows:
        return None
    line = base_chart([{"x": 0, "y": 0}, {"x": 1, "y": 1}]).mark_line(strokeDash=[4, 4], color="#888")
    chart = base_chart(rows).mark_line(point=True).encode(
        x=alt.X("probability:Q", title="predicted probability of foreground", scale=UNIT_SCALE),
        y=alt.Y("share:Q", title="share of foreground pixels", scale=UNIT_SCALE),
        color=series_colours(measured), tooltip=tooltips(rows),
    )  # fmt: skip
    text = (
        "Dashed: probabilities are right (of pixels with 0.8, 80 % are foreground)."
        " Below it, too much foreground is predicted."
    )
    text += f" {_calibration_errors(measured)}"
    return Chart("Calibration", text, "", alt.layer(line.encode(x="x:Q", y="y:Q"), chart))


# Calibration errors of `evaluation.metrics.calibration.reliability`, and their names.
CALIBRATION_ERRORS = {
    "error": "Mean distance from the line (0 is best), validation images, all pixels",
    "uncertain_error": "Uncertain pixels (0.05 to 0.95)",
    "confidence_error": "Predicted class (Guo et al. 2017)",
}


def _calibration_errors(measured: dict[str, dict]) -> str:
    """List the calibration errors of every experiment; models of early versions have only the first one."""
    sentences = []
    for key, name in CALIBRATION_ERRORS.items():
        numbers = {experiment: errors[key] for experiment, errors in measured.items() if errors.get(key) is not None}
        values = f"{next(iter(numbers.values())):.3g}." if len(measured) == 1 and numbers else list_numbers(numbers)
        sentences += [f"{name}: {values}"] if numbers else []
    return " ".join(sentences)


# Minimum number of images for a rank correlation.
MIN_TREND = 10
# Properties of images: column, name, and name in the PNG's file name.
PROPERTIES = (
    ("true_objects", "number of objects"),
    ("foreground", "share of foreground"),
    ("pixels", "size in pixels"),
    ("mean_intensity", "mean intensity"),
    ("contrast", "contrast (standard deviation of intensity)"),
)


def score_over_properties(rows: pd.DataFrame, metric: str) -> list[Chart]:
    """Draw the score of every image over each property in which images differ.

    Parameters
    ----------
    rows : DataFrame
        From `image_rows`, with the columns of `PROPERTIES` that are known.
    metric : str
        The score.
    """
    charts = []
    for column, name in PROPERTIES:
        known_rows = rows.dropna(subset=[column]) if column in rows else rows[:0]
        scored = _scored(known_rows, metric)
        values = [float(row[column]) for row in scored]
        if len(set(values)) < 3:
            continue
        points = [{**_point(row), "score": row[metric], "value": v} for row, v in zip(scored, values, strict=True)]
        is_wide = min(values) > 0 and max(values) > 20 * min(values)
        scale = alt.Scale(type="log", nice=False) if is_wide else alt.Scale(zero=False)
        chart = base_chart(points).mark_circle(size=60, opacity=0.7).encode(
            x=alt.X("value:Q", title=name + " (log axis)" * is_wide, scale=scale),
            y=alt.Y("score:Q", title=readable_name(metric), scale=alt.Scale(zero=False)),
            color=series_colours(sorted({p["series"] for p in points})), tooltip=tooltips(points),
        )  # fmt: skip
        text = _describe_trend(values, [p["score"] for p in points])
        score = readable_name(metric)
        charts.append(Chart(f"{score} against {name}", text, "", chart))
    return charts


def _describe_trend(values: list[float], scores: list[float]) -> str:
    """Describe the rank correlation of scores with a property, for at least `MIN_TREND` images."""
    if len(values) < MIN_TREND:
        return f"{len(values)} points: too few for a trend."
    rank = pd.Series(values).corr(pd.Series(scores), method="spearman")
    return f"{len(values)} points" + (f"; rank correlation {rank:+.2f}." if rank == rank else ".")


def _scored(rows: pd.DataFrame, metric: str) -> list[dict]:
    """Return the rows that have the score."""
    return rows.dropna(subset=[metric]).to_dict("records") if metric in rows else []


def _point(row: dict) -> dict:
    """Return the data of an image's mark; the page opens the image by sample and experiment."""
    return {"sample": row["sample"], "experiment": row["experiment"], "series": _part_name(row)}


def _part_name(row: dict) -> str:
    """Return the name of a series: experiment and subset."""
    return f"{row['experiment']}, {row['subset']}"
