"""Writes a run's results as one self-contained page, with its figures and the provenance."""

import base64
import io
import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from PIL import Image

from snakeseg.evaluation.summary import lower_is_better
from snakeseg.io.files import atomic_folder, write_text
from snakeseg.report import charts
from snakeseg.report.charts import Chart
from snakeseg.report.citation import methods, works
from snakeseg.report.comparison import MEASURES, SCORES
from snakeseg.report.images.examples import draw_examples, ranked
from snakeseg.report.images.gallery import class_colours, gallery
from snakeseg.report.images.views import KINDS, Views
from snakeseg.report.markdown import render_markdown
from snakeseg.report.run_results import RunResults
from snakeseg.report.tables import SHOWN, STATES, about, class_scores
from snakeseg.report.templating import numbered, render
from snakeseg.report.verdict import headline_part, verdict
from snakeseg.settings import Config

# What the viewer shows over one another.
LAYERS = {layer: layer.capitalize() for layer in ("image", "truth", "prediction", "errors")}
# Scores of the cards at the top.
CARDS = ("ap_0.50", "ap_0.75", "dice", "pixel_error", "adapted_rand_error", "hd95")


def write_report(run: Path, sheet: pd.DataFrame, config: Config, output: Path) -> None:
    """Write `output` (HTML) and, beside it, figures/, summary.md and provenance.json.

    Parameters
    ----------
    run : path
        Folder of the run's results.
    sheet : DataFrame
        From `read_sheet`.
    config : Config
    output : path
    """
    material = RunResults(run, sheet, config)
    views = material.views()
    pictures = gallery(views, material.rows["sample"], output)
    shown = _charts(material, pictures)
    provenance = material.provenance()
    with atomic_folder(output.parent / "figures", "training") as folder:
        draw_examples(folder, run, views, material.rows, material.metric)
        _draw_charts(folder, shown)
        write_text(output, _render(material, views, pictures, shown, _embedded(folder), provenance))
    write_text(output.parent / "summary.md", render_markdown(run, sheet, config, material.summary, material.said))
    write_text(output.parent / "provenance.json", json.dumps(provenance, indent=1) + "\n")


def _charts(material: RunResults, pictures: dict[str, dict]) -> dict[str, dict[str, Chart]]:
    """All charts, by section and name."""
    rows, metric = material.rows, material.metric
    measured = ("sample", "grey_value", "contrast")
    known = [{"sample": sample, **entry} for sample, entry in pictures.items() if "picture" in entry]
    known = rows.merge(pd.DataFrame(known, columns=measured), "left", on="sample")
    if "foreground" in material.facts:
        known = known.merge(material.facts[["sample", "foreground"]], "left", on="sample")
    parameters = material.first_models("instances.json")
    return numbered({
        "scores": [
            charts.spread_of_images(rows, material.summary, metric),
            charts.scores_over_thresholds(material.summary) if about(material.config, ["ap_0.50"]) else None,
        ],
        "properties": charts.score_over_properties(known, metric),
        "training": [charts.learning_curves(material.histories)],
        "calibration": [charts.reliability_diagram(parameters), *charts.sensitivity(parameters)],
    })  # fmt: skip


def _draw_charts(folder: Path, shown: dict[str, dict[str, Chart]]) -> None:
    """As PNG files, for Snakemake's own report."""
    for group, made in shown.items():
        (folder / group).mkdir(exist_ok=True)
        for chart in made.values():
            name = "-".join("".join(c if c.isalnum() else " " for c in chart.title).lower().split())
            (folder / group / f"{name}.png").write_bytes(chart.png())


def _embedded(folder: Path) -> dict[str, str]:
    """Figures of examples as data URLs, as JPEG to keep the page small."""
    urls = {}
    for path in (*folder.glob("training/[aw]*.png"), *folder.glob("images/comparison.png")):
        stream = io.BytesIO()
        Image.open(path).convert("RGB").save(stream, format="JPEG", quality=85)
        urls[path.stem] = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
    return urls


def _render(
    material: RunResults, views: Views, pictures: dict, shown: dict, figures: dict[str, str], provenance: dict
) -> str:
    """The page as HTML; all text from files is escaped."""
    sections = {
        "verdict": "Verdict", "images": "Images", "scores": "Scores",
        "comparison": "Comparison" if len(material.networks) > 1 else "Network", "training": "Training",
        **({"calibration": "Calibration"} if shown["calibration"] else {}), "data": "Data", "provenance": "Provenance",
        "cite": "Cite",
    }  # fmt: skip
    said = verdict(material.rows, material.summary, material.networks, material.config, material.metric)
    return render(
        "report.html.j2", shown, **_of_verdict(material), **_of_tables(material),
        **_of_citing(material, provenance, said["trained"]), name=material.config.name,
        layers=LAYERS, ranking=material.metric, sections=sections, verdict=said, kinds=KINDS, figures=figures,
        volumes=views.dims == 3, classes=class_colours(views), gallery=pictures,
        unpictured=len(set(material.rows["sample"]) - set(pictures)),
        parameters=material.first_models("instances.json"),
    )  # fmt: skip


def _of_verdict(material: RunResults) -> dict:
    """What stands at the top: the part of the images that tells most, and what is not as it should be."""
    rows, metric = material.rows, material.metric
    best = headline_part(material.summary, metric) or {"experiment": None, "subset": None}
    part = [p for p in material.parts if (p["experiment"], p["subset"]) == (best["experiment"], best["subset"])]
    of_part = rows[(rows["experiment"] == best["experiment"]) & (rows["subset"] == best["subset"])]
    states = {state: int((rows["state"] == state).sum()) for state in STATES if state != "scored"}
    return {
        "best": part[0] if part else None,
        "cards": dict.fromkeys((metric, *class_scores(material.config), *about(material.config, CARDS))),
        "strip": ranked(of_part, metric),
        "states": {state: number for state, number in states.items() if number},
    }


def _of_tables(material: RunResults) -> dict:
    """Rows and columns of all tables."""
    rows, metric = material.rows, material.metric
    there = set(material.summary["metric"])
    wanted = dict.fromkeys((metric, *class_scores(material.config), *about(material.config, SHOWN)))
    shown = [name for name in wanted if name in there]
    return {
        "images": rows.to_dict("records"),
        "choices": {name: list(dict.fromkeys(rows[name])) for name in ("subset", "experiment", "state")},
        "parts": material.parts,
        "shown": shown,
        "lower": [name for name in shown if lower_is_better(name)],
        "comparison": material.comparison,
        "pairs": material.pairs.to_dict("records"),
        "said": material.said,
        "spread": material.spread,
        "compared": [name for name in SCORES if name in there],
        "measures": MEASURES,
        "facts": material.facts.to_dict("records"),
        "subsets": material.sheet["subset"].value_counts().to_dict(),
    }


def _of_citing(material: RunResults, provenance: dict, trained: str) -> dict:
    """How the run came to be, and what to say of it elsewhere."""
    models, packages = material.first_models("model.json"), provenance["packages"]
    return {
        "provenance": provenance,
        "settings": json.dumps(asdict(material.config), indent=1),
        "methods": methods(models, material.networks, material.config, packages, trained),
        "works": works(models, material.config, material.metric),
    }
