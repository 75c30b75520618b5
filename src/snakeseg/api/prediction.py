"""Load trained models, predict arrays."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from snakeseg.arrays import Lazy, as_lazy, iterate_blocks
from snakeseg.devices import choose_device
from snakeseg.errors import BadInput
from snakeseg.io.raster import Raster
from snakeseg.io.store import Streamed, read_parts, write_store
from snakeseg.objects.label_files import most_probable_classes, open_labels
from snakeseg.objects.parameters import load_parameters
from snakeseg.prediction.images import fit_to_model
from snakeseg.prediction.overlap_tile import assemble
from snakeseg.prediction.predict import predict_image
from snakeseg.prediction.predictor import Predictor, choose_stride, load_predictor
from snakeseg.transforms.argument_checks import require_finite, require_positive, require_spacing

# What `predict` can return.
OUTPUTS = ("labels", "classes", "probabilities")


def load_model(
    folder: str | Path, folds: Sequence[int] | None = None, threads: int = 1, gpus: int = 1, skip_golden: bool = False
) -> Predictor:
    """Load a trained model, or the models of an experiment's folds, whose mean is predicted.

    Parameters
    ----------
    folder : str or path
        Folder with model.json and model.safetensors, or with fold-* folders of them.
    folds : sequence of int, optional
        Numbers of the folds to average; all by default.
    threads : int
        Compute threads of this process, set for all of PyTorch: the same number gives the same bits.
    gpus : {1, 0}
        0 forbids an accelerator.
    skip_golden : bool
        Do not compare the model's output with the one noted at the end of its training.

    Returns
    -------
    Predictor
        For `predict`. Its `description` has the number of spatial axes `dims`, `channels`, `spacing` and `labels`.

    Raises
    ------
    BadInput
        If the folder holds no model, a damaged one, or one whose output differs from that of its training.

    Examples
    --------
    >>> model = snakeseg.load_model("results/demo/models/default/fold-0", gpus=0)
    >>> model.description.dims, model.description.channels, model.description.labels.kind
    (2, 1, 'instance')
    """
    return load_predictor([Path(folder)], choose_device(gpus, threads), folds, skip_golden=skip_golden)


def predict(
    model: Predictor,
    array: np.ndarray,
    spacing: Sequence[float] | None = None,
    output: Literal["labels", "classes", "probabilities"] = "labels",
    memory_gb: float | None = None,
) -> np.ndarray:
    """Predict an image of any size, tile by tile; the result has the bytes of `snakeseg predict`.

    Only the result is held whole: class probabilities behind labels and classes are kept in a temporary file.

    Parameters
    ----------
    model : Predictor
        From `load_model`.
    array : array, shape (channels, *spatial), or (*spatial) of one channel
        Raw intensities, as in training; anything that is sliced like an array, such as a Zarr array or a memmap.
    spacing : sequence of float, optional
        Pixel size along each spatial axis, in the unit of training. Unknown by default, as of a file that states none.
    output : {"labels", "classes", "probabilities"}
        labels: ids of instances, or the values of classes in label files. classes: the index of the most probable
        class of each pixel. probabilities: of every class.
    memory_gb : float, optional
        Limit on the memory of tiles in GB; by default half of what is free.

    Returns
    -------
    array
        labels: unsigned integers, shape (*spatial). classes: uint8, shape (*spatial). probabilities: float16, shape
        (classes, *spatial), on the pixels of the model if it resamples images to its own pixel size.

    Raises
    ------
    BadInput
        If `array` has other axes or channels than the model, NaN or infinite pixels, or another pixel size.

    Examples
    --------
    >>> cells = snakeseg.predict(model, image.array, image.spacing)
    >>> cells.shape, cells.dtype.name
    ((256, 256), 'uint32')
    """
    if output not in OUTPUTS:
        raise BadInput("output", f"'{output}'", f"one of {', '.join(OUTPUTS)}", "change the argument output")
    image = _raster(array, spacing, model.description.dims)
    if output == "probabilities":
        streamed = _stream(model, image, memory_gb, keep_probabilities=True)
        return assemble(streamed.pieces, streamed.shape)
    with tempfile.TemporaryDirectory(prefix="snakeseg-") as folder:
        store = Path(folder, "array.zarr.zip")
        write_store(store, [("array", {}, _stream(model, image, memory_gb))])
        ((_, _, stored),) = read_parts([store])
        return _classes(stored, image) if output == "classes" else _labels(model, stored, image, store)


def _raster(array, spacing: Sequence[float] | None, dims: int) -> Raster:
    """Return an array as an image that was read from a file: (channels, *spatial), checked as its pixels are read."""
    array = array if isinstance(getattr(array, "dtype", None), np.dtype) else np.asarray(array)
    axes = "zyx"[-dims:]
    if array.dtype.kind not in "biuf":
        remedy = "convert it by .astype"
        raise BadInput("array", f"dtype {array.dtype}", "an integer or float dtype", remedy)
    if len(array.shape) not in (dims, dims + 1) or 0 in array.shape:
        expected = f"axes ({', '.join(axes)}) or (channel, {', '.join(axes)}), no side 0"
        raise BadInput("array", f"shape {tuple(array.shape)}", expected, "index, squeeze or transpose it")
    pixels = as_lazy(array)
    if pixels.ndim == dims:
        chunks = pixels.chunks and (1, *pixels.chunks)
        pixels = Lazy((1, *pixels.shape), pixels.dtype, lambda region: array[region[1:]][None], chunks)
    checked = replace(pixels, read=lambda region: require_finite(np.asarray(pixels.read(region)), "array"))
    return Raster(checked, require_spacing(spacing, dims), Path("array"), axes)


def _stream(model: Predictor, image: Raster, memory_gb: float | None, keep_probabilities: bool = False) -> Streamed:
    """Return the prediction of an image as the command does: pieces that are computed as they are taken."""
    if memory_gb is not None:
        require_positive("memory_gb", memory_gb)
    fitted = fit_to_model(model.description, image)
    stride = choose_stride(model, fitted.array.shape[1:], memory_gb and memory_gb * 1e9)
    return predict_image(model, fitted, stride, keep=keep_probabilities)


def _labels(model: Predictor, stored: Mapping, image: Raster, path: Path) -> np.ndarray:
    """Return what a label file would hold; large intermediate arrays lie beside `path`."""
    labels = model.description.labels
    making = load_parameters(model.folders[0], labels)
    with open_labels(stored, labels, making, image.array.shape[1:], path) as (written, _):
        return _in_memory(written)


def _classes(stored: Mapping, image: Raster) -> np.ndarray:
    """Return the index of the most probable class of each pixel of the image's own grid."""
    return _in_memory(most_probable_classes(stored, image.array.shape[1:]))


def _in_memory(array) -> np.ndarray:
    """Read an array-like block by block, so that what it is computed from is never held whole."""
    whole = np.empty(array.shape, array.dtype)
    for region in iterate_blocks(array.shape, getattr(array, "chunks", None)):
        whole[region] = array[region]
    return whole
