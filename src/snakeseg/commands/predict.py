"""Subcommands from a model to objects."""

import json
from argparse import Namespace
from pathlib import Path

from snakeseg.commands.tables import rows_of_part
from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.files import atomic_file, atomic_folder, write_text
from snakeseg.io.sheet import read_sheet
from snakeseg.progress import progress
from snakeseg.settings import read_sections


def predict(given: Namespace) -> None:
    """Probabilities of sheet rows as a store, or labels of image files."""
    from snakeseg.devices import choose_device
    from snakeseg.inference import load_predictor
    from snakeseg.io.raster import read

    predictor = load_predictor(given.model, choose_device(given.gpus, given.threads), given.folds)
    if given.images:
        _predict_files(given, predictor)
        return
    from snakeseg.io.store import write_store

    rows = rows_of_part(given)
    work = ((row.sample, read(row.image, predictor.description.dims)) for row in rows.itertuples())
    samples = ((name, {}, {"probabilities": predictor.probabilities(raster)}) for name, raster in work)
    write_store(given.probabilities, progress(samples, len(rows), "predicting"))


def _predict_files(given: Namespace, predictor) -> None:
    from snakeseg.inference import label_image
    from snakeseg.io.raster import read, write_labels

    if given.output is None:
        raise BadInput("predict", "images but no output folder", "-o FOLDER", "add it")
    _require_safe_outputs(given.images, given.output)
    for path in progress(given.images, len(given.images), "predicting"):
        raster = read(path, predictor.description.dims)
        labels = label_image(predictor.probabilities(raster), predictor.description.labels, predictor.parameters)
        with atomic_file(given.output / path.name) as beside:
            write_labels(beside, labels, raster)


def _require_safe_outputs(images: list[Path], output: Path) -> None:
    """All problems that can be seen without computing: missing files, equal names, inputs that would be overwritten."""
    from snakeseg.io.raster import suffix_of

    problems: list[Exception] = []
    seen: dict[str, Path] = {}
    for path in images:
        try:
            suffix_of(path)
        except BadInput as error:
            problems.append(error)
        if not path.is_file():
            problems.append(BadInput(path, "no such file", "an image", "correct the path"))
        elif (output / path.name).resolve() == path.resolve():
            problems.append(BadInput(path, "the image itself in the output folder", "another folder", "change -o"))
        if path.name in seen:
            problems.append(BadInput(path, f"the same name as {seen[path.name]}", "distinct names", "predict apart"))
        seen[path.name] = path
    if problems:
        raise BadInputs(problems)


def tune(given: Namespace) -> None:
    """The chosen parameters and all trials, beside each model's weights."""
    from dataclasses import asdict

    from snakeseg.checkpoint import PARAMETERS
    from snakeseg.inference import foreground_and_interior
    from snakeseg.io.raster import read_label
    from snakeseg.io.store import read_store
    from snakeseg.labels import classes_and_objects
    from snakeseg.tuning import choose

    s = read_sections(given.settings)
    labels = read_sheet(given.sheet, given.data).set_index("sample")["label"]
    found: dict = {"chosen": {}, "trials": []}
    if s["labels"].kind != "semantic":
        pairs = [
            (
                foreground_and_interior(group["probabilities"][:]),
                classes_and_objects(read_label(labels[name], s["spatial_dims"]).array, s["labels"])[1],
            )
            for store in given.stores
            for name, _, group in read_store(store)
        ]
        chosen, trials = choose(pairs, s["instances"])
        found = {"select_by": s["instances"].select_by, "chosen": asdict(chosen), "trials": trials}
    for folder in given.models:
        write_text(folder / PARAMETERS, json.dumps(found, indent=1) + "\n")


def instances(given: Namespace) -> None:
    """A folder of label files in their sources' formats."""
    from snakeseg.checkpoint import load_description, load_parameters, model_folders
    from snakeseg.inference import label_image
    from snakeseg.instances import Parameters
    from snakeseg.io.raster import read, suffix_of, write_labels
    from snakeseg.io.store import read_store

    folder = model_folders(given.model)[0]
    description, parameters = load_description(folder), load_parameters(folder) or Parameters()
    images = read_sheet(given.sheet, given.data).set_index("sample")["image"]
    with atomic_folder(given.output) as output:
        for name, _, group in read_store(given.probabilities):
            source = read(images[name], description.dims)
            labels = label_image(group["probabilities"][:], description.labels, parameters)
            write_labels(output / f"{name}{suffix_of(source.path)}", labels, source)
