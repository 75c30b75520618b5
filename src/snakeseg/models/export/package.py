"""Export one model as a package: weights in a format, with README and metadata, as a folder or a zip."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from snakeseg.errors import BadInput
from snakeseg.io.archives import write_package
from snakeseg.io.files import atomic_folder
from snakeseg.models.export import bioimageio, monai_bundle
from snakeseg.models.export.graphs import write_onnx, write_torchscript
from snakeseg.models.export.metadata import readme
from snakeseg.models.export.tested_model import Model, read_model
from snakeseg.settings import Export


class Format(NamedTuple):
    """An export format.

    Parameters
    ----------
    write : function
        Writes the weights and the format's metadata of a `Model` into a folder.
    requirements : dict
        Python modules that `write` needs, and the package that provides each.
    """

    write: Callable[[Model, Path], None]
    requirements: dict[str, str]


def export(folder: Path, kind: str, output: Path, settings: Export, scores: pd.DataFrame | None, skip: bool) -> None:
    """Export a model as a package.

    Parameters
    ----------
    folder : path
        Model folder.
    kind : str
        A key of `PACKAGE_FORMATS`.
    output : path
        A new folder, or a file that ends in .zip.
    settings : Export
    scores : DataFrame, optional
        Scores of held-out images, from `snakeseg.evaluation.summary.summarise`.
    skip : bool
        Skip the golden check.

    Raises
    ------
    BadInput
        If a library is missing, the model is invalid or fails its golden check, the output folder exists, or the
        package fails its test.
    """
    package_format = PACKAGE_FORMATS[kind]
    missing = [package for module, package in package_format.requirements.items() if not _is_installed(module)]
    if missing:
        remedy = f"pip install {' '.join(missing)}"
        expected = "the libraries that write and test this format"
        raise BadInput(f"--format {kind}", f"no {', '.join(missing)}", expected, remedy)
    model = read_model(folder, settings, scores, skip)
    about = json.dumps(model.about, indent=1) + "\n"
    with _package_folder(output) as staging:
        for name, text in (("README.md", readme(model.about)), ("about.json", about)):
            (staging / name).write_text(text, encoding="utf-8")
        package_format.write(model, staging)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is missing
        return False


@contextmanager
def _package_folder(output: Path) -> Iterator[Path]:
    """Provide a folder to fill, which becomes the output, or its content if the output is a zip."""
    if output.suffix == ".zip":
        with tempfile.TemporaryDirectory(prefix="snakeseg-") as staging:
            yield Path(staging)
            write_package(Path(staging), output)
        return
    if output.exists():
        expected = "the name of a new folder, or of a zip"
        raise BadInput(output, "an existing file or folder", expected, "remove it, or give another name: -o NAME")
    with atomic_folder(output) as staging:
        yield staging


def _onnx(model: Model, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        traced = write_torchscript(Path(scratch, "model.ts"), model.network, model.inputs)
    notes = {"snakeseg": json.dumps(model.about)}
    write_onnx(folder / "model.onnx", traced, model.network, model.inputs, notes)
    _write_golden(model, folder)


def _torchscript(model: Model, folder: Path) -> None:
    write_torchscript(folder / "model.ts", model.network, model.inputs)
    _write_golden(model, folder)


def _write_golden(model: Model, folder: Path) -> None:
    """Write test input and output as NumPy arrays, shape (1, channels or classes, *spatial)."""
    np.save(folder / "test-input.npy", model.golden.input[None])
    with torch.inference_mode():
        np.save(folder / "test-output.npy", model.network(model.inputs[0]).numpy())


_ONNX = {"onnx": "onnx", "onnxruntime": "onnxruntime"}
PACKAGE_FORMATS = {
    "bioimageio": Format(
        bioimageio.write_bioimageio,
        {**_ONNX, "bioimageio.spec": "bioimageio.spec", "bioimageio.core": "bioimageio.core"},
    ),
    "onnx": Format(_onnx, _ONNX),
    "torchscript": Format(_torchscript, {}),
    "monai": Format(monai_bundle.write_monai_bundle, {}),
}
