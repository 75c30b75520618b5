"""Subcommands from a model to probabilities, and to labels of image files."""

import json
import os
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

from snakeseg.commands.inputs import read_json, rows_of_part
from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.file_names import file_and_number, files_of
from snakeseg.io.files import temporary_folder, write_text
from snakeseg.io.sheet import spacing_of
from snakeseg.progress import progress
from snakeseg.text import printable_lines

BLENDED = "SnakeSeg: tiles were blended, as this network's normalisation depends on the tile"


def predict(given: Namespace) -> None:
    """Answers to sheet rows as a store, or labels of image files."""
    _require_given(given)
    with _predictor(given) as predictor:
        if given.images:
            _predict_files(given, predictor)
        else:
            _predict_rows(given, predictor)


def _predict_rows(given: Namespace, predictor) -> None:
    from snakeseg.io.store import write_store
    from snakeseg.prediction.predictor import answers

    images = _rows(given)
    strides = read_json(given.plan) or _strides(predictor, images, given.memory_gb)
    part = _part(given.part)
    tick = _ticker(_tiles(predictor, images, strides, part))

    def samples() -> Iterable:
        for name, image in images.items():
            raster = _open(predictor, image)
            found = answers(predictor, raster, strides[name], part, given.keep_probabilities, tick)
            if found:
                yield name, _attributes(predictor, raster, strides[name]), found

    write_store(given.probabilities, samples())


def plan(given: Namespace) -> None:
    """A table of how images will be tiled, and what that takes."""
    from snakeseg.prediction.predictor import plan as plan_image

    _require_images(given)
    plans = {}
    with _predictor(given) as predictor:
        for name, image in (_files(_each(given.images)) if given.images else _rows(given)).items():
            shape = _open(predictor, image).array.shape[1:]
            plans[name] = found = plan_image(predictor, shape, _bytes(given.memory_gb))
            if given.json:
                continue
            shape, tile = (" x ".join(map(str, sides)) for sides in (shape, found.stride))
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


def _attributes(predictor, raster, stride: Sequence[int]) -> dict:
    """What is to be said about an image's answers: their place, and a note if they are not exact."""
    from snakeseg.prediction.tiles import is_blended

    note = BLENDED if is_blended(raster.array.shape[1:], stride, predictor.geometry) else ""
    place = {} if raster.affine is None else {"affine": raster.affine.tolist()}
    return {"note": note, "axes": f"c{raster.axes}", "spacing": list(raster.spacing), **place}


class _Image(NamedTuple):
    """An image, and the spacing that the sheet gives it, if it does."""

    path: Path
    spacing: str = ""


def _rows(given: Namespace) -> dict[str, _Image]:
    return {row.sample: _Image(Path(row.image), row.spacing) for row in rows_of_part(given).itertuples()}


def _files(images: list[Path]) -> dict[str, _Image]:
    return {_label_name(path): _Image(path) for path in images}


def _each(images: list[Path]) -> list[Path]:
    """All images of all files, and of folders of them."""
    from snakeseg.io.formats import images_of_folder
    from snakeseg.io.images import images_in

    files = [file for path in images for file in images_of_folder(path) or [path]]
    return [one for file in files for one in images_in(file)]


def _label_name(image: Path) -> str:
    """The name of an image's label file: its own, but for formats that labels are not written in."""
    from snakeseg.io.file_names import stem_and_suffix
    from snakeseg.io.formats import label_suffix

    return stem_and_suffix(files_of(image)[0].name)[0] + label_suffix(image)


def _open(predictor, image: _Image):
    from snakeseg.io.images import open_image
    from snakeseg.io.readers.orientation import stretched_affine
    from snakeseg.prediction.predictor import fit

    raster = open_image(image.path, predictor.description.dims)
    fitted = fit(predictor, replace(raster, spacing=spacing_of(image.spacing, raster.spacing)))
    if raster.affine is None:
        return fitted
    affine = stretched_affine(raster.affine, raster.array.shape[1:], fitted.array.shape[1:])
    return replace(fitted, affine=affine)


def _strides(predictor, images: dict[str, _Image], memory_gb: float | None) -> dict[str, tuple[int, ...]]:
    """The tiles of every image; all images that cannot be opened are told at once."""
    from snakeseg.prediction.predictor import choose_stride

    strides, problems = {}, []
    for name, image in images.items():
        try:
            strides[name] = choose_stride(predictor, _open(predictor, image).array.shape[1:], _bytes(memory_gb))
        except ValueError as error:
            problems.append(error)
    if problems:
        raise BadInputs(problems)
    return strides


def _tiles(predictor, images: dict[str, _Image], strides: dict[str, Sequence[int]], part: tuple[int, int]) -> int:
    from snakeseg.prediction.tiles import tiles_of_part

    shapes = {name: _open(predictor, image).array.shape[1:] for name, image in images.items()}
    return sum(len(tiles_of_part(shapes[name], strides[name], *part)) for name in images)


def _ticker(total: int) -> Callable[[], None]:
    """A function to call after every tile, which tells how far all are."""
    ticks = progress(count(), total, "predicting")
    next(ticks)
    return lambda: next(ticks, None)


def _part(text: str) -> tuple[int, int]:
    index, _, total = text.partition("/")
    return int(index), int(total)


def _bytes(gigabytes: float | None) -> float | None:
    return gigabytes and gigabytes * 1e9


def _predict_files(given: Namespace, predictor) -> None:
    from snakeseg.io.images import open_image
    from snakeseg.io.store import read_parts, write_store
    from snakeseg.objects.label_files import write_label_file
    from snakeseg.objects.parameters import load_parameters
    from snakeseg.prediction.predictor import answers

    paths = _each(given.images)
    _require_safe_outputs(paths, given.output)
    images = _files(paths)
    strides = _strides(predictor, images, given.memory_gb)
    tick = _ticker(_tiles(predictor, images, strides, (0, 1)))
    given.output.mkdir(parents=True, exist_ok=True)
    parameters = load_parameters(predictor.folders[0], predictor.description.labels)
    for name, image in images.items():
        raster = _open(predictor, image)
        with temporary_folder(given.output / name) as folder:
            kept = given.keep_probabilities or given.uncertainty
            store = (given.output if kept else folder) / f"{name}.answers.zarr.zip"
            found = answers(predictor, raster, strides[name], keep=given.keep_probabilities, tick=tick)
            write_store(store, [(name, _attributes(predictor, raster, strides[name]), found)])
            ((_, about, found),) = read_parts([store])
            source, labels = open_image(image.path, predictor.description.dims), predictor.description.labels
            write_label_file(given.output / name, found, labels, parameters, source, about["note"])


def _require_safe_outputs(images: list[Path], output: Path) -> None:
    """All problems that can be seen without computing: missing files, equal names, inputs that would be overwritten."""
    problems: list[Exception] = []
    seen: dict[str, Path] = {}
    for image in images:
        first, *others = files_of(image)
        for path in (first, *others):
            if not os.path.exists(file_and_number(path)[0]):
                problems.append(BadInput(path, "no such file", "an image", "correct the path"))
        try:
            name = _label_name(image)
        except BadInput as error:
            problems.append(error)
            continue
        if os.path.realpath(output / name) == os.path.realpath(first):
            problems.append(BadInput(first, "the image itself in the output folder", "another folder", "change -o"))
        if name in seen:
            problems.append(BadInput(first, f"the same name as {seen[name]}", "distinct names", "predict apart"))
        seen[name] = first
    if problems:
        raise BadInputs(problems)
