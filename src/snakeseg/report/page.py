"""Write the results of a run as one self-contained page, with its figures and its provenance."""

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from PIL import Image

from snakeseg.evaluation.summary import lower_is_better
from snakeseg.io.files import atomic_folder, write_text
from snakeseg.report import charts
from snakeseg.report.chart import Chart
from snakeseg.report.citation import works_to_cite
from snakeseg.report.comparison import COMPARED_SCORES, MEASURES
from snakeseg.report.images.examples import draw_examples, rank_images
from snakeseg.report.images.gallery import class_colours, gallery
from snakeseg.report.images.views import KINDS, Views
from snakeseg.report.markdown import render_markdown
from snakeseg.report.methods import describe_objects, methods_paragraph
from snakeseg.report.run_results import RunResults
from snakeseg.report.tables import COUNTS, SCORE_COLUMNS, STATES, applicable_scores, class_scores, count_nothing
from snakeseg.report.templating import number_charts, render
from snakeseg.report.used_settings import used_settings
from snakeseg.report.verdict import describe_training, headline_part, mean_score, verdict
from snakeseg.settings import Config

# Names of the viewer's layers, by layer, from bottom to top.
LAYERS = {layer: layer.capitalize() for layer in ("image", "truth", "prediction", "errors")}
# Scores on the cards at the top of the page.
CARD_SCORES = ("ap_0.50", "ap_0.75", "dice", "pixel_error", "adapted_rand_error", "hd95")


def write_report(run: Path, sheet: pd.DataFrame, config: Config, output: Path) -> None:
    """Write the report page and, beside it, figures/, summary.md and provenance.json.

    Parameters
    ----------
    run : path
        Folder of the run's results.
    sheet : DataFrame
        The sample sheet, from `read_sheet`.
    config : Config
        The config of the run.
    output : path
        The HTML file to write.

    Raises
    ------
    OSError
        If a file of the run or of the sheet is missing.
    BadInput
        If an example image cannot be read.
    """
    results = RunResults(run, sheet, config)
    views = results.views()
    pictures = gallery(views, results.rows["sample"], output)
    drawn = _make_charts(results, pictures)
    provenance = results.provenance()
    with atomic_folder(output.parent / "figures", "training") as folder:
        draw_examples(folder, results.example_stores(), views, results.rows, results.metric)
        _draw_charts(folder, drawn)
        write_text(output, _render(results, views, pictures, drawn, _embed_figures(folder), provenance))
    nothing = count_nothing(results.rows)
    notes = render_markdown(run, sheet, config, results.summary, results.notes, nothing)
    write_text(output.parent / "summary.md", notes)
    write_text(output.parent / "provenance.json", json.dumps(provenance, indent=1) + "\n")


def _make_charts(results: RunResults, pictures: dict[str, dict]) -> dict[str, dict[str, Chart]]:
    """Return all charts, by section and by the chart's id."""
    rows, metric = results.rows, results.metric
    columns = ("sample", "mean_intensity", "contrast")
    measured = [{"sample": sample, **entry} for sample, entry in pictures.items() if "picture" in entry]
    properties = rows.merge(pd.DataFrame(measured, columns=columns), "left", on="sample")
    if "foreground" in results.facts:
        properties = properties.merge(results.facts[["sample", "foreground"]], "left", on="sample")
    parameters = results.first_models("instances.json")
    has_objects = bool(applicable_scores(results.config, ["ap_0.50"]))
    return number_charts({
        "scores": [
            charts.spread_of_images(rows, results.summary, metric),
            charts.scores_over_thresholds(results.summary) if has_objects else None,
        ],
        "properties": charts.score_over_properties(properties, metric),
        "training": [charts.learning_curves(results.histories)],
        "calibration": [charts.reliability_diagram(parameters), *charts.sensitivity(parameters)],
    })  # fmt: skip


def _draw_charts(folder: Path, drawn: dict[str, dict[str, Chart]]) -> None:
    """Write all charts as PNG files, for Snakemake's own report."""
    for section, section_charts in drawn.items():
        (folder / section).mkdir(exist_ok=True)
        for chart in section_charts.values():
            name = "-".join("".join(c if c.isalnum() else " " for c in chart.title).lower().split())
            (folder / section / f"{name}.png").write_bytes(chart.png())


def _embed_figures(folder: Path) -> dict[str, str]:
    """Return the figures of example images as data URLs, in JPEG to keep the page small."""
    urls = {}
    for path in (*folder.glob("training/[aw]*.png"), *folder.glob("images/comparison.png")):
        stream = io.BytesIO()
        Image.open(path).convert("RGB").save(stream, format="JPEG", quality=85)
        urls[path.stem] = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
    return urls


def _render(
    results: RunResults, views: Views, pictures: dict, drawn: dict, figures: dict[str, str], provenance: dict
) -> str:
    """Return the page as HTML; text from files is escaped."""
    sections = {
        "verdict": "Verdict", "images": "Every image", "scores": "Scores",
        "comparison": "Comparison" if len(results.networks) > 1 else "Network", "training": "Training",
        **({"calibration": "Probabilities and thresholds"} if drawn["calibration"] else {}),
        "data": "Data", "provenance": "Provenance",
        "cite": "How to cite",
    }  # fmt: skip
    config, choices = results.config, results.choices
    total = int((results.sheet["subset"] == "train").sum())
    trained = describe_training(results.networks, config, results.trained, total)
    sentences = {"trained": trained, **verdict(results.rows, results.summary, results.metric, choices)}
    return render(
        "report.html.j2", drawn, **_verdict_values(results), **_table_values(results), **_training_values(results),
        **_citation_values(results, provenance, trained), name=results.config.name,
        layers=LAYERS, ranking=results.metric, sections=sections, verdict=sentences, kinds=KINDS, figures=figures,
        volumes=views.dims == 3, classes=class_colours(views), gallery=pictures,
        unpictured=len(set(results.rows["sample"]) - set(pictures)),
        parameters=results.first_models("instances.json"), optimism=choices.sentences(),
        describe_objects=describe_objects,
    )  # fmt: skip


def _verdict_values(results: RunResults) -> dict:
    """Return the template's values for the verdict: the headline scores, their images, the number of failures."""
    rows, metric = results.rows, results.metric
    headline = headline_part(results.summary, metric) or {"experiment": None, "subset": None}
    key = (headline["experiment"], headline["subset"])
    parts = [part for part in results.parts if (part["experiment"], part["subset"]) == key]
    own_rows = rows[(rows["experiment"] == key[0]) & (rows["subset"] == key[1])]
    states = {state: int((rows["state"] == state).sum()) for state in STATES if state != "scored"}
    names = (metric, *class_scores(results.config), *applicable_scores(results.config, CARD_SCORES))
    return {
        "best": parts[0] if parts else None,
        "cards": dict.fromkeys(names),
        "strip": rank_images(own_rows, metric),
        "states": {state: number for state, number in states.items() if number},
    }


def _table_values(results: RunResults) -> dict:
    """Return the template's values for all tables: their rows and columns."""
    rows, metric = results.rows, results.metric
    computed = set(results.summary["metric"])
    wanted = (metric, *class_scores(results.config), *applicable_scores(results.config, SCORE_COLUMNS))
    shown = [name for name in dict.fromkeys(wanted) if name in computed]
    return {
        "images": rows.to_dict("records"),
        "choices": {name: list(dict.fromkeys(rows[name])) for name in ("subset", "experiment", "state")},
        "parts": results.parts,
        "nothing": count_nothing(rows),
        "shown": shown,
        "counts": COUNTS,
        "lower": [name for name in shown if lower_is_better(name)],
        "comparison": results.comparison,
        "pairs": results.pairs.to_dict("records"),
        "pair_sentences": results.pair_sentences,
        "spread": results.spread,
        "compared": [name for name in COMPARED_SCORES if name in computed],
        "measures": MEASURES,
        "facts": results.facts.loc[:, ~results.facts.columns.str.startswith("target_")].to_dict("records"),
        "subsets": results.sheet["subset"].value_counts().to_dict(),
    }


def _training_values(results: RunResults) -> dict:
    """Return the page template's variables for the texts about copies and weight maps: what any experiment used."""
    models = results.first_models("model.json")
    used = [used_settings(name, model, results.config) for name, model in models.items()]
    return {
        "has_copies": any(settings.has_copies for settings in used),
        "has_border_term": any(settings.is_weighted_towards_borders for settings in used),
    }


def _citation_values(results: RunResults, provenance: dict, trained: str) -> dict:
    """Return the page template's variables for the sections on provenance, methods and references."""
    models, packages = results.first_models("model.json"), provenance["packages"]
    paragraph = methods_paragraph(models, results.networks, results.config, packages, trained)
    return {
        "provenance": provenance,
        "settings": json.dumps(asdict(results.config), indent=1),
        "methods": " ".join([paragraph, *_object_sentences(results), *_score_sentences(results)]),
        "works": works_to_cite(models, results.config, results.metric),
    }


def _object_sentences(results: RunResults) -> Iterator[str]:
    """Yield sentences on how objects, or classes, were made from probabilities; one for each choice of settings."""
    if results.config.labels.kind == "semantic":
        yield "Each pixel got its most probable class. Pieces of classes to keep were chosen on the validation images."
    tuned = {name: values for name, values in results.first_models("instances.json").items() if values["chosen"]}
    texts = {name: describe_objects(values["chosen"]) for name, values in tuned.items()}
    names = {text: ", ".join(name for name in texts if texts[name] == text) for text in texts.values()}
    for text, experiments in names.items():
        of = f" of {experiments}" if len(names) > 1 else ""
        yield f"Objects{of} were made from probabilities with settings chosen on the validation images: {text}."


def _score_sentences(results: RunResults) -> Iterator[str]:
    """Yield the sentence with the mean score of the best experiment, if any image has a score."""
    if headline := headline_part(results.summary, results.metric):
        yield mean_score(headline, results.metric, len(results.networks), results.choices)
