"""Subcommands that predict with a model: probabilities of sheet rows, labels of image files, tile plans."""

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from snakeseg.commands.inputs import read_json, rows_of_part
from snakeseg.errors import BadInput
from snakeseg.io.files import make_folder, require_no_file, temporary_folder, write_text
from snakeseg.progress import progress
from snakeseg.text import printable_lines


def predict(args: Namespace) -> None:
    """Write predictions of sheet rows into a store, or labels of image files into a folder.

    Raises
    ------
    BadInput
        If the options do not state one kind of input with its output, or an image or model cannot be used.
    """
    _require_inputs_and_outputs(args)
    with _predictor(args) as predictor:
        if args.images:
            _predict_files(args, predictor)
        else:
            _predict_rows(args, predictor)


def _predict_rows(args: Namespace, predictor) -> None:
    """Predict the rows of a sheet, and write one store."""
    from snakeseg.io.store import write_store
    from snakeseg.prediction.images import drain_images, open_images
    from snakeseg.prediction.predict import predict_image, prediction_notes
    from snakeseg.prediction.predictor import choose_strides

    images = open_images(predictor.description, _rows(args))
    strides = read_json(args.plan) or choose_strides(predictor, images, _bytes(args.memory_gb))
    part = _part(args.part)
    tick = _ticker(images, strides, part)

    def samples() -> Iterator:
        for name, image in drain_images(images):
            streamed = predict_image(predictor, image.fitted, strides[name], part, args.keep_probabilities, tick)
            if streamed:
                yield name, prediction_notes(predictor, image.fitted, strides[name]), streamed

    write_store(args.probabilities, samples())


def _predict_files(args: Namespace, predictor) -> None:
    """Predict image files, and write one label file for each."""
    from snakeseg.io.store import read_parts, write_store
    from snakeseg.objects.label_files import write_label_file
    from snakeseg.objects.parameters import load_parameters
    from snakeseg.prediction.images import drain_images, files_by_label_name, list_images, open_images
    from snakeseg.prediction.predict import predict_image, prediction_notes
    from snakeseg.prediction.predictor import choose_strides

    images = open_images(predictor.description, files_by_label_name(list_images(args.images), args.output))
    strides = choose_strides(predictor, images, _bytes(args.memory_gb))
    tick = _ticker(images, strides, (0, 1))
    make_folder(args.output)
    parameters = load_parameters(predictor.folders[0], predictor.description.labels)
    kept, labels = args.keep_probabilities or args.uncertainty, predictor.description.labels
    for name, image in drain_images(images):
        with temporary_folder(args.output / name) as folder:
            store = (args.output if kept else folder) / f"{name}.probabilities.zarr.zip"
            streamed = predict_image(predictor, image.fitted, strides[name], keep=args.keep_probabilities, tick=tick)
            write_store(store, [(name, prediction_notes(predictor, image.fitted, strides[name]), streamed)])
            ((_, attributes, arrays),) = read_parts([store])
            write_label_file(args.output / name, arrays, labels, parameters, image.source, attributes["note"])


def plan(args: Namespace) -> None:
    """Print how images will be tiled, with the memory and time that it takes; write the tile sizes to a file."""
    from snakeseg.prediction.images import ImageFile, label_name, list_images, open_images
    from snakeseg.prediction.predictor import plan_image as plan_image

    _require_images(args)
    with _predictor(args) as predictor:
        files = {label_name(path): ImageFile(path) for path in list_images(args.images)} or _rows(args)
        images = open_images(predictor.description, files)
        plans = {name: plan_image(predictor, image.shape, _bytes(args.memory_gb)) for name, image in images.items()}
    for name, tiling in () if args.json else plans.items():
        shape, tile = (" x ".join(map(str, sides)) for sides in (images[name].shape, tiling.stride))
        line = (
            f"{name}: {shape} in {tiling.tiles} tiles of {tile}, {tiling.redundancy:.2f} pixels read per pixel,"
            f" {tiling.memory / 1e9:.2f} GB, {tiling.seconds:.3g} s"
        )
        print(printable_lines(line))
    if args.json:
        print(json.dumps({name: tiling._asdict() for name, tiling in plans.items()}))
    if args.output:
        write_text(args.output, json.dumps({name: tiling.stride for name, tiling in plans.items()}) + "\n")


def calibrate(args: Namespace) -> None:
    """Measure time and memory of tiles of several sizes, and write them for later plans."""
    from snakeseg.devices import choose_device, free_memory
    from snakeseg.prediction.timing import measure_tiles, write_samples

    device = choose_device(args.gpus, args.threads)
    write_samples(args.output, measure_tiles(args.model, device, free_memory(device) / 2))


def _require_images(args: Namespace) -> None:
    """Raise BadInput unless either image files or a sheet are given."""
    if bool(args.images) == bool(args.sheet):
        found = "image files and --sheet" if args.images else "neither image files nor --sheet"
        remedy = "give either image files after MODEL, or --sheet SHEET"
        raise BadInput(args.command, found, "one of the two", remedy)


def _require_inputs_and_outputs(args: Namespace) -> None:
    """Raise BadInput unless the options state one kind of input, and the output that belongs to it."""
    _require_images(args)
    if args.images and args.output is None:
        raise BadInput("predict", "images but no output folder", "-o FOLDER", "add -o FOLDER")
    if args.images:
        require_no_file(args.output)
    if args.sheet and args.probabilities is None:
        remedy = "add --probabilities FILE.zarr.zip, or give image files and -o FOLDER"
        raise BadInput("predict", "--sheet but no --probabilities", "a store to write", remedy)
    if args.images and args.probabilities:
        remedy = "replace --probabilities FILE by --keep-probabilities, which writes them into the folder of -o"
        raise BadInput("predict", "image files and --probabilities, which is for rows of a sheet", "-o FOLDER", remedy)


@contextmanager
def _predictor(args: Namespace) -> Iterator:
    """Load the predictor of the models (folders or packages); unpacked packages are removed when the block ends."""
    from snakeseg.devices import choose_device
    from snakeseg.models.description import model_at
    from snakeseg.prediction.predictor import load_predictor

    with ExitStack() as stack:
        folders = [stack.enter_context(model_at(path)) for path in [args.model, *(args.ensemble or [])]]
        device = choose_device(args.gpus, args.threads)
        uncertainty = getattr(args, "uncertainty", False)
        yield load_predictor(folders, device, args.folds, uncertainty, args.skip_golden)


def _rows(args: Namespace) -> dict:
    """Return the image files of the sheet's rows, by sample."""
    from snakeseg.prediction.images import ImageFile

    return {row.sample: ImageFile(Path(row.image), row.spacing) for row in rows_of_part(args).itertuples()}


def _ticker(images: Mapping, strides: Mapping, part: tuple[int, int]) -> Callable[[], None]:
    """Return a function that reports progress, to be called after every tile of all images."""
    from snakeseg.prediction.tiles import tiles_of_part

    total = sum(len(tiles_of_part(image.shape, strides[name], *part)) for name, image in images.items())
    ticks = progress(count(), total, "predicting")
    next(ticks)
    return lambda: next(ticks, None)


def _part(text: str) -> tuple[int, int]:
    """Parse "K/N": the index of a part, from 0, and the number of parts."""
    index, _, total = text.partition("/")
    return int(index), int(total)


def _bytes(gigabytes: float | None) -> float | None:
    """Convert gigabytes to bytes; None stays None."""
    return gigabytes and gigabytes * 1e9
