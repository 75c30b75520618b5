"""Write packages for bioimage.io: rdf.yaml of the model specification 0.5, tested with bioimage.io's own libraries."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import yaml

from snakeseg.arrays import read_mirrored
from snakeseg.errors import BadInput
from snakeseg.models.description import DESCRIPTION, PARAMETERS, WEIGHTS, Description
from snakeseg.models.export.graphs import DYNAMIC_AXES, INPUT, OPSET, OUTPUT, write_onnx, write_torchscript
from snakeseg.models.export.metadata import class_names
from snakeseg.models.export.tested_model import Model
from snakeseg.models.golden import write_golden
from snakeseg.transforms.normalise import normalise

TORCHSCRIPT, ONNX, RDF = "weights-torchscript.pt", "weights.onnx", "rdf.yaml"
DOI = re.compile(r"10\.\d{4,9}/[^\s,;]*[^\s,;.]")


def write_bioimageio(model: Model, folder: Path) -> None:
    """Write weights, test tensors and rdf.yaml into a folder that holds README.md and about.json, and test it.

    Parameters
    ----------
    model : Model
    folder : path

    Raises
    ------
    BadInput
        If the output of a weights file differs from that of the network, or bioimage.io's tests fail.
    """
    inputs = model.inputs
    traced = write_torchscript(folder / TORCHSCRIPT, model.network, inputs)
    write_onnx(folder / ONNX, traced, model.network, inputs, {"description": model.about["description"]})
    for name in (DESCRIPTION, WEIGHTS):
        shutil.copyfile(model.folder / name, folder / name)
    if model.about["instances"]:
        (folder / PARAMETERS).write_text(json.dumps(model.about["instances"], indent=1) + "\n", encoding="utf-8")
    write_golden(folder, model.golden)
    raw, expected = make_test_tensors(model)
    np.save(folder / "test-input.npy", raw)
    np.save(folder / "test-output.npy", expected)
    text = yaml.safe_dump(make_rdf(model, folder), sort_keys=False, allow_unicode=True)
    (folder / RDF).write_text(text, encoding="utf-8")
    require_passed(folder / RDF)


def make_test_tensors(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Make a test image before preprocessing, and compute its class probabilities.

    Parameters
    ----------
    model : Model

    Returns
    -------
    image : float32 array, shape (1, channels, *spatial)
    probabilities : float32 array, shape (1, classes, *output spatial)
    """
    description, golden = model.description, model.golden.input
    prepare, statistics, smallest = description.prepare, description.statistics, description.geometry.input_size(1)
    raw = read_mirrored(golden, [0] * description.dims, tuple(map(max, golden.shape[1:], smallest)))
    if prepare.scope == "dataset":
        column = (-1, *(1,) * description.dims)
        offset, scale = (np.reshape(statistics[key], column) for key in ("offset", "scale"))
        raw = (raw * scale + offset).astype(np.float32)
    normalised = normalise(raw, replace(prepare, crop=False), statistics)[:]  # a patch has no uniform margin to crop
    with torch.inference_mode():
        return raw[None], model.network(torch.from_numpy(normalised)[None]).numpy()


def make_rdf(model: Model, folder: Path) -> dict:
    """Make the content of rdf.yaml.

    Parameters
    ----------
    model : Model
    folder : path
        The package; its JSON, safetensors and TSV files are listed as attachments.
    """
    from bioimageio.spec.model.v0_5 import ModelDescr

    about, version = model.about, torch.__version__.split("+")[0]
    attachments = [path.name for path in sorted(folder.iterdir()) if path.suffix in (".json", ".safetensors", ".tsv")]
    timestamp = datetime.fromtimestamp((model.folder / WEIGHTS).stat().st_mtime, UTC)
    return {
        "type": "model",
        "format_version": ModelDescr.implemented_format_version,
        "name": about["title"],
        "description": about["description"],
        "timestamp": timestamp.isoformat(timespec="seconds"),
        "authors": [{"name": name} for name in about["authors"]],
        "cite": [_citation(entry) for entry in about["cite"]],
        **({"license": about["licence"]} if about["licence"] else {}),
        "tags": ["segmentation", model.description.network.name, f"{model.description.dims}d", "snakeseg"],
        "documentation": {"source": "README.md"},
        "attachments": [{"source": name} for name in attachments],
        "inputs": [_input(model.description)],
        "outputs": [_output(model.description)],
        "weights": {
            "torchscript": {"source": TORCHSCRIPT, "pytorch_version": version},
            "onnx": {"source": ONNX, "opset_version": OPSET, "parent": "torchscript"},
        },
        "config": {"snakeseg": {"geometry": about["geometry"], "classes": about["output"]["classes"]}},
    }


def _citation(entry: str) -> dict[str, str]:
    """Convert a citation to text with its DOI, or else its address."""
    match = DOI.search(entry)
    if match:
        return {"text": entry, "doi": match[0]}
    return {"text": entry, "url": re.search(r"https?://\S*", entry)[0]}


def _input(description: Description) -> dict:
    geometry = description.geometry
    sizes = zip(DYNAMIC_AXES[description.dims], geometry.input_size(1), geometry.multiple, strict=True)
    axes = [
        {"type": "space", "id": axis, "size": {"min": smallest, "step": step}, "concatenable": False}
        for axis, smallest, step in sizes
    ]
    channels = {"type": "channel", "channel_names": [f"channel{index}" for index in range(description.channels)]}
    return {
        "id": INPUT,
        "axes": [{"type": "batch"}, channels, *axes],
        "data": {"type": "float32"},
        "test_tensor": {"source": "test-input.npy"},
        "preprocessing": list(_preprocessing(description)),
    }


def _preprocessing(description: Description) -> Iterator[dict]:
    """Yield preprocessing steps that normalise as `snakeseg.transforms.normalise.normalise` does."""
    prepare, statistics, axes = description.prepare, description.statistics, list(DYNAMIC_AXES[description.dims])
    if prepare.normalise == "none":
        return
    if prepare.scope == "dataset":
        fixed = {"mean": statistics["offset"], "std": statistics["scale"], "axis": "channel"}
        yield {"id": "fixed_zero_mean_unit_variance", "kwargs": fixed}
    elif prepare.normalise == "zscore":
        yield {"id": "zero_mean_unit_variance", "kwargs": {"axes": axes}}
    else:
        percentiles = {"min_percentile": prepare.low, "max_percentile": prepare.high}
        yield {"id": "scale_range", "kwargs": {"axes": axes, **percentiles}}


def _output(description: Description) -> dict:
    """Describe the output; its margin is an offset if the network crops it, a halo if the user has to crop it."""
    geometry = description.geometry

    def axis(name: str, halo: int) -> dict:
        size = {"tensor_id": INPUT, "axis_id": name, "offset": 0 if geometry.padded else -2 * halo}
        return {"type": "space", "id": name, "size": size, **({"halo": halo} if geometry.padded else {})}

    axes = map(axis, DYNAMIC_AXES[description.dims], geometry.halo)
    return {
        "id": OUTPUT,
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": _identifiers(description)}, *axes],
        "data": {"type": "float32", "range": [0.0, 1.0]},
        "test_tensor": {"source": "test-output.npy"},
    }


def _identifiers(description: Description) -> list[str]:
    """Convert class names to unique Python identifiers, as the specification requires."""
    names = [re.sub(r"\W", "_", name, flags=re.ASCII) for name in class_names(description)]
    names = [name if name.isidentifier() else f"class_{name}" for name in names]
    return [name if names.count(name) == 1 else f"{name}_{index}" for index, name in enumerate(names)]


def require_passed(path: Path) -> None:
    """Validate an rdf.yaml and test its weights on its test tensors with bioimage.io's libraries.

    Raises
    ------
    BadInput
        If the validation or a test fails; the message lists the errors.
    """
    from bioimageio.core import test_description
    from loguru import logger

    logger.disable("bioimageio")
    summary = test_description(path, determinism="seed_only")
    if summary.status != "passed":
        errors = [f"{'.'.join(map(str, error.loc))}: {error.msg}" for part in summary.details for error in part.errors]
        remedy = "correct the section export of the config"
        raise BadInput(path, "; ".join(dict.fromkeys(errors))[:1000], "a description that bioimage.io accepts", remedy)
