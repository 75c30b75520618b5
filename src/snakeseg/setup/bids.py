"""Read BIDS folders: T1-weighted images of subjects, with segmentations in the derivatives."""

import re
from pathlib import Path

import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.setup.layout import Layout, sheet_of
from snakeseg.text import legal_name

# An entity in a name such as sub-01_ses-a_T1w.nii.gz, which ends in a suffix.
ENTITY = re.compile(r"([A-Za-z0-9]+)-([A-Za-z0-9+]+)")
NIFTI = (".nii.gz", ".nii")


def read_bids(folder: Path) -> Layout:
    """Pair the T1-weighted images of a BIDS folder with the segmentations in its derivatives.

    A segmentation (``*_dseg``, else ``*label*_mask``) belongs to an image if its name has all entities of the image.
    Images without a segmentation are to be predicted. Each subject is a group.

    Parameters
    ----------
    folder : path
        Folder that contains the folders sub-*.

    Returns
    -------
    Layout
        With semantic labels; classes from a table dseg.tsv, if there is one.

    Raises
    ------
    BadInput
        If there are no images, no segmentations, or several segmentations of one image.
    """
    images = _nifti_files(folder, "anat/*_T1w", "")
    if not images:
        raise BadInput(
            folder, "no sub-*/[ses-*/]anat/*_T1w.nii.gz", "at least one such image",
            "give the folder that contains sub-*: snakeseg init FOLDER",
        )  # fmt: skip
    segmentations = _nifti_files(folder, "anat/*_dseg", "derivatives/*/")
    masks = [path for path in _nifti_files(folder, "anat/*_mask", "derivatives/*/") if "label" in path.name]
    rows = []
    for image in images:
        label = _matching_label(image, segmentations) or _matching_label(image, masks)
        rows.append(
            {
                "sample": _sample_name(image.name),
                "image": image.relative_to(folder).as_posix(),
                "label": label.relative_to(folder).as_posix() if label else "",
                "subset": "train" if label else "predict",
                "group": f"sub-{_entities(image)['sub']}",
            }
        )
    labels = [folder / row["label"] for row in rows if row["label"]]
    if not labels:
        found = "no *_dseg.nii.gz or *label*_mask.nii.gz of any image"
        raise BadInput(
            folder / "derivatives", found, "segmentations to train on",
            "add them, or write the sheet by hand (config/README.md)",
        )  # fmt: skip
    classes, source = _read_classes(folder)
    mask_names = {_entities(path).get("label", "") for path in labels}
    only_class = mask_names.pop() if len(mask_names) == 1 else ""
    return Layout("BIDS", folder, sheet_of(rows), "semantic", classes, source=source, only_class=only_class)


def is_bids(root: Path) -> bool:
    """Return True if the folder contains T1-weighted images of subjects."""
    return bool(_nifti_files(root, "anat/*_T1w", ""))


def _nifti_files(folder: Path, pattern: str, prefix: str) -> list[Path]:
    """List the NIfTI files of all subjects and sessions that match a pattern."""
    patterns = [f"{prefix}sub-*/{session}{pattern}{suffix}" for session in ("", "ses-*/") for suffix in NIFTI]
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})


def _entities(path: Path) -> dict[str, str]:
    """Return the key-value parts of a BIDS file name ("entities"), such as sub-01 and ses-2, as a dict."""
    return dict(ENTITY.findall(path.name))


def _matching_label(image: Path, candidates: list[Path]) -> Path | None:
    """Return the segmentation whose name has all entities of the image; None without one."""
    entities = _entities(image).items()
    matches = [path for path in candidates if entities <= _entities(path).items()]
    if len(matches) > 1:
        found = f"{len(matches)} segmentations ({', '.join(map(str, matches[:3]))})"
        raise BadInput(
            image, found, "one segmentation", "move the others out of derivatives, or write the sheet by hand"
        )
    return matches[0] if matches else None


def _read_classes(folder: Path) -> tuple[dict[str, int], str]:
    """Read the classes from a table dseg.tsv, and return them with its path; no classes without a table."""
    tables = sorted({*folder.glob("dseg.tsv"), *folder.glob("derivatives/*/dseg.tsv")})
    if not tables:
        return {}, ""
    table = pd.read_csv(tables[0], sep="\t", dtype=str, keep_default_na=False)
    if not {"index", "name"} <= set(table):
        raise BadInput(
            tables[0], f"columns {', '.join(table)}", "columns index and name", "rename the columns of this table"
        )
    classes = {name: int(value) for value, name in zip(table["index"], table["name"], strict=True)}
    return _with_background(classes), tables[0].relative_to(folder).as_posix()


def _with_background(classes: dict[str, int]) -> dict[str, int]:
    """Move the class of value 0 to the front; add it if it is missing."""
    background = next((name for name, value in classes.items() if value == 0), "background")
    return {background: 0, **{name: value for name, value in classes.items() if value}}


def _sample_name(path: str) -> str:
    """Return the file name without suffix, as a valid sample name."""
    name = Path(path).name
    stem = next((name[: -len(suffix)] for suffix in NIFTI if name.endswith(suffix)), name)
    return legal_name(stem)
