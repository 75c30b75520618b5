"""What the names of image files say: their format, which image of a file is meant, and the name of a sample.

The workflow loads this file by its path (`load_shared` in `workflow/rules/shared.smk`).
"""

import os
import re
from glob import escape, glob
from pathlib import Path

from ..text import legal_name

# The reader of each format, imported when a file of it is met. Longest first, so that .ome.tif is not taken for .tif.
FORMATS = {
    ".ome.tiff": "tiff",
    ".ome.tif": "tiff",
    ".nii.gz": "nifti",
    ".tiff": "tiff",
    ".tif": "tiff",
    ".nii": "nifti",
    ".png": "png",
    ".ome.zarr": "ome_zarr",
    ".zarr": "ome_zarr",
    ".mha": "itk",
    ".mhd": "itk",
    ".nrrd": "itk",
    ".nhdr": "itk",
    ".czi": "microscope",
    ".nd2": "microscope",
    ".lif": "microscope",
}
# Formats whose files may hold several images.
MICROSCOPES = tuple(suffix for suffix, reader in FORMATS.items() if reader == "microscope")
# One of the images of a microscope's file, counted from 1: experiment.lif#2.
ONE_OF = re.compile(r"(.+\.(?:czi|nd2|lif))#([0-9]{1,6})", re.IGNORECASE)

FOLD = re.compile("fold-[0-9]{1,6}")


def files_of(cell: str | Path) -> list[Path]:
    """Return the files that a cell of the sheet names: one, or several separated by ";", one per channel."""
    return [Path(name.strip()) for name in str(cell).split(";")]


def file_and_number(path: str | Path) -> tuple[Path, int | None]:
    """Return the file on disk, and the number of the image in it, from 1; None without a number."""
    match = ONE_OF.fullmatch(str(path))
    return (Path(match[1]), int(match[2])) if match else (Path(path), None)


def stem_and_suffix(name: str) -> tuple[str, str]:
    """Return a file's name without its format's suffix, and that suffix in lower case; "" if it is not known.

    One of several images has its number in its name: `experiment.lif#2` is called "experiment-2".
    """
    path, number = file_and_number(name)
    suffix = next((suffix for suffix in FORMATS if path.name.lower().endswith(suffix)), "")
    stem = path.name[: -len(suffix)] if suffix else path.name
    return f"{stem}-{number}" if number else stem, suffix


def sample_name(path: str | Path) -> str:
    """Return the name of the sample that an image file is, without a sheet."""
    return legal_name(stem_and_suffix(str(path))[0])


def find_images(where: str) -> list[str]:
    """Return the paths of the image files in a folder, or that match a pattern, in the order of their names."""
    where = f"{escape(where)}/*" if os.path.isdir(where) and not where.endswith(".zarr") else where
    return sorted(path for path in glob(where) if path.lower().endswith(tuple(FORMATS)))


def model_folders(folder: Path) -> list[Path]:
    """Return the folder of a model, or its fold-* folders by number if it holds an experiment's models."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    folds = sorted((name for name in names if FOLD.fullmatch(name)), key=lambda name: int(name.removeprefix("fold-")))
    folds = [folder / name for name in folds if os.path.isfile(folder / name / "model.json")]
    return folds if folds and "model.json" not in names else [folder]
