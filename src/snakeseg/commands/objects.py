"""Subcommands from probabilities to objects."""

import json
from argparse import Namespace
from collections.abc import Iterator
from re import fullmatch

from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_folder, write_text
from snakeseg.io.sheet import NAME, read_sheet
from snakeseg.settings import Settings, read_settings


def tune(given: Namespace) -> None:
    """The chosen parameters, all trials, and how far probabilities can be believed, beside each model's weights."""
    from dataclasses import asdict

    from snakeseg.evaluation.metrics.calibration import reliability
    from snakeseg.models.description import PARAMETERS
    from snakeseg.objects.components import choose as choose_kept
    from snakeseg.objects.tune import choose
    from snakeseg.transforms.labels import IGNORED

    s = read_settings(given.settings)
    found: dict = {"chosen": {}, "trials": []}
    if s.labels.kind == "semantic":
        classes = choose_kept(_held_out_classes(given, s), s.labels.classes, s.instances.smallest)
        found |= {"select_by": "dice", "classes": classes}
    else:
        maps, truths = zip(*_held_out_objects(given, s), strict=True)
        pairs = [(pair, objects) for pair, (_, objects) in zip(maps, truths, strict=True)]
        chosen, trials = choose(pairs, s.instances)
        known = [classes != IGNORED for classes, _ in truths]
        calibration = reliability(
            (foreground[k], classes[k] > 0)
            for (foreground, _), (classes, _), k in zip(maps, truths, known, strict=True)
        )
        found = {
            "select_by": s.instances.select_by, "chosen": asdict(chosen), "trials": trials,
            "calibration": calibration,
        }  # fmt: skip
    for folder in given.models:
        write_text(folder / PARAMETERS, json.dumps(found, indent=1) + "\n")


def _held_out(given: Namespace, dims: int) -> Iterator:
    """Of every held-out image: what was predicted, and the label."""
    from snakeseg.io.images import read_label
    from snakeseg.io.store import read_store

    labels = read_sheet(given.sheet, given.data).set_index("sample")["label"]
    for store in given.stores:
        for name, _, group in read_store(store):
            yield group, read_label(labels[name], dims).array


def _held_out_objects(given: Namespace, s: Settings) -> Iterator:
    """Of every held-out image: foreground and interior probabilities, true classes and objects, all on their grid."""
    from snakeseg.objects.label_files import foreground_and_interior
    from snakeseg.transforms.labels import classes_and_objects
    from snakeseg.transforms.resample import nearest

    for group, label in _held_out(given, s.spatial_dims):
        maps = tuple(one[:] for one in foreground_and_interior(group["probabilities"]))
        yield maps, classes_and_objects(nearest(label, maps[0].shape)[:], s.labels)


def _held_out_classes(given: Namespace, s: Settings) -> Iterator:
    """Of every held-out image: predicted and true classes, on the label's grid."""
    from snakeseg.objects.label_files import likeliest
    from snakeseg.transforms.labels import classes_and_objects

    for group, label in _held_out(given, s.spatial_dims):
        yield likeliest(group, label.shape)[:], classes_and_objects(label, s.labels)[0]


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
