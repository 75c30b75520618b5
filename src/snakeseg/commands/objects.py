"""Subcommands from class probabilities to objects."""

import json
from argparse import Namespace
from collections.abc import Iterator
from re import fullmatch

from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_folder, write_text
from snakeseg.io.sheet import NAME, read_sheet
from snakeseg.settings import read_settings


def tune(args: Namespace) -> None:
    """Write the chosen parameters, all trials and the calibration of probabilities into each model's folder."""
    from snakeseg.models.description import PARAMETERS
    from snakeseg.objects.tune import tune_parameters

    settings = read_settings(args.settings)
    chosen = tune_parameters(_held_out_samples(args, settings.spatial_dims), settings.labels, settings.instances)
    for folder in args.models:
        write_text(folder / PARAMETERS, json.dumps(chosen, indent=1) + "\n")


def _held_out_samples(args: Namespace, dims: int) -> Iterator:
    """Yield the held-out images with their predictions and labels."""
    from snakeseg.io.images import open_image, read_label_for
    from snakeseg.io.store import read_store
    from snakeseg.objects.tune import Sample

    rows = read_sheet(args.sheet, args.data).set_index("sample")
    for store in args.stores:
        for name, _, prediction in read_store(store):
            label = read_label_for(open_image(rows["image"][name], dims), rows["label"][name])
            yield Sample(name, rows["group"][name], prediction, label.array)


def instances(args: Namespace) -> None:
    """Write predicted labels into a folder, each in the format of its image.

    With --cross-fitted, the parameters of a held-out image are those chosen on the other groups, if there are any.

    Raises
    ------
    BadInput
        If a store has a sample that is not in the sheet.
    """
    from snakeseg.io.formats import label_suffix
    from snakeseg.io.images import open_image
    from snakeseg.io.store import read_parts
    from snakeseg.models.description import load_description, model_folders
    from snakeseg.objects.label_files import write_label_file
    from snakeseg.objects.parameters import load_cross_fitted, load_parameters

    folder = model_folders(args.model)[0]
    description = load_description(folder)
    labels = description.labels
    parameters = load_parameters(folder, labels)
    cross_fitted = load_cross_fitted(folder, labels) if args.cross_fitted else {}
    images = read_sheet(args.sheet, args.data).set_index("sample")["image"]
    with atomic_folder(args.output) as output:
        for name, attributes, arrays in read_parts(args.probabilities):
            if name not in images or not fullmatch(NAME, name):
                remedy = "delete this file and run snakemake again, which writes it"
                raise BadInput(args.probabilities[0], f"sample '{name}'", f"a sample of {args.sheet}", remedy)
            source = open_image(images[name], description.dims)
            path = output / f"{name}{label_suffix(source.path)}"
            own = cross_fitted.get(name, parameters)
            write_label_file(path, arrays, labels, own, source, attributes["note"])
