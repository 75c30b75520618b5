"""One model into one package: weights in some format, with all that goes with them, as a folder or a zip."""

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
    """`fill(model, folder)` writes the weights and what describes them; modules and the packages that they are in."""

    fill: Callable[[Model, Path], None]
    needs: dict[str, str]


def export(folder: Path, kind: str, output: Path, settings: Export, scores: pd.DataFrame | None, skip: bool) -> None:
    """Write a package.

    Parameters
    ----------
    folder : path
        Of a model.
    kind : str
        One of `FORMATS`.
    output : path
        A new folder, or a file that ends in .zip.
    settings : Export
    scores : DataFrame, optional
        As from `summarise`.
    skip : bool
        The golden check.

    Raises
    ------
    BadInput
        If a library is missing, the model is not as it should be, the output is there, or the package fails a test.
    """
    made = FORMATS[kind]
    missing = [package for module, package in made.needs.items() if not _is_there(module)]
    if missing:
        remedy = f"pip install {' '.join(missing)}"
        raise BadInput(f"--format {kind}", f"no {', '.join(missing)}", "what writes and tests it", remedy)
    model = read_model(folder, settings, scores, skip)
    with _written(output) as staging:
        for name, text in (("README.md", readme(model.told)), ("about.json", json.dumps(model.told, indent=1) + "\n")):
            (staging / name).write_text(text, encoding="utf-8")
        made.fill(model, staging)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False


@contextmanager
def _written(output: Path) -> Iterator[Path]:
    """A folder to fill, which becomes the output, zipped if that is to be a zip."""
    if output.suffix == ".zip":
        with tempfile.TemporaryDirectory(prefix="snakeseg-") as staging:
            yield Path(staging)
            write_package(Path(staging), output)
        return
    if output.exists():
        raise BadInput(output, "something there", "the name of a new folder, or of a zip", "remove it, or change -o")
    with atomic_folder(output) as staging:
        yield staging


def _onnx(model: Model, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        traced = write_torchscript(Path(scratch, "model.ts"), model.network, model.inputs)
    notes = {"snakeseg": json.dumps(model.told)}
    write_onnx(folder / "model.onnx", traced, model.network, model.inputs, notes)
    _write_golden(model, folder)


def _torchscript(model: Model, folder: Path) -> None:
    write_torchscript(folder / "model.ts", model.network, model.inputs)
    _write_golden(model, folder)


def _write_golden(model: Model, folder: Path) -> None:
    """As arrays that anybody can read, with an axis for the batch."""
    np.save(folder / "test-input.npy", model.golden.input[None])
    with torch.inference_mode():
        np.save(folder / "test-output.npy", model.network(model.inputs[0]).numpy())


_ONNX = {"onnx": "onnx", "onnxruntime": "onnxruntime"}
FORMATS = {
    "bioimageio": Format(
        bioimageio.fill, {**_ONNX, "bioimageio.spec": "bioimageio.spec", "bioimageio.core": "bioimageio.core"}
    ),
    "onnx": Format(_onnx, _ONNX),
    "torchscript": Format(_torchscript, {}),
    "monai": Format(monai_bundle.fill, {}),
}
