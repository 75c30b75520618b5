"""Subcommands from probabilities to objects."""

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping
from re import fullmatch

import numpy as np

from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_folder, write_text
from snakeseg.io.sheet import NAME, read_sheet
from snakeseg.settings import read_settings


def tune(given: Namespace) -> None:
    """The chosen parameters, all trials, and how far probabilities can be believed, beside each model's weights."""
    from snakeseg.models.description import PARAMETERS
    from snakeseg.objects.tune import tune_parameters

    settings = read_settings(given.settings)
    chosen = tune_parameters(_held_out(given, settings.spatial_dims), settings.labels, settings.instances)
    for folder in given.models:
        write_text(folder / PARAMETERS, json.dumps(chosen, indent=1) + "\n")


def _held_out(given: Namespace, dims: int) -> Iterator[tuple[Mapping, np.ndarray]]:
    """Yield what was predicted of each held-out image, and its label."""
    from snakeseg.io.images import read_label
    from snakeseg.io.store import read_store

    labels = read_sheet(given.sheet, given.data).set_index("sample")["label"]
    for store in given.stores:
        for name, _, group in read_store(store):
            yield group, read_label(labels[name], dims).array


def instances(given: Namespace) -> None:
    """A folder of label files in their sources' formats."""
    from snakeseg.io.formats import label_suffix
    from snakeseg.io.images import open_image
    from snakeseg.io.store import read_parts
    from snakeseg.models.description import load_description, model_folders
    from snakeseg.objects.label_files import write_label_file
    from snakeseg.objects.parameters import load_parameters

    folder = model_folders(given.model)[0]
    description = load_description(folder)
    parameters = load_parameters(folder, description.labels)
    images = read_sheet(given.sheet, given.data).set_index("sample")["image"]
    with atomic_folder(given.output) as output:
        for name, about, found in read_parts(given.probabilities):
            if name not in images or not fullmatch(NAME, name):
                raise BadInput(given.probabilities[0], f"sample '{name}'", f"one of {given.sheet}", "predict again")
            source = open_image(images[name], description.dims)
            path = output / f"{name}{label_suffix(source.path)}"
            write_label_file(path, found, description.labels, parameters, source, about["note"])
