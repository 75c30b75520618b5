"""Packages for bioimage.io: an rdf.yaml of the model specification 0.5, tested with bioimage.io's own libraries."""

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
from snakeseg.models.export.graphs import AXES, INPUT, OPSET, OUTPUT, write_onnx, write_torchscript
from snakeseg.models.export.metadata import class_names
from snakeseg.models.export.tested_model import Model
from snakeseg.models.golden import write_golden
from snakeseg.transforms.normalise import normalise

TORCHSCRIPT, ONNX, RDF = "weights-torchscript.pt", "weights.onnx", "rdf.yaml"
DOI = re.compile(r"10\.\d{4,9}/[^\s,;]*[^\s,;.]")


def fill(model: Model, folder: Path) -> None:
    """Write weights, test tensors and rdf.yaml into a folder that has README.md and about.json, and have it tested.

    Raises
    ------
    BadInput
        If the specification's own tests find something.
    """
    inputs = model.inputs
    traced = write_torchscript(folder / TORCHSCRIPT, model.network, inputs)
    write_onnx(folder / ONNX, traced, model.network, inputs, {"description": model.told["description"]})
    for name in (DESCRIPTION, WEIGHTS, PARAMETERS):
        if (model.folder / name).is_file():
            shutil.copyfile(model.folder / name, folder / name)
    write_golden(folder, model.golden)
    raw, expected = test_tensors(model)
    np.save(folder / "test-input.npy", raw)
    np.save(folder / "test-output.npy", expected)
    text = yaml.safe_dump(description(model, folder), sort_keys=False, allow_unicode=True)
    (folder / RDF).write_text(text, encoding="utf-8")
    require_passed(folder / RDF)


def test_tensors(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """An image as preprocessing takes it, and what the network answers to it, with an axis for the batch."""
    of, golden = model.description, model.golden.input
    prepare, statistics, least = of.prepare, of.statistics, of.geometry.input_size(1)
    raw = read_mirrored(golden, [0] * of.dims, tuple(map(max, golden.shape[1:], least)))
    if prepare.scope == "dataset":
        column = (-1, *(1,) * of.dims)
        offset, scale = (np.reshape(statistics[key], column) for key in ("offset", "scale"))
        raw = (raw * scale + offset).astype(np.float32)
    seen = normalise(raw, replace(prepare, crop=False), statistics)[:]  # a patch, which has no edge to leave out
    with torch.inference_mode():
        return raw[None], model.network(torch.from_numpy(seen)[None]).numpy()


def description(model: Model, folder: Path) -> dict:
    """What rdf.yaml says."""
    from bioimageio.spec.model.v0_5 import ModelDescr

    told, version = model.told, torch.__version__.split("+")[0]
    attached = [path.name for path in sorted(folder.iterdir()) if path.suffix in (".json", ".safetensors", ".tsv")]
    made = datetime.fromtimestamp((model.folder / WEIGHTS).stat().st_mtime, UTC)
    return {
        "type": "model",
        "format_version": ModelDescr.implemented_format_version,
        "name": told["title"],
        "description": told["description"],
        "timestamp": made.isoformat(timespec="seconds"),
        "authors": [{"name": name} for name in told["authors"]],
        "cite": [_citation(entry) for entry in told["cite"]],
        **({"license": told["licence"]} if told["licence"] else {}),
        "tags": ["segmentation", model.description.network.name, f"{model.description.dims}d", "snakeseg"],
        "documentation": {"source": "README.md"},
        "attachments": [{"source": name} for name in attached],
        "inputs": [_input(model.description)],
        "outputs": [_output(model.description)],
        "weights": {
            "torchscript": {"source": TORCHSCRIPT, "pytorch_version": version},
            "onnx": {"source": ONNX, "opset_version": OPSET, "parent": "torchscript"},
        },
        "config": {"snakeseg": {"geometry": told["geometry"], "classes": told["output"]["classes"]}},
    }


def _citation(entry: str) -> dict[str, str]:
    """With its DOI, or else its address."""
    found = DOI.search(entry)
    if found:
        return {"text": entry, "doi": found[0]}
    return {"text": entry, "url": re.search(r"https?://\S*", entry)[0]}


def _input(of: Description) -> dict:
    sizes = zip(AXES[of.dims], of.geometry.input_size(1), of.geometry.multiple, strict=True)
    axes = [
        {"type": "space", "id": axis, "size": {"min": least, "step": step}, "concatenable": False}
        for axis, least, step in sizes
    ]
    channels = {"type": "channel", "channel_names": [f"channel{index}" for index in range(of.channels)]}
    return {
        "id": INPUT,
        "axes": [{"type": "batch"}, channels, *axes],
        "data": {"type": "float32"},
        "test_tensor": {"source": "test-input.npy"},
        "preprocessing": list(_preprocessing(of)),
    }


def _preprocessing(of: Description) -> Iterator[dict]:
    """As in `transforms.normalise.normalise`, for each image and channel."""
    prepare, axes = of.prepare, list(AXES[of.dims])
    if prepare.normalise == "none":
        return
    if prepare.scope == "dataset":
        fixed = {"mean": of.statistics["offset"], "std": of.statistics["scale"], "axis": "channel"}
        yield {"id": "fixed_zero_mean_unit_variance", "kwargs": fixed}
    elif prepare.normalise == "zscore":
        yield {"id": "zero_mean_unit_variance", "kwargs": {"axes": axes}}
    else:
        ends = {"min_percentile": prepare.low, "max_percentile": prepare.high}
        yield {"id": "scale_range", "kwargs": {"axes": axes, **ends}}


def _output(of: Description) -> dict:
    """What a network crops itself is an offset; what is to be cropped of a padded one's answer is a halo."""
    geometry = of.geometry

    def axis(name: str, halo: int) -> dict:
        size = {"tensor_id": INPUT, "axis_id": name, "offset": 0 if geometry.padded else -2 * halo}
        return {"type": "space", "id": name, "size": size, **({"halo": halo} if geometry.padded else {})}

    axes = map(axis, AXES[of.dims], geometry.halo)
    return {
        "id": OUTPUT,
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": _identifiers(of)}, *axes],
        "data": {"type": "float32", "range": [0.0, 1.0]},
        "test_tensor": {"source": "test-output.npy"},
    }


def _identifiers(of: Description) -> list[str]:
    """Class names as the specification allows them: Python's identifiers, each once."""
    names = [re.sub(r"\W", "_", name, flags=re.ASCII) for name in class_names(of)]
    names = [name if name.isidentifier() else f"class_{name}" for name in names]
    return [name if names.count(name) == 1 else f"{name}_{index}" for index, name in enumerate(names)]


def require_passed(path: Path) -> None:
    """Let bioimage.io's libraries validate a description and test its weights with its own tensors.

    Raises
    ------
    BadInput
        With what they found.
    """
    from bioimageio.core import test_description
    from loguru import logger

    logger.disable("bioimageio")
    summary = test_description(path, determinism="seed_only")
    if summary.status != "passed":
        errors = [f"{'.'.join(map(str, error.loc))}: {error.msg}" for part in summary.details for error in part.errors]
        raise BadInput(
            path, "; ".join(dict.fromkeys(errors))[:1000], "a description that bioimage.io takes", "correct export"
        )
