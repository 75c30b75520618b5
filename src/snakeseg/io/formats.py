"""File formats by suffix: formats that are read, formats of label files, remedies for other formats."""

import os
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.io.file_names import (
    IMAGE_SUFFIXES,
    MICROSCOPES,
    file_and_number,
    is_image_folder,
    is_image_name,
    is_zarr,
    split_file_names,
)

# "Suffix" of a folder with a DICOM series.
DICOM = ""
ZARR = ".zarr"
# Remedies for formats that are not read. NumPy files can contain a pickle, which can run code; those of Cellpose do.
REMEDIES = {
    ".npy": "save the masks as PNG or TIFF (Cellpose: --save_png, --save_tif, or its menu File)",
    **dict.fromkeys((".roi", ".zip", ".geojson"), "make labels of the outlines: snakeseg convert"),
}
# Suffix of label files for image formats that consist of two files or cannot store labels.
LABEL_SUFFIXES = {
    ".mhd": ".mha",
    ".nhdr": ".nrrd",
    DICOM: ".nii.gz",
    ".jpg": ".tif",
    ".jpeg": ".tif",
    **dict.fromkeys(MICROSCOPES, ".ome.tif"),
}


def suffix_of(path: str | Path) -> str:
    """Return the suffix of an image's format.

    Parameters
    ----------
    path : path
        A file, a folder, or several files separated by ";", of which the first counts.

    Returns
    -------
    str
        The suffix in the case in which it is written; `ZARR` for a folder with metadata of Zarr, or a path in a folder
        of this suffix; `DICOM` for another folder without a known suffix.

    Raises
    ------
    BadInput
        If the format is unknown.
    """
    path, _ = file_and_number(split_file_names(path)[0])
    is_inside = any(parent.suffix.lower() == ZARR for parent in path.parents)
    if is_zarr(path) and path.suffix.lower() != ZARR:
        return ZARR
    for suffix in IMAGE_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[-len(suffix) :]
    if is_inside:
        return ZARR
    if os.path.isdir(path):
        return DICOM
    found, remedy = f"format '{path.suffix}'", REMEDIES.get(path.suffix.lower(), "convert it to one of these")
    raise BadInput(path, found, ", ".join(IMAGE_SUFFIXES), remedy)


def reader_name(path: str | Path) -> str:
    """Return the name of the module in `io.readers` that reads an image; errors as in `suffix_of`."""
    return IMAGE_SUFFIXES.get(suffix_of(path).lower(), "itk")


def images_of_folder(path: Path) -> list[Path]:
    """Return the sorted image files in a folder; an empty list for a file, or a folder that is an image itself."""
    if not os.path.isdir(path) or is_image_folder(path):
        return []
    return sorted(p for p in path.iterdir() if is_image_name(p) and not p.name.startswith("."))


def require_lossless(path: str | Path) -> Path:
    """Return the path of a label image; raise BadInput for JPEG, which changes the values of pixels."""
    if IMAGE_SUFFIXES.get(suffix_of(path).lower()) == "jpeg":
        remedy = "export the label again from the program in which it was drawn"
        raise BadInput(path, "a label in JPEG, which changes values near edges", "a label in PNG or TIFF", remedy)
    return Path(path)


def is_shown_inverted(path: str | Path) -> bool:
    """Return True if an image that can be opened is a TIFF whose small values viewers show bright."""
    if IMAGE_SUFFIXES.get(suffix_of(path).lower()) != "tiff":
        return False
    from snakeseg.io.readers import tiff

    return any(tiff.is_shown_inverted(file) for file in split_file_names(path))


def label_suffix(image: str | Path) -> str:
    """Return the suffix of the label files that are written for an image; errors as in `suffix_of`."""
    suffix = suffix_of(image)
    return LABEL_SUFFIXES.get(suffix.lower(), suffix)
