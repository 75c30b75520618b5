"""Images to predict: each is opened once, by its header; its pixels are decoded when it is predicted, then freed."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.file_names import file_and_number, files_of, stem_and_suffix
from snakeseg.io.formats import images_of_folder, label_suffix
from snakeseg.io.images import Raster, images_in, open_image
from snakeseg.io.readers.orientation import stretched_affine
from snakeseg.io.sheet import spacing_of
from snakeseg.models.description import Description
from snakeseg.transforms.resample import SAME_SPACING, on_spacing

# Largest factor of resampling along an axis; beyond it, the time and memory are out of proportion to the image.
MAX_MAGNIFICATION = 50


class ImageFile(NamedTuple):
    """Where an image is, and its pixel size as the sheet states it; empty where that of the file holds."""

    path: Path
    spacing: str = ""


class OpenImage(NamedTuple):
    """An image as its file holds it, and on the grid that the network takes; neither holds pixels before it is read."""

    source: Raster
    fitted: Raster

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape on the network's grid, without channels."""
        return self.fitted.array.shape[1:]


def open_images(description: Description, files: Mapping[str, ImageFile]) -> dict[str, OpenImage]:
    """Open images by name, without their pixels.

    Raises
    ------
    BadInputs
        All problems of all images: files that cannot be opened, or that `fit_to_model` refuses.
    """
    opened, problems = {}, []
    for name, file in files.items():
        try:
            opened[name] = _open(description, file)
        except ValueError as error:
            problems.append(error)
    if problems:
        raise BadInputs(problems)
    return opened


def one_by_one(images: dict[str, OpenImage]) -> Iterator[tuple[str, OpenImage]]:
    """Take images out of the dict in its order, so that the pixels of those that are done are freed."""
    while images:
        name = next(iter(images))
        yield name, images.pop(name)


def _open(description: Description, file: ImageFile) -> OpenImage:
    source = open_image(file.path, description.dims)
    fitted = fit_to_model(description, replace(source, spacing=spacing_of(file.spacing, source.spacing)))
    if source.affine is not None:
        affine = stretched_affine(source.affine, source.array.shape[1:], fitted.array.shape[1:])
        fitted = replace(fitted, affine=affine)
    return OpenImage(source, fitted)


def fit_to_model(description: Description, image: Raster) -> Raster:
    """The image, or one that is resampled to the model's pixel size.

    It is resampled if `prepare.spacing` brought all images of the training to one size; otherwise if both sizes are
    stated and differ, and `predict.spacing` is "resample".

    Raises
    ------
    BadInput
        If it has other channels than those trained on, or another pixel size that is to be refused.
    """
    if image.array.shape[0] != description.channels:
        expected = f"{description.channels}, as in training"
        raise BadInput(image.path, f"{image.array.shape[0]} channels", expected, "convert the image")
    ours, theirs = description.spacing or [], image.spacing
    if description.prepare.spacing:
        return _resampled(image, ours)
    stated = all(any(size != 1 for size in sizes) for sizes in (ours, theirs))
    if not stated or description.predict.spacing == "ignore":
        return image
    ratios = np.divide(theirs, ours)
    if ratios.max() <= SAME_SPACING and ratios.min() >= 1 / SAME_SPACING:
        return image
    if description.predict.spacing == "resample":
        return _resampled(image, ours)
    found, expected = _pixel_sizes(theirs, ours)
    remedy = "correct its spacing, or set predict.spacing to resample or ignore in model.json"
    raise BadInput(image.path, f"pixels of {found}", f"about {expected}, as in training", remedy)


def _resampled(image: Raster, spacing: Sequence[float]) -> Raster:
    """The image with another pixel size; BadInput if that would be far from its own."""
    if max(*np.divide(image.spacing, spacing), *np.divide(spacing, image.spacing)) > MAX_MAGNIFICATION:
        found, expected = _pixel_sizes(image.spacing, spacing)
        expected = f"at most {MAX_MAGNIFICATION} times more or less than {expected}, as in training"
        raise BadInput(image.path, f"pixels of {found}", expected, "correct its spacing, or take another model")
    return replace(image, array=on_spacing(image.array, image.spacing, spacing), spacing=tuple(spacing))


def _pixel_sizes(*spacings: Sequence[float]) -> Iterator[str]:
    return (" x ".join(f"{size:g}" for size in sizes) for sizes in spacings)


def list_images(paths: Sequence[Path]) -> list[Path]:
    """All images of all files, and of folders of them."""
    files = [file for path in paths for file in images_of_folder(path) or [path]]
    return [image for file in files for image in images_in(file)]


def files_by_label_name(images: Sequence[Path], output: Path) -> dict[str, ImageFile]:
    """Images by the names of their label files in a folder.

    Raises
    ------
    BadInputs
        All problems that show without opening an image: missing files, equal names, images that would be overwritten.
    """
    problems: list[Exception] = []
    by_name: dict[str, ImageFile] = {}
    for image in images:
        first, *others = files_of(image)
        for path in (first, *others):
            if not os.path.exists(file_and_number(path)[0]):
                problems.append(BadInput(path, "no such file", "an image", "correct the path"))
        try:
            name = label_name(image)
        except BadInput as error:
            problems.append(error)
            continue
        if os.path.realpath(output / name) == os.path.realpath(first):
            problems.append(BadInput(first, "the image itself in the output folder", "another folder", "change -o"))
        if name in by_name:
            same = files_of(by_name[name].path)[0]
            problems.append(BadInput(first, f"the same name as {same}", "distinct names", "predict apart"))
        by_name[name] = ImageFile(image)
    if problems:
        raise BadInputs(problems)
    return by_name


def label_name(image: Path) -> str:
    """The name of an image's label file: its own, but for formats that labels are not written in."""
    return stem_and_suffix(files_of(image)[0].name)[0] + label_suffix(image)
