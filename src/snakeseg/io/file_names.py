"""Names of image files: format, number of an image within a file, sample name.

The workflow loads this file by its path (`load_shared` in `workflow/rules/shared.smk`).
"""

import os
import re
from collections.abc import Iterable
from glob import escape, glob
from pathlib import Path

from ..errors import BadInput, BadInputs
from ..text import legal_name

# Module of the reader by suffix, imported on first use. Longer suffixes come first: .ome.tif before .tif.
IMAGE_SUFFIXES = {
    ".ome.tiff": "tiff",
    ".ome.tif": "tiff",
    ".nii.gz": "nifti",
    ".tiff": "tiff",
    ".tif": "tiff",
    ".nii": "nifti",
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
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
# Suffixes of microscope formats, whose files can contain several images.
MICROSCOPES = tuple(suffix for suffix, reader in IMAGE_SUFFIXES.items() if reader == "microscope")
# Files of which each Zarr folder has one: its metadata in Zarr versions 2 and 3.
ZARR_METADATA = (".zattrs", ".zgroup", ".zarray", "zarr.json")
# Path of one image in a file with several, counted from 1: experiment.lif#2.
NUMBERED_IMAGE = re.compile(r"(.+\.(?:czi|nd2|lif|tiff?))#([0-9]{1,6})", re.IGNORECASE)

FOLD = re.compile("fold-[0-9]{1,6}")


def split_file_names(cell: str | Path) -> list[Path]:
    """Return the files named in a cell of the sheet: a single file, or one file per channel separated by ";"."""
    return [Path(name.strip()) for name in str(cell).split(";")]


def file_and_number(path: str | Path) -> tuple[Path, int | None]:
    """Split a path such as `experiment.lif#2` into the file and the image number (from 1), or None without one."""
    match = NUMBERED_IMAGE.fullmatch(str(path))
    return (Path(match[1]), int(match[2])) if match else (Path(path), None)


def number_images(path: Path, count: int) -> list[Path]:
    """Return the paths of the images in a file: `name.lif#1`, `name.lif#2`, ..., or the file itself if it has one."""
    return [path.with_name(f"{path.name}#{n}") for n in range(1, count + 1)] if count > 1 else [path]


def stem_and_suffix(name: str) -> tuple[str, str]:
    """Split a file name into its stem and its format's suffix in lower case ("" for an unknown format).

    The stem of an image in a file with several ends in its number: `experiment.lif#2` gives "experiment-2".
    """
    path, number = file_and_number(name)
    suffix = next((suffix for suffix in IMAGE_SUFFIXES if path.name.lower().endswith(suffix)), "")
    stem = path.name[: -len(suffix)] if suffix else path.name
    return f"{stem}-{number}" if number else stem, suffix


def is_zarr(path: str | Path) -> bool:
    """Return True for a folder with the metadata of a Zarr group or array, whatever its name."""
    return os.path.isdir(path) and any(os.path.lexists(os.path.join(path, name)) for name in ZARR_METADATA)


def is_image_folder(path: str | Path) -> bool:
    """Return True for a folder that is one image: a Zarr, by its suffix or its metadata."""
    return str(path).lower().endswith(".zarr") or is_zarr(path)


def is_image_name(path: str | Path) -> bool:
    """Return True for a path with the suffix of an image format, or a Zarr folder."""
    return bool(stem_and_suffix(str(path))[1]) or is_zarr(path)


def image_stem(path: str | Path) -> str:
    """Return the stem of an image's name; in a Zarr, its path from there: `plate.zarr/A/1/0` gives "plate-A-1-0"."""
    path = Path(path)
    outer = [parent for parent in path.parents if parent.suffix.lower() == ".zarr" or is_zarr(parent)]
    names = [outer[-1].name, *path.relative_to(outer[-1]).parts] if outer else [path.name]
    return "-".join(stem_and_suffix(name)[0] for name in names)


def sample_names(paths: Iterable[str | Path]) -> list[str]:
    """Return the sample names of image files that are not listed in a sheet; raise BadInputs if two are equal."""
    path_of: dict[str, str | Path] = {}
    problems = []
    for path in paths:
        name = legal_name(image_stem(path))
        if name in path_of:
            found, remedy = f"the sample name '{name}', as of {path_of[name]}", "rename one of the two files"
            problems.append(BadInput(path, found, "file names that differ before the suffix", remedy))
        path_of[name] = path
    if problems:
        raise BadInputs(problems)
    return list(path_of)


def find_images(where: str) -> list[str]:
    """Return the sorted paths of the image files in a folder or matching a pattern; an image is its own only match."""
    if is_image_folder(where) if os.path.isdir(where) else os.path.isfile(where) and is_image_name(where):
        return [where]
    # The name of a folder may contain characters of a pattern.
    pattern = os.path.join(escape(where), "*") if os.path.isdir(where) else where
    return sorted(path for path in glob(pattern) if is_image_name(path))


def list_fold_folders(folder: Path) -> list[Path]:
    """Return the `fold-*` folders of an experiment in numerical order, or the folder itself if it is a single model."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    folds = sorted((name for name in names if FOLD.fullmatch(name)), key=lambda name: int(name.removeprefix("fold-")))
    folds = [folder / name for name in folds if os.path.isfile(folder / name / "model.json")]
    return folds if folds and "model.json" not in names else [folder]
