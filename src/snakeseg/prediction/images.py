"""Images to predict: each file is opened once by its header; pixels are decoded when predicted, then freed."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from snakeseg.errors import BadInput, BadInputs
from snakeseg.io.colours import COLOURS, first_channel, has_equal_channels
from snakeseg.io.file_names import file_and_number, image_stem, split_file_names
from snakeseg.io.formats import images_of_folder, label_suffix
from snakeseg.io.images import list_images_in_file, open_image
from snakeseg.io.raster import Raster
from snakeseg.io.readers.orientation import stretched_affine
from snakeseg.io.sheet import spacing_of
from snakeseg.models.description import Description
from snakeseg.transforms.resample import has_same_spacing, on_spacing

# Largest ratio of pixel sizes along an axis; beyond it, resampling takes too much time and memory.
MAX_MAGNIFICATION = 50


class ImageFile(NamedTuple):
    """Path of an image, and its pixel size in the sheet's notation; if empty, the pixel size of the file is used."""

    path: Path
    spacing: str = ""


class OpenImage(NamedTuple):
    """An image whose pixels are not read yet.

    Parameters
    ----------
    source : Raster
        On the grid of its file.
    fitted : Raster
        On the grid of the network.
    """

    source: Raster
    fitted: Raster

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape on the network's grid, without channels."""
        return self.fitted.array.shape[1:]


def open_images(description: Description, files: Mapping[str, ImageFile]) -> dict[str, OpenImage]:
    """Open images without reading their pixels.

    Parameters
    ----------
    description : Description
        Description of the model.
    files : mapping of str to ImageFile
        Image files by name.

    Returns
    -------
    dict of str to OpenImage
        By the same names.

    Raises
    ------
    BadInputs
        All problems of all images: files that cannot be opened, or that `fit_to_model` rejects.
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


def drain_images(images: dict[str, OpenImage]) -> Iterator[tuple[str, OpenImage]]:
    """Yield images in order and remove them from the dict, so that the pixels of predicted images are freed."""
    while images:
        name = next(iter(images))
        yield name, images.pop(name)


def _open(description: Description, file: ImageFile) -> OpenImage:
    source = open_image(file.path, description.dims)
    # Opened once more, since some formats keep the pixels in memory after the first read.
    is_coloured = description.channels == 1 and source.array.shape[0] == COLOURS
    if is_coloured and has_equal_channels(open_image(file.path, description.dims).array):
        source = replace(source, array=first_channel(source.array))
    unknown, spacing = "" if file.spacing else source.unknown, spacing_of(file.spacing, source.spacing)
    fitted = fit_to_model(description, replace(source, spacing=spacing, unknown=unknown))
    if source.affine is not None:
        affine = stretched_affine(source.affine, source.array.shape[1:], fitted.array.shape[1:])
        fitted = replace(fitted, affine=affine)
    return OpenImage(source, fitted)


def fit_to_model(description: Description, image: Raster) -> Raster:
    """Return the image, resampled to the model's pixel size if necessary.

    Along an axis whose pixel size is unknown, while that of another is known, the model's is assumed. The image is
    resampled if `prepare.spacing` resampled all training images, or if both pixel sizes are known and differ and
    `predict.spacing` is "resample".

    Parameters
    ----------
    description : Description
        Description of the model.
    image : Raster
        Array (channels, *spatial).

    Raises
    ------
    BadInput
        If its number of channels differs from training. If its pixel size differs and `predict.spacing` is "refuse", or
        differs by more than a factor of `MAX_MAGNIFICATION`.
    """
    if image.array.shape[0] != description.channels:
        expected = f"{description.channels}, as in training"
        raise BadInput(
            image.path, f"{image.array.shape[0]} channels", expected, "save it with the channels of the training images"
        )
    model_spacing = description.spacing or []
    image = _assume_sizes(image, model_spacing)
    image_spacing = image.spacing
    if description.prepare.spacing:
        return _resampled_image(image, model_spacing)
    # A pixel size of 1 along all axes means that it is unknown.
    are_known = all(any(size != 1 for size in spacing) for spacing in (model_spacing, image_spacing))
    if not are_known or description.predict.spacing == "ignore":
        return image
    if has_same_spacing(image_spacing, model_spacing):
        return image
    if description.predict.spacing == "resample":
        return _resampled_image(image, model_spacing)
    found, expected = _format_spacings(image_spacing, model_spacing)
    remedy = (
        "correct the pixel size (column spacing of the sheet), "
        "or set predict.spacing to resample or ignore in model.json"
    )
    raise BadInput(image.path, f"pixels of {found}", f"about {expected}, as in training", remedy)


def _assume_sizes(image: Raster, spacing: Sequence[float]) -> Raster:
    """Give the axes of unknown size that of the model, if another axis has a known size."""
    if not spacing or not 0 < len(image.unknown) < len(image.axes):
        return image
    sizes = zip(image.axes, image.spacing, spacing, strict=True)
    return replace(image, spacing=tuple(model if axis in image.unknown else own for axis, own, model in sizes))


def _resampled_image(image: Raster, spacing: Sequence[float]) -> Raster:
    """Return the image on another pixel size; raise BadInput if the ratio exceeds `MAX_MAGNIFICATION`."""
    if max(*np.divide(image.spacing, spacing), *np.divide(spacing, image.spacing)) > MAX_MAGNIFICATION:
        found, expected = _format_spacings(image.spacing, spacing)
        expected = f"at most {MAX_MAGNIFICATION} times larger or smaller than {expected}, as in training"
        remedy = "correct the pixel size (column spacing of the sheet), or use another model"
        raise BadInput(image.path, f"pixels of {found}", expected, remedy)
    return replace(image, array=on_spacing(image.array, image.spacing, spacing), spacing=tuple(spacing))


def _format_spacings(*spacings: Sequence[float]) -> Iterator[str]:
    return (" x ".join(f"{size:g}" for size in spacing) for spacing in spacings)


def list_images(paths: Sequence[Path]) -> list[Path]:
    """Return the paths of all images in files and folders; files with several images give one path each."""
    files = [file for path in paths for file in images_of_folder(path) or [path]]
    return [image for file in files for image in list_images_in_file(file)]


def files_by_label_name(images: Sequence[Path], output: Path) -> dict[str, ImageFile]:
    """Return image files by the names of their label files.

    Parameters
    ----------
    images : sequence of path
    output : path
        Folder of the label files.

    Raises
    ------
    BadInputs
        All problems that are visible without opening an image: missing files, equal names, labels that would overwrite
        an image.
    """
    problems: list[Exception] = []
    by_name: dict[str, ImageFile] = {}
    for image in images:
        first, *others = split_file_names(image)
        for path in (first, *others):
            if not os.path.exists(file_and_number(path)[0]):
                problems.append(BadInput(path, "no such file", "an image", "correct the path"))
        try:
            name = label_name(image)
        except BadInput as error:
            problems.append(error)
            continue
        if os.path.realpath(output / name) == os.path.realpath(first):
            remedy = "name a folder without images: -o FOLDER"
            problems.append(BadInput(first, "the image itself in the output folder", "another folder", remedy))
        if name in by_name:
            other = split_file_names(by_name[name].path)[0]
            remedy = "predict the two images in separate calls, each with its own -o FOLDER"
            problems.append(BadInput(first, f"the same name as {other}", "distinct names", remedy))
        by_name[name] = ImageFile(image)
    if problems:
        raise BadInputs(problems)
    return by_name


def label_name(image: Path) -> str:
    """Return the name of an image's label file: the image's name, with another suffix if labels need one."""
    return image_stem(split_file_names(image)[0]) + label_suffix(image)
