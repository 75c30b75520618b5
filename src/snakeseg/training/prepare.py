"""Training arrays from raw files: normalised images, classes, objects; elastic copies; border terms of the weights."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.io.colours import has_equal_channels
from snakeseg.io.files import checksum
from snakeseg.io.images import open_image, read, read_label_for
from snakeseg.io.raster import Raster
from snakeseg.io.sheet import spacing_of
from snakeseg.io.store import read_store
from snakeseg.settings import Augment, Labels, Prepare, Weigh
from snakeseg.training.targets import TargetSettings, border_term
from snakeseg.transforms.elastic import IMAGE_ORDER, apply_field, sample_field
from snakeseg.transforms.labels import interpret_labels
from snakeseg.transforms.normalise import content_box, intensity_statistics, normalise
from snakeseg.transforms.resample import grid_shape, nearest, on_spacing, resampled_classes

# Name, attributes and arrays of an entry of a store.
Sample = tuple[str, dict, dict[str, np.ndarray]]


def data_statistics(rows: pd.DataFrame, dims: int, settings: Prepare) -> dict:
    """Compute statistics of images.

    Parameters
    ----------
    rows : DataFrame
        Rows of the sample sheet: the images that a fold trains on, without those it holds out.
    dims : int
        Number of spatial dimensions.
    settings : Prepare

    Returns
    -------
    dict
        offset, scale : list of float
            Normalisation per channel, as the mean over images.
        spacing : list of float or None
            Target spacing (pixel size), one per axis; None if images are not resampled.
    """
    spacings = [spacing_of(row.spacing, open_image(row.image, dims).spacing) for row in rows.itertuples()]
    offsets, scales = [], []
    for path in rows["image"]:
        image = _without_equal_channels(read(path, dims).array)
        offset, scale = intensity_statistics(image[(slice(None), *content_box(image, settings))], settings)
        offsets.append(offset)
        scales.append(scale)
    return {
        "offset": _mean_per_channel(offsets),
        "scale": _mean_per_channel(scales),
        "spacing": np.median(spacings, axis=0).tolist() if settings.spacing == "auto" else settings.spacing,
    }


def prepare_rows(
    rows: pd.DataFrame, dims: int, labels: Labels, settings: Prepare, statistics: dict | None
) -> Iterator[Sample]:
    """Yield prepared samples.

    Parameters
    ----------
    rows : DataFrame
        Rows of the sample sheet.
    dims : int
        Number of spatial dimensions.
    labels : Labels
    settings : Prepare
    statistics : dict or None
        From `data_statistics`; needed if `settings.scope` is "dataset" or `settings.spacing` is "auto".

    Yields
    ------
    Sample
        Arrays: image float32 (channels, *spatial), classes uint8 (*spatial), objects int32 (*spatial). Touching objects
        are not separated: elastic deformation would close the gap (`targets.make_target` separates them afterwards).

    Raises
    ------
    BadInput
        If image and label do not fit together, or a file cannot be read.
    """
    for row in rows.itertuples():
        raster = read(row.image, dims)
        label = read_label_for(raster, row.label)
        image = _without_equal_channels(raster.array)
        if settings.scope == "dataset":
            image = np.broadcast_to(image, (len(statistics["offset"]), *image.shape[1:]))
        spacing = spacing_of(row.spacing, raster.spacing)
        if settings.spacing:
            target = statistics["spacing"] if settings.spacing == "auto" else settings.spacing
            image, label = on_spacing(image, spacing, target), _label_on_spacing(label, labels, spacing, target)
            spacing = target
        box = content_box(image, settings)
        classes, objects = interpret_labels(label.array[box], labels, row.label)
        attributes = {
            "group": row.group,
            "spacing": list(spacing),
            "image": {"path": str(row.image), "sha256": checksum(row.image)},
            "label": {"path": str(row.label), "sha256": checksum(row.label)},
            "prepare": asdict(settings),
            "statistics": statistics if settings.scope == "dataset" else None,
        }
        image = normalise(image, settings, statistics, box)[(slice(None), *box)]
        yield row.sample, attributes, {"image": image, "classes": classes, "objects": objects}


def _without_equal_channels(image: np.ndarray) -> np.ndarray:
    """Return the first channel of a grey image that is stored as colours, shape (1, *spatial); else the image."""
    return image[:1] if has_equal_channels(image) else image


def _mean_per_channel(statistics: list) -> list[float]:
    """Average over images; the statistic of a grey image counts for each channel of the others."""
    return np.mean(np.broadcast_arrays(*statistics), axis=0).tolist()


def _label_on_spacing(label: Raster, labels: Labels, spacing: Sequence[float], target: Sequence[float]) -> Raster:
    """Resample a label: instance ids by the nearest pixel, classes by the likeliest class."""
    shape = grid_shape(label.array.shape, spacing, target)
    instances = labels.kind == "instance"
    return replace(label, array=nearest(label.array, shape)[:] if instances else resampled_classes(label.array, shape))


def elastic_copies(prepared: Path, settings: Augment) -> Iterator[Sample]:
    """Yield `settings.copies` elastically deformed copies of every sample, named SAMPLE~1, SAMPLE~2, ...

    Image, classes and objects of a copy have the same displacement field.

    Parameters
    ----------
    prepared : path
        Store of prepared samples.
    settings : Augment
    """
    for name, attributes, group in read_store(prepared):
        arrays = {key: group[key][:] for key in ("image", "classes", "objects")}
        dims = arrays["classes"].ndim
        for copy in range(1, settings.copies + 1):
            rng = np.random.default_rng([settings.seed, copy, *name.encode()])
            field = sample_field(rng, arrays["classes"].shape, settings.grid, settings.std, attributes["spacing"])
            order = {"image": IMAGE_ORDER[dims], "classes": 0, "objects": 0}
            moved = {key: apply_field(array, field, order[key]) for key, array in arrays.items()}
            yield f"{name}~{copy}", {**attributes, "copy_of": name}, moved


def border_terms(stores: list[Path], settings: Weigh, labels: Labels) -> Iterator[Sample]:
    """Yield the border term of the weight map of every sample; a training adds the class weights of its own images.

    Parameters
    ----------
    stores : list of path
        Stores of prepared samples and of copies.
    settings : Weigh
        `sigma` is in pixels of the axis with the smallest pixel size.
    labels : Labels

    References
    ----------
    Ronneberger et al. 2015, equation 2.
    """
    target = TargetSettings(labels.kind, weigh=settings)
    for store in stores:
        for name, attributes, group in read_store(store):
            term = border_term(group["classes"][:], group["objects"][:], target, attributes["spacing"])
            yield name, {}, {"border": term}
