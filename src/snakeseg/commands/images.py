"""Subcommands that write images, labels and sheets from other files."""

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.io.file_names import find_images, sample_names
from snakeseg.io.files import atomic_folder, atomic_output, write_text
from snakeseg.io.tables import write_table
from snakeseg.settings import read_settings

# A file that marks a folder of simulated images, which may be replaced (also in workflow/rules/config.smk).
SIMULATION_MARK = "simulated.json"


def sheet(args: Namespace) -> None:
    """Write a sample sheet of images without labels."""
    from snakeseg.io.images import list_images_in_file

    images = [image for path in find_images(args.images) for image in list_images_in_file(Path(path))]
    columns = {"sample": sample_names(images), "image": list(map(str, images)), "subset": "predict"}
    write_table(args.output, pd.DataFrame(columns))


def convert(args: Namespace) -> None:
    """Convert a label image to outlines, or outlines or masks to a label image."""
    from snakeseg.io.formats import images_of_folder
    from snakeseg.io.images import read_label
    from snakeseg.io.rois import SUFFIXES, write_shapes
    from snakeseg.objects.polygons import trace_outlines

    masks = images_of_folder(args.input)
    if masks or args.input.suffix.lower() in SUFFIXES:
        _write_labels(args, masks)
        return
    if args.output.suffix.lower() not in (".geojson", ".json", ".zip"):
        remedy = "change --output to a name that ends in .geojson or .zip"
        raise BadInput(args.output, f"outlines as '{args.output.suffix}'", ".geojson or .zip", remedy)
    write_shapes(args.output, trace_outlines(read_label(args.input, 2).array))


def _write_labels(args: Namespace, masks: list[Path]) -> None:
    """Write labels from masks, or from outlines if there are no masks, in the format of the image of --like."""
    from snakeseg.io.formats import label_suffix, suffix_of
    from snakeseg.io.images import open_image, write_labels
    from snakeseg.io.rois import read_shapes
    from snakeseg.objects.masks import combine_masks
    from snakeseg.objects.polygons import rasterise_polygons

    if args.like is None:
        expected = "the image on which outlines or masks were drawn"
        raise BadInput(args.input, "no --like", expected, "add --like IMAGE")
    source = open_image(args.like, 2)
    suffix = label_suffix(args.like)
    if suffix_of(args.output).lower() != suffix.lower():
        remedy = f"change --output to a name that ends in {suffix}"
        raise BadInput(args.output, "another format than that of --like", suffix, remedy)
    shape = source.array.shape[1:]
    labels = combine_masks(masks, source) if masks else rasterise_polygons(read_shapes(args.input), shape)
    with atomic_output(args.output) as beside:
        write_labels(beside, labels, source)


def simulate(args: Namespace) -> None:
    """Write simulated images and labels into two folders: TIFF planes, or NIfTI volumes with slices of 2 mm."""
    from snakeseg.transforms.simulate import simulate_cells

    settings = read_settings(args.settings)
    dims, settings = settings.spatial_dims, settings.simulate
    with atomic_folder(args.output, SIMULATION_MARK) as folder:
        write_text(folder / SIMULATION_MARK, json.dumps({"dims": dims, **asdict(settings)}) + "\n")
        for kind in ("images", "labels"):
            (folder / kind).mkdir()
        for index in range(settings.images):
            rng = np.random.default_rng([settings.seed, index])
            pair = simulate_cells(rng, (settings.size,) * dims, settings.cells)
            for kind, array in zip(("images", "labels"), pair, strict=True):
                _write_simulated(folder / kind / f"cells-{index:02d}", array)


def _write_simulated(path: Path, array) -> None:
    """Write a plane as TIFF, or every second slice of a volume as NIfTI."""
    import nibabel
    import tifffile

    if array.ndim == 2:
        tifffile.imwrite(path.with_suffix(".tif"), array, compression="zlib")
    else:
        volume = nibabel.Nifti1Image(array[:, :, ::2], np.diag([1, 1, 2, 1]))
        volume.header.set_xyzt_units("mm")
        nibabel.save(volume, path.with_suffix(".nii.gz"))
