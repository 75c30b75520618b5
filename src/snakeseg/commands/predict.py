"""Subcommands from a model to probabilities, and to labels of image files."""

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from snakeseg.commands.inputs import read_json, rows_of_part
from snakeseg.errors import BadInput
from snakeseg.io.files import temporary_folder, write_text
from snakeseg.progress import progress
from snakeseg.text import printable_lines


def predict(given: Namespace) -> None:
    """Write predictions of sheet rows as a store, or labels of image files."""
    _require_given(given)
    with _predictor(given) as predictor:
        if given.images:
            _predict_files(given, predictor)
        else:
            _predict_rows(given, predictor)


def _predict_rows(given: Namespace, predictor) -> None:
    from snakeseg.io.store import write_store
    from snakeseg.prediction.images import one_by_one, open_images
    from snakeseg.prediction.predict import notes, predict_image
    from snakeseg.prediction.predictor import choose_strides

    images = open_images(predictor.description, _rows(given))
    strides = read_json(given.plan) or choose_strides(predictor, images, _bytes(given.memory_gb))
    part = _part(given.part)
    tick = _ticker(images, strides, part)

    def samples() -> Iterator:
        for name, image in one_by_one(images):
            streamed = predict_image(predictor, image.fitted, strides[name], part, given.keep_probabilities, tick)
            if streamed:
                yield name, notes(predictor, image.fitted, strides[name]), streamed

    write_store(given.probabilities, samples())


def _predict_files(given: Namespace, predictor) -> None:
    from snakeseg.io.store import read_parts, write_store
    from snakeseg.objects.label_files import write_label_file
    from snakeseg.objects.parameters import load_parameters
    from snakeseg.prediction.images import files_by_label_name, list_images, one_by_one, open_images
    from snakeseg.prediction.predict import notes, predict_image
    from snakeseg.prediction.predictor import choose_strides

    images = open_images(predictor.description, files_by_label_name(list_images(given.images), given.output))
    strides = choose_strides(predictor, images, _bytes(given.memory_gb))
    tick = _ticker(images, strides, (0, 1))
    given.output.mkdir(parents=True, exist_ok=True)
    parameters = load_parameters(predictor.folders[0], predictor.description.labels)
    kept, labels = given.keep_probabilities or given.uncertainty, predictor.description.labels
    for name, image in one_by_one(images):
        with temporary_folder(given.output / name) as folder:
            store = (given.output if kept else folder) / f"{name}.answers.zarr.zip"
            streamed = predict_image(predictor, image.fitted, strides[name], keep=given.keep_probabilities, tick=tick)
            write_store(store, [(name, notes(predictor, image.fitted, strides[name]), streamed)])
            ((_, about, arrays),) = read_parts([store])
            write_label_file(given.output / name, arrays, labels, parameters, image.source, about["note"])


def plan(given: Namespace) -> None:
    """A table of how images will be tiled, and what that takes."""
    from snakeseg.prediction.images import ImageFile, label_name, list_images, open_images
    from snakeseg.prediction.predictor import plan as plan_image

    _require_images(given)
    with _predictor(given) as predictor:
        files = {label_name(path): ImageFile(path) for path in list_images(given.images)} or _rows(given)
        images = open_images(predictor.description, files)
        plans = {name: plan_image(predictor, image.shape, _bytes(given.memory_gb)) for name, image in images.items()}
    for name, found in () if given.json else plans.items():
        shape, tile = (" x ".join(map(str, sides)) for sides in (images[name].shape, found.stride))
        line = (
            f"{name}: {shape} in {found.tiles} tiles of {tile}, {found.redundancy:.2f} pixels read for each,"
            f" {found.memory / 1e9:.2f} GB, {found.seconds:.3g} s"
        )
        print(printable_lines(line))
    if given.json:
        print(json.dumps({name: found._asdict() for name, found in plans.items()}))
    if given.output:
        write_text(given.output, json.dumps({name: found.stride for name, found in plans.items()}) + "\n")


def calibrate(given: Namespace) -> None:
    """Seconds and memory of tiles, for plans."""
    from snakeseg.devices import choose_device, free_memory
    from snakeseg.prediction.timing import keep_samples, measure_tiles

    device = choose_device(given.gpus, given.threads)
    keep_samples(given.output, measure_tiles(given.model, device, free_memory(device) / 2))


def _require_images(given: Namespace) -> None:
    """Raise BadInput unless there is something to predict, named in one way."""
    if bool(given.images) == bool(given.sheet):
        found = "image files and --sheet" if given.images else "neither image files nor --sheet"
        raise BadInput(given.command, found, "one of the two", "name images after the model, or a sheet")


def _require_given(given: Namespace) -> None:
    """Raise BadInput unless it is known what to predict, and where to write it."""
    _require_images(given)
    if given.images and given.output is None:
        raise BadInput("predict", "images but no output folder", "-o FOLDER", "add it")
    if given.sheet and given.probabilities is None:
        raise BadInput("predict", "--sheet but no --probabilities", "a store to write", "add it, or name image files")
    if given.images and given.probabilities:
        remedy = "leave it out; --keep-probabilities keeps them in the folder of -o"
        raise BadInput("predict", "image files and --probabilities, which is for rows of a sheet", "-o FOLDER", remedy)


@contextmanager
def _predictor(given: Namespace) -> Iterator:
    """The predictor of the models that are given, as folders or packages, for as long as the block lasts."""
    from snakeseg.devices import choose_device
    from snakeseg.models.description import model_at
    from snakeseg.prediction.predictor import load_predictor

    with ExitStack() as stack:
        folders = [stack.enter_context(model_at(path)) for path in [given.model, *(given.ensemble or [])]]
        device = choose_device(given.gpus, given.threads)
        uncertainty = getattr(given, "uncertainty", False)
        yield load_predictor(folders, device, given.folds, uncertainty, given.skip_golden)


def _rows(given: Namespace) -> dict:
    """The image files of the sheet's rows, by sample."""
    from snakeseg.prediction.images import ImageFile

    return {row.sample: ImageFile(Path(row.image), row.spacing) for row in rows_of_part(given).itertuples()}


def _ticker(images: Mapping, strides: Mapping, part: tuple[int, int]) -> Callable[[], None]:
    """A function to call after every tile of all images, which reports progress."""
    from snakeseg.prediction.tiles import tiles_of_part

    total = sum(len(tiles_of_part(image.shape, strides[name], *part)) for name, image in images.items())
    ticks = progress(count(), total, "predicting")
    next(ticks)
    return lambda: next(ticks, None)


def _part(text: str) -> tuple[int, int]:
    index, _, total = text.partition("/")
    return int(index), int(total)


def _bytes(gigabytes: float | None) -> float | None:
    return gigabytes and gigabytes * 1e9
