"""Subcommands that make images, labels and sheets of other files."""

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.io.file_names import find_images, sample_name
from snakeseg.io.files import atomic_folder, atomic_output, write_text
from snakeseg.io.tables import write_table
from snakeseg.settings import read_settings

# What the folder of simulated images holds besides: it may be replaced.
SIMULATION_MARK = "simulated.json"


def sheet(given: Namespace) -> None:
    """A sample sheet of images that need no labels."""
    from snakeseg.io.images import images_in

    images = [image for path in find_images(given.images) for image in images_in(Path(path))]
    rows = [{"sample": sample_name(image), "image": str(image), "subset": "predict"} for image in images]
    write_table(given.output, pd.DataFrame(rows, columns=["sample", "image", "subset"]))


def convert(given: Namespace) -> None:
    """Outlines of a label image, or labels of outlines or masks."""
    from snakeseg.io.formats import images_of_folder
    from snakeseg.io.images import read_label
    from snakeseg.io.rois import SUFFIXES, write_shapes
    from snakeseg.objects.polygons import outlines_of

    masks = images_of_folder(given.input)
    if masks or given.input.suffix.lower() in SUFFIXES:
        _write_labels(given, masks)
        return
    if given.output.suffix.lower() not in (".geojson", ".json", ".zip"):
        raise BadInput(given.output, f"outlines as '{given.output.suffix}'", ".geojson or .zip", "change --output")
    write_shapes(given.output, outlines_of(read_label(given.input, 2).array))


def _write_labels(given: Namespace, masks: list[Path]) -> None:
    """Write labels of masks, or of outlines if there are none, in the format of the image they were drawn on."""
    from snakeseg.io.formats import label_suffix, suffix_of
    from snakeseg.io.images import open_image, write_labels
    from snakeseg.io.rois import read_shapes
    from snakeseg.objects.masks import labels_of_masks
    from snakeseg.objects.polygons import rasterised

    if given.like is None:
        raise BadInput(given.input, "no --like", "the image that was drawn on", "add --like IMAGE")
    source = open_image(given.like, 2)
    if suffix_of(given.output).lower() != label_suffix(given.like).lower():
        raise BadInput(given.output, "another format than that of --like", label_suffix(given.like), "change --output")
    shape = source.array.shape[1:]
    labels = labels_of_masks(masks, source) if masks else rasterised(read_shapes(given.input), shape)
    with atomic_output(given.output) as beside:
        write_labels(beside, labels, source)


def simulate(given: Namespace) -> None:
    """Images and labels in two folders: TIFF planes, or NIfTI volumes whose slices are two pixels thick."""
    from snakeseg.transforms.simulate import simulate_cells

    settings = read_settings(given.settings)
    dims, settings = settings.spatial_dims, settings.simulate
    with atomic_folder(given.output, SIMULATION_MARK) as folder:
        write_text(folder / SIMULATION_MARK, json.dumps({"dims": dims, **asdict(settings)}) + "\n")
        for kind in ("images", "labels"):
            (folder / kind).mkdir()
        for index in range(settings.images):
            rng = np.random.default_rng([settings.seed, index])
            made = simulate_cells(rng, (settings.size,) * dims, settings.cells)
            for kind, array in zip(("images", "labels"), made, strict=True):
                _write_simulated(folder / kind / f"cells-{index:02d}", array)


def _write_simulated(path: Path, array) -> None:
    import nibabel
    import tifffile

    if array.ndim == 2:
        tifffile.imwrite(path.with_suffix(".tif"), array, compression="zlib")
    else:
        volume = nibabel.Nifti1Image(array[:, :, ::2], np.diag([1, 1, 2, 1]))
        volume.header.set_xyzt_units("mm")
        nibabel.save(volume, path.with_suffix(".nii.gz"))
