"""From raw files to training arrays: normalised images, classes, separated objects; elastic copies; loss weights."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.deform import apply_field, displacement_field, draw_grid
from snakeseg.grey import grey_statistics, normalise
from snakeseg.io.files import checksum
from snakeseg.io.raster import read, read_label, require_same_shape
from snakeseg.io.sheet import spacing_of
from snakeseg.io.store import read_store
from snakeseg.labels import IGNORED, training_labels
from snakeseg.settings import Augment, Labels, Prepare, Weigh
from snakeseg.weights import border_weights, class_weights

Sample = tuple[str, dict, dict[str, np.ndarray]]


def data_statistics(rows: pd.DataFrame, dims: int, labels: Labels, settings: Prepare) -> dict:
    """Statistics of all training images.

    Returns
    -------
    dict
        offset, scale: per channel, the means of the images' own values; class_counts: pixels of each class, after
        touching objects were separated.
    """
    offsets, scales, counts = [], [], np.zeros(len(labels.classes), np.int64)
    for row in rows.itertuples():
        offset, scale = grey_statistics(read(row.image, dims).array, settings)
        offsets.append(offset)
        scales.append(scale)
        classes, _ = training_labels(read_label(row.label, dims).array, labels, row.label)
        counts += np.bincount(classes[classes != IGNORED], minlength=len(counts))
    return {
        "offset": np.mean(offsets, axis=0).tolist(),
        "scale": np.mean(scales, axis=0).tolist(),
        "class_counts": counts.tolist(),
    }


def prepare_rows(
    rows: pd.DataFrame, dims: int, labels: Labels, settings: Prepare, statistics: dict | None
) -> Iterator[Sample]:
    """Prepared samples: image float32 (channels, *spatial), classes uint8 and objects int32 (*spatial)."""
    for row in rows.itertuples():
        raster, label = read(row.image, dims), read_label(row.label, dims)
        require_same_shape(raster, label)
        classes, objects = training_labels(label.array, labels, row.label)
        attributes = {
            "group": row.group,
            "spacing": list(spacing_of(row.spacing, raster.spacing)),
            "image": {"path": str(row.image), "sha256": checksum(row.image)},
            "label": {"path": str(row.label), "sha256": checksum(row.label)},
            "prepare": asdict(settings),
            "statistics": statistics if settings.scope == "dataset" else None,
        }
        image = normalise(raster.array, settings, statistics)[:]
        yield row.sample, attributes, {"image": image, "classes": classes, "objects": objects}


def elastic_copies(prepared: Path, settings: Augment) -> Iterator[Sample]:
    """`settings.copies` deformed copies of every sample, named SAMPLE~1, SAMPLE~2, ...; one field moves them all."""
    for name, attributes, group in read_store(prepared):
        arrays = {key: group[key][:] for key in ("image", "classes", "objects")}
        dims = arrays["classes"].ndim
        for copy in range(1, settings.copies + 1):
            rng = np.random.default_rng([settings.seed, copy, *name.encode()])
            field = displacement_field(draw_grid(rng, dims, settings.grid, settings.std), arrays["classes"].shape)
            order = {"image": 3 if dims == 2 else 1, "classes": 0, "objects": 0}
            moved = {key: apply_field(array, field, order[key]) for key, array in arrays.items()}
            yield f"{name}~{copy}", {**attributes, "copy_of": name}, moved


def weight_maps(stores: list[Path], settings: Weigh, statistics: dict | None) -> Iterator[Sample]:
    """The paper's ``w(x) = w_c(x) + w0 exp(-(d1 + d2)**2 / (2 sigma**2))`` for every sample; 0 where ignored.

    sigma is in pixels of the finest axis.
    """
    balance = class_weights(statistics["class_counts"]) if settings.classes == "balanced" else None
    for store in stores:
        for name, attributes, group in read_store(store):
            classes = group["classes"][:]
            finest = min(attributes["spacing"])
            spacing = [size / finest for size in attributes["spacing"]]
            weights = border_weights(group["objects"][:], settings.w0, settings.sigma, spacing)
            ignored = classes == IGNORED
            weights += 1 if balance is None else balance[np.where(ignored, 0, classes)]
            weights[ignored] = 0
            yield name, {}, {"weights": weights}
