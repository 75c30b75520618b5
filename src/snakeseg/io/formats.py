"""Formats by the suffixes of names: what is read, what labels are written as, what is to be done about others."""

import os
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.io.file_names import FORMATS, MICROSCOPES, file_and_number, files_of, stem_and_suffix

# In place of a suffix: a folder of a DICOM series has none.
DICOM = ""
# What is to be done about formats that are not read. NumPy's may hold a pickle, which could run code; Cellpose's do.
ELSEWHERE = {
    ".npy": "save the masks as PNG or TIFF (Cellpose: --save_png, --save_tif, or its menu File)",
    **dict.fromkeys((".roi", ".zip", ".geojson"), "make labels of the outlines: snakeseg convert"),
}
# Labels of these are written in another format: theirs would be two files, or has none for labels.
WRITTEN = {
    ".mhd": ".mha",
    ".nhdr": ".nrrd",
    DICOM: ".nii.gz",
    **dict.fromkeys(MICROSCOPES, ".ome.tif"),
}


def suffix_of(path: str | Path) -> str:
    """The format's suffix of a file name, as written; of several, the first one's; `DICOM` of other folders.

    Raises
    ------
    BadInput
        If the format is not known.
    """
    path, _ = file_and_number(files_of(path)[0])
    for suffix in FORMATS:
        if path.name.lower().endswith(suffix):
            return path.name[-len(suffix) :]
    if os.path.isdir(path):
        return DICOM
    found, remedy = f"format '{path.suffix}'", ELSEWHERE.get(path.suffix.lower(), "convert the file")
    raise BadInput(path, found, ", ".join(FORMATS), remedy)


def images_of_folder(path: Path) -> list[Path]:
    """Image files of a folder that is no image itself, in the order of their names; none of anything else."""
    if not os.path.isdir(path) or stem_and_suffix(path.name)[1]:
        return []
    return sorted(p for p in path.iterdir() if stem_and_suffix(p.name)[1] and not p.name.startswith("."))


def label_suffix(image: str | Path) -> str:
    """The suffix of label files that are written for an image; errors as in `suffix_of`."""
    suffix = suffix_of(image)
    return WRITTEN.get(suffix.lower(), suffix)
