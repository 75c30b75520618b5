"""Describe an exported model: input, output, settings, scores and origin, as JSON and as a README."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from snakeseg import __version__
from snakeseg.io.files import checksum
from snakeseg.models.description import DESCRIPTION, PARAMETERS, WEIGHTS, Description
from snakeseg.models.export.graphs import DYNAMIC_AXES
from snakeseg.networks.geometry import Geometry, along_axes
from snakeseg.settings import Export

# Description of each `prepare.normalise`, and of each `prepare.scope`.
INTENSITY_SENTENCES = {
    "percentile": "each channel: (value - p) / (q - p), with the percentiles p ({low:g}) and q ({high:g}) of {scope}"
    " (if they are equal, q is the maximum)",
    "zscore": "each channel: (value - mean) / standard deviation of {scope}",
    "none": "none: intensities as in the files",
}
SCOPES = {"image": "the whole image", "dataset": "the training images, on average"}


def describe_model(folder: Path, description: Description, settings: Export, scores: pd.DataFrame | None) -> dict:
    """Collect all information on a model: the content of about.json.

    Parameters
    ----------
    folder : path
        Model folder.
    description : Description
    settings : Export
    scores : DataFrame, optional
        Scores of held-out images, from `snakeseg.evaluation.summary.summarise`.

    Returns
    -------
    dict
        JSON types only.
    """
    return {
        "title": settings.title or _title(description),
        "description": settings.description or _sentence(description),
        "licence": settings.licence,
        "authors": settings.authors,
        "cite": settings.cite,
        "snakeseg": __version__,
        "input": {
            "axes": ["batch", "channel", *DYNAMIC_AXES[description.dims]],
            "channels": description.channels,
            "pixel_size": description.spacing,
            "normalise": describe_normalisation(description),
            "statistics": description.statistics,
        },
        "output": {"axes": ["batch", "class", *DYNAMIC_AXES[description.dims]], "classes": class_names(description)},
        "geometry": asdict(description.geometry),
        "average": {**asdict(description.averaged), "scales": description.predict.scales},
        "model": json.loads((folder / DESCRIPTION).read_text(encoding="utf-8")),
        "instances": shared_parameters(folder),
        "scores": None if scores is None else json.loads(scores.to_json(orient="records")),
        "weights": checksum(folder / WEIGHTS),
    }


def shared_parameters(folder: Path) -> dict | None:
    """Read `instances.json` without its section on held-out images, whose names may not be meant for others.

    Parameters
    ----------
    folder : path
        Model folder.

    Returns
    -------
    dict or None
        None if there is no such file.
    """
    path = folder / PARAMETERS
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    return {key: value for key, value in content.items() if key != "cross_fitted"}


def class_names(description: Description) -> list[str]:
    """Return the class names in the order of the output channels; the border class, if there is one, is last."""
    return [*description.labels.classes, *["edge"] * (description.network.border > 0)]


def describe_normalisation(description: Description) -> str:
    """Describe in words how intensities are normalised for the network."""
    prepare = description.prepare
    is_cropped = prepare.crop and prepare.scope == "image"
    scope = SCOPES[prepare.scope] + " without its uniform margin" * is_cropped
    return INTENSITY_SENTENCES[prepare.normalise].format(low=prepare.low, high=prepare.high, scope=scope)


def _title(description: Description) -> str:
    text = f"SnakeSeg {description.network.name} {description.dims}D ({' '.join(description.labels.classes[1:])})"
    return re.sub(r"[^A-Za-z0-9_+ ()-]", "-", text)[:64]


def _sentence(description: Description) -> str:
    classes = ", ".join(class_names(description))
    return f"A {description.network.name} for {description.dims}D images, trained with SnakeSeg to segment: {classes}."


def readme(about: dict) -> str:
    """Return the README of a package, as Markdown.

    Parameters
    ----------
    about : dict
        From `describe_model`.
    """
    return "\n".join(
        [f"# {about['title']}", "", about["description"], "", *_usage(about), *_validation(about), *_origin(about)]
    )


def _usage(about: dict) -> Iterator[str]:
    geometry, network_input = Geometry(**about["geometry"]), about["input"]
    size = " x ".join(f"{side:g}" for side in network_input["pixel_size"] or []) or "unknown"
    numbers = f" Their values: `{json.dumps(network_input['statistics'])}`." if network_input["statistics"] else ""
    extent = "as large as the input; crop" if geometry.padded else "smaller than the input by"
    tiles = (
        "the result then equals that on the whole image"
        if geometry.tile_exact
        else "blend them, since the output of this network depends on the position of tiles"
    )
    yield from ("## Input and output", "")
    yield f"- Input: float32, axes {', '.join(network_input['axes'])}; {network_input['channels']} channel(s)."
    yield f"- Pixel size: {size}, in the unit of the training images' files (1 if they state none)."
    yield f"- Normalisation before the network: {network_input['normalise']}.{numbers}"
    smallest, step = along_axes(geometry.input_size(1)), along_axes(geometry.multiple)
    yield f"- Side lengths of the network's input, in pixels: {smallest}, and any multiple of {step} more."
    yield f"- Output: float32, probabilities of {', '.join(about['output']['classes'])};"
    yield f"  {extent} {along_axes(geometry.halo)} pixels on every side."
    yield "- Tiles: extend the image by mirroring at its border pixels, and"
    yield f"  start tiles at multiples of {step} pixels; {tiles}."
    average = about["average"]
    if average["flips"] or average["plane"] or average["scales"] != [1.0]:
        yield "- Test-time augmentation of SnakeSeg: mean over flips along axes (`flips`), transpositions of two axes"
        yield f"  (`plane`) and magnifications (`scales`): `{json.dumps(average)}`."
    if about["instances"]:
        yield "- Parameters of SnakeSeg for the segmentation of objects, or for the filter of class components:"
        yield "  `instances` in about.json."
    yield from ("", "SnakeSeg reads a package for bioimage.io: `snakeseg predict PACKAGE.zip IMAGES... -o FOLDER`.", "")


def _validation(about: dict) -> Iterator[str]:
    yield from ("## Validation", "")
    if not about["scores"]:
        yield from ("This package has no scores: it was exported without `--scores`.", "")
        return
    yield from ("Means over held-out images, which were not used to train this model.", "")
    if about["model"].get("provenance", {}).get("train", {}).get("select") == "best":
        yield "If these are validation images, up to eight of them selected the weights (`train.select: best`), which"
        yield from ("makes the scores optimistic.", "")
    yield from ("| score | mean | 95 % interval | images |", "|---|---|---|---|")
    for row in about["scores"]:
        if row.get("headline") and row["mean"] is not None:
            ends = [f"{row[end]:.4g}" for end in ("low", "high") if row[end] is not None]
            yield f"| {row['metric']} | {row['mean']:.4g} | {' to '.join(ends)} | {row['n']} |"
    yield from (
        "",
        "All scores: about.json. Expect these scores only on images similar to the training images.",
        "",
    )


def _origin(about: dict) -> Iterator[str]:
    provenance = about["model"].get("provenance", {})
    yield from ("## Origin", "", f"- SnakeSeg {about['snakeseg']}, network `{json.dumps(about['model']['network'])}`.")
    if "train" in provenance:
        train = provenance["train"]
        yield f"- Trained for {train['steps']} steps, fold {provenance.get('fold')}; all settings: about.json."
    yield f"- Weights: SHA-256 {about['weights']}."
    yield f"- Authors: {', '.join(about['authors']) or 'not stated'}. Licence: {about['licence'] or 'not stated'}."
    yield from (f"- Cite: {entry}" for entry in about["cite"])
    yield ""
