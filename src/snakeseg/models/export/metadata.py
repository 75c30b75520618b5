"""What goes with exported weights: what they take and give, settings, scores, origin; for programs and in words."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from snakeseg import __version__
from snakeseg.io.files import checksum
from snakeseg.models.description import DESCRIPTION, PARAMETERS, WEIGHTS, Description
from snakeseg.models.export.graphs import AXES
from snakeseg.networks.geometry import Geometry, along_axes
from snakeseg.settings import Export

GREY = {
    "percentile": "each channel: (value - p) / (q - p), with the percentiles p ({low:g}) and q ({high:g}) of {scope}"
    " (if they are equal, its largest value in place of q)",
    "zscore": "each channel: (value - mean) / standard deviation of {scope}",
    "none": "none: grey values as they are in the files",
}
SCOPES = {"image": "the whole image", "dataset": "the training images, on average"}


def about(folder: Path, description: Description, settings: Export, scores: pd.DataFrame | None) -> dict:
    """All that is known of a model, as JSON.

    Parameters
    ----------
    folder : path
        Of the model.
    description : Description
    settings : Export
    scores : DataFrame, optional
        As from `summarise`, of images that it was not trained on.
    """
    parameters = folder / PARAMETERS
    return {
        "title": settings.title or _title(description),
        "description": settings.description or _sentence(description),
        "licence": settings.licence,
        "authors": settings.authors,
        "cite": settings.cite,
        "snakeseg": __version__,
        "input": {
            "axes": ["batch", "channel", *AXES[description.dims]],
            "channels": description.channels,
            "pixel_size": description.spacing,
            "normalise": grey_words(description),
            "statistics": description.statistics,
        },
        "output": {"axes": ["batch", "class", *AXES[description.dims]], "classes": class_names(description)},
        "geometry": asdict(description.geometry),
        "average": {**asdict(description.averaged), "scales": description.predict.scales},
        "model": json.loads((folder / DESCRIPTION).read_text(encoding="utf-8")),
        "instances": json.loads(parameters.read_text(encoding="utf-8")) if parameters.is_file() else None,
        "scores": None if scores is None else json.loads(scores.to_json(orient="records")),
        "weights": checksum(folder / WEIGHTS),
    }


def class_names(description: Description) -> list[str]:
    """In the order of the output's channels; the edge of objects, where that was learnt, comes last."""
    return [*description.labels.classes, *["edge"] * (description.network.border > 0)]


def grey_words(description: Description) -> str:
    """How grey values are normalised before they reach the network."""
    of = description.prepare
    scope = SCOPES[of.scope] + " without the plain edge around what it shows" * (of.crop and of.scope == "image")
    return GREY[of.normalise].format(low=of.low, high=of.high, scope=scope)


def _title(description: Description) -> str:
    text = f"SnakeSeg {description.network.name} {description.dims}D ({' '.join(description.labels.classes[1:])})"
    return re.sub(r"[^A-Za-z0-9_+ ()-]", "-", text)[:64]


def _sentence(description: Description) -> str:
    classes = ", ".join(class_names(description))
    return (
        f"A {description.network.name} for {description.dims}D images, trained with SnakeSeg to tell apart: {classes}."
    )


def readme(told: dict) -> str:
    """The page of a package, in Markdown."""
    return "\n".join(
        [f"# {told['title']}", "", told["description"], "", *_use(told), *_validation(told), *_origin(told)]
    )


def _use(told: dict) -> Iterator[str]:
    geometry, given = Geometry(**told["geometry"]), told["input"]
    size = " x ".join(f"{side:g}" for side in given["pixel_size"] or []) or "unknown size"
    numbers = f" They are: `{json.dumps(given['statistics'])}`." if given["statistics"] else ""
    answer = "as large as the input; crop" if geometry.padded else "smaller than the input by"
    tiles = (
        "then they equal one pass over the whole" if geometry.tile_exact else "blend them, as this network sees tiles"
    )
    yield from ("## Input and output", "")
    yield f"- Input: float32, axes {', '.join(given['axes'])}; {given['channels']} channel(s)."
    yield f"- Pixels: {size}, in the unit of the training images' files (1 where they name none)."
    yield f"- Normalisation, before the network: {given['normalise']}.{numbers}"
    least, step = along_axes(geometry.input_size(1)), along_axes(geometry.multiple)
    yield f"- Sides of the network's input: {least}, and any multiple of {step} more."
    yield f"- Output: float32, probabilities of {', '.join(told['output']['classes'])};"
    yield f"  {answer} {along_axes(geometry.halo)} pixels on every side."
    yield "- Tiles: mirror the image outwards at its border pixels, and"
    yield f"  let tiles start at multiples of {step} pixels; {tiles}."
    average = told["average"]
    if average["flips"] or average["plane"] or average["scales"] != [1.0]:
        yield "- SnakeSeg averages over flips along axes, exchanges of two (`plane`), magnifications (`scales`):"
        yield f"  `{json.dumps(average)}`."
    if told["instances"]:
        yield "- How SnakeSeg cuts objects out of probabilities, or which pieces of classes it keeps:"
        yield "  `instances` in about.json."
    yield from ("", "SnakeSeg reads a package for bioimage.io: `snakeseg predict PACKAGE.zip IMAGES... -o FOLDER`.", "")


def _validation(told: dict) -> Iterator[str]:
    yield from ("## Validation", "")
    if not told["scores"]:
        yield from ("No scores were given on exporting.", "")
        return
    yield from ("On images that this model was not trained on; means over images.", "")
    yield from ("| score | mean | 95 % interval | images |", "|---|---|---|---|")
    for row in told["scores"]:
        if row.get("headline") and row["mean"] is not None:
            ends = [f"{row[end]:.4g}" for end in ("low", "high") if row[end] is not None]
            yield f"| {row['metric']} | {row['mean']:.4g} | {' to '.join(ends)} | {row['n']} |"
    yield from (
        "",
        "All scores: about.json. A model is only as good as this on images like those it was trained on.",
        "",
    )


def _origin(told: dict) -> Iterator[str]:
    provenance = told["model"].get("provenance", {})
    yield from ("## Origin", "", f"- SnakeSeg {told['snakeseg']}, network `{json.dumps(told['model']['network'])}`.")
    if "train" in provenance:
        train = provenance["train"]
        yield f"- Trained for {train['steps']} steps, fold {provenance.get('fold')}; all settings: about.json."
    yield f"- Weights: SHA-256 {told['weights']}."
    yield f"- Authors: {', '.join(told['authors']) or 'not named'}. Licence: {told['licence'] or 'not named'}."
    yield from (f"- Cite: {entry}" for entry in told["cite"])
    yield ""
