"""What each subcommand does: read, call the inner rooms, write. Each imports only what it needs."""

import json
import sys
from argparse import Namespace
from pathlib import Path

import pandas as pd

from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.files import atomic_file, atomic_folder, write_text
from snakeseg.io.sheet import assign_folds, read_sheet
from snakeseg.progress import progress
from snakeseg.settings import read_sections

# Whole images that `train.select` best looks at.
VALIDATION_IMAGES = 8


def simulate(given: Namespace) -> None:
    """Images and labels as TIFF files in two folders."""
    import numpy as np
    import tifffile

    from snakeseg.simulate import simulate_cells

    settings = read_sections(given.settings)["simulate"]
    with atomic_folder(given.output) as folder:
        for kind in ("images", "labels"):
            (folder / kind).mkdir()
        for index in range(settings.images):
            rng = np.random.default_rng([settings.seed, index])
            image, label = simulate_cells(rng, (settings.size, settings.size), settings.cells)
            tifffile.imwrite(folder / "images" / f"cells-{index:02d}.tif", image)
            tifffile.imwrite(folder / "labels" / f"cells-{index:02d}.tif", label, compression="zlib")


def inspect(given: Namespace) -> None:
    """What was found in a batch's files, and all problems, as JSON; it never fails on them, `check` does."""
    from snakeseg.checking import inspect as inspect_rows

    s = read_sections(given.settings)
    rows = _rows(given, subset=["train", "test", "predict"])
    facts, problems = inspect_rows(rows, s["spatial_dims"], s["labels"])
    write_text(given.output, json.dumps({"facts": facts, "problems": problems}, indent=1) + "\n")


def check(given: Namespace) -> None:
    """A table of what was found in all files, or all problems at once."""
    from snakeseg.checking import check as check_together
    from snakeseg.checking import check_networks

    s = read_sections(given.settings)
    found = [_read_json(path) for path in given.inspected]
    facts = pd.DataFrame([fact for part in found for fact in part["facts"]])
    problems = [problem for part in found for problem in part["problems"]]
    sheet = read_sheet(given.sheet, given.data)
    problems += check_together(sheet, facts, s["folds"], s["validation"])
    problems += check_networks(s["networks"], s["starts"], facts, s["spatial_dims"], s["labels"])
    if problems:
        raise BadInputs(problems)
    _write_table(given.output, facts)


def statistics(given: Namespace) -> None:
    """Grey values and class counts as JSON."""
    from snakeseg.prepare import data_statistics

    s = read_sections(given.settings)
    rows = _rows(given, subset=["train"])
    found = data_statistics(rows, s["spatial_dims"], s["labels"], s["prepare"])
    write_text(given.output, json.dumps(found, indent=1) + "\n")


def prepare(given: Namespace) -> None:
    """A store of normalised images, classes and objects."""
    from snakeseg.io.store import write_store
    from snakeseg.prepare import prepare_rows

    s = read_sections(given.settings)
    rows = _rows(given, subset=["train"])
    samples = prepare_rows(rows, s["spatial_dims"], s["labels"], s["prepare"], _read_json(given.statistics))
    write_store(given.output, progress(samples, len(rows), "preparing"))


def augment(given: Namespace) -> None:
    """A store of elastic copies."""
    from snakeseg.io.store import write_store
    from snakeseg.prepare import elastic_copies

    settings = read_sections(given.settings)["augment"]
    write_store(given.output, elastic_copies(given.prepared[0], settings))


def weigh(given: Namespace) -> None:
    """A store of weight maps, of originals and copies."""
    from snakeseg.io.store import write_store
    from snakeseg.prepare import weight_maps

    settings = read_sections(given.settings)["weigh"]
    write_store(given.output, weight_maps(given.prepared + given.augmented, settings, _read_json(given.statistics)))


def train(given: Namespace) -> None:
    """A model folder: weights, description, history. What a killed training left in `state` is gone on from."""
    from snakeseg.parallel import run_together
    from snakeseg.state import lock, tell

    settings = read_sections(given.settings)["train"]
    if settings.batch % settings.processes:
        raise BadInput(
            "train.processes", f"{settings.processes} for a batch of {settings.batch}", "a number that divides it",
            "correct one of them",
        )  # fmt: skip
    with lock(given.output, tell):
        (given.output / "stop").unlink(missing_ok=True)
        run_together(settings.processes, given.gpus, _train, given)


def _train(given: Namespace, team) -> None:
    """The training of one process of a team; the first writes."""
    import torch

    from snakeseg.checkpoint import Description, is_finished, save_model
    from snakeseg.devices import choose_device
    from snakeseg.losses import make_loss
    from snakeseg.optimiser import derive_seed
    from snakeseg.patches import PatchPlan
    from snakeseg.pretrained import read_state, start_from
    from snakeseg.state import remove_states, tell
    from snakeseg.training import Keep, fit, write_history
    from snakeseg.trainset import class_balance, load_items, training_digest, training_provenance

    s = read_sections(given.settings)
    device = choose_device(given.gpus, max(1, given.threads // team.size))
    rows = _rows(given, subset=["train"])
    held = assign_folds(rows, s["folds"], s["validation"]) == given.fold
    items, attributes = load_items(
        set(rows["sample"][~held]), given.prepared + given.augmented, given.weights, s["network"].border
    )
    description = Description(
        s["spatial_dims"], len(items[0].image), s["labels"], s["network"], s["prepare"], s["predict"],
        attributes[0]["statistics"],
    )  # fmt: skip
    start = given.start or (s["network"].pretrained and Path(s["network"].pretrained))
    provenance = training_provenance(s["train"], device, given.threads, given.fold, attributes)
    files = [*given.prepared, *given.augmented, *given.weights, *([start] if start else [])]
    digest = training_digest(given.settings, provenance, files)
    if is_finished(given.output, digest):
        tell(f"{given.output} holds the weights of this very training already")
        return
    torch.manual_seed(derive_seed(s["train"].seed, -1))
    network = description.make_network()
    if start:
        tell(f"{start_from(network, read_state(start), start)} of {len(network.state_dict())} tensors from {start}")
    plan = PatchPlan(s["train"], s["augment"], description.geometry.training)
    criterion = make_loss(s["loss"], class_balance(items, description.classes))
    keep = Keep(given.output / "state", digest, s["train"].state_seconds)
    validate = _validation(given, s, set(rows["sample"][held]), description, device)
    history = fit(network, items, plan, criterion, device, [a["name"] for a in attributes], keep, validate, team)
    if team.rank == 0:
        with atomic_file(given.output / "history.tsv") as beside:
            write_history(beside, history)
        save_model(given.output, network, description, {**provenance, "digest": digest})
        remove_states(keep.folder)
        (given.output / "stop").unlink(missing_ok=True)


def _validation(given: Namespace, s: dict, names: set[str], description, device):
    """The loss on whole held-out images, the first few by name; None unless it chooses the weights."""
    from snakeseg.inference import validation_loss
    from snakeseg.trainset import load_items

    if s["train"].select != "best":
        return None
    few = set(sorted(names)[:VALIDATION_IMAGES])
    items, _ = load_items(few, given.prepared, given.weights, s["network"].border)
    return lambda network: validation_loss(network, items, description.geometry, s["predict"].tile, device)


def measure(given: Namespace) -> None:
    """What a model's network is and costs, as JSON."""
    from snakeseg.devices import choose_device
    from snakeseg.inference import measure_model

    device = choose_device(given.gpus, given.threads)
    write_text(given.output, json.dumps(measure_model(given.model, device, given.threads), indent=1) + "\n")


def fetch_weights(given: Namespace) -> None:
    """A file of published weights, checked; the only command that uses the network."""
    from snakeseg.pretrained import fetch

    fetch(given.name, given.output, given.url)
    print(given.output, file=sys.stderr)


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

    rows = _rows_of_part(given)
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


def evaluate(given: Namespace) -> None:
    """Two tables, of images and of objects, in a folder."""
    from snakeseg.evaluation import evaluate_rows

    s = read_sections(given.settings)
    rows = _rows_of_part(given)
    images, objects = evaluate_rows(rows, given.predictions, s["spatial_dims"], s["labels"])
    subset = dict(zip(rows["sample"], rows["subset"].replace("train", "validation"), strict=True))
    with atomic_folder(given.output) as folder:
        for name, table in (("images", images), ("objects", objects)):
            table = pd.DataFrame(table, columns=None if table else ["sample"])
            table.insert(0, "subset", table["sample"].map(subset))
            table.insert(0, "experiment", given.experiment)
            _write_table(folder / f"{name}.tsv", table)


def summarise(given: Namespace) -> None:
    """The gathered tables and their summary."""
    from snakeseg.evaluation import summarise as summary_of

    gathered = {}
    for name in ("images", "objects"):
        tables = [_read_table(folder / f"{name}.tsv") for folder in given.tables]
        gathered[name] = pd.concat([t for t in tables if len(t)] or tables[:1], ignore_index=True)
        _write_table(given.output / f"{name}.tsv", gathered[name])
    _write_table(given.output / "summary.tsv", summary_of(gathered["images"]))


def report(given: Namespace) -> None:
    """The page, its figures and the provenance."""
    from snakeseg.report.page import write_report

    write_report(given.run, read_sheet(given.sheet, given.data), json.loads(given.settings), given.output)
    print(given.output, file=sys.stderr)


def _rows(given: Namespace, subset: list[str]) -> pd.DataFrame:
    sheet = read_sheet(given.sheet, given.data)
    rows = sheet[sheet["subset"].isin(subset)]
    batch = getattr(given, "batch", None)
    return rows if batch is None else rows[rows["batch"] == batch]


def _rows_of_part(given: Namespace) -> pd.DataFrame:
    """Rows that a fold holds out, or the test and predict rows of a batch."""
    if given.fold is None:
        return _rows(given, subset=["test", "predict"])
    s = read_sections(given.settings)
    rows = _rows(given, subset=["train"])
    return rows[assign_folds(rows, s["folds"], s["validation"]) == given.fold]


def _read_json(path: Path | None) -> dict | None:
    return json.loads(path.read_text(encoding="utf-8")) if path else None


def _read_table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=["nan"])


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic_file(path) as beside:
        table.to_csv(beside, sep="\t", index=False, float_format="%.6g", na_rep="nan", lineterminator="\n")
