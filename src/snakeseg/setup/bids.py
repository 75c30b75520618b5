"""BIDS folders: T1-weighted images of subjects, with segmentations in the derivatives."""

import re
from pathlib import Path

import pandas as pd

from snakeseg.errors import BadInput
from snakeseg.setup.layout import Layout, sheet_of
from snakeseg.text import legal_name

# A name like sub-01_ses-a_T1w.nii.gz: entities, then the suffix.
ENTITY = re.compile(r"([A-Za-z0-9]+)-([A-Za-z0-9+]+)")
NIFTI = (".nii.gz", ".nii")


def bids(folder: Path) -> Layout:
    """T1-weighted images of a BIDS folder with the segmentations in its derivatives; every subject is a group.

    A segmentation belongs to the image of its subject whose entities it all has: ``*_dseg``, else ``*label*_mask``.
    Images without one are to be predicted.

    Raises
    ------
    BadInput
        If there are no images, no segmentations, or several for one image.
    """
    images = _found(folder, "anat/*_T1w", "")
    if not images:
        raise BadInput(folder, "no sub-*/[ses-*/]anat/*_T1w.nii.gz", "some", "give the folder that holds sub-*")
    segmentations = _found(folder, "anat/*_dseg", "derivatives/*/")
    masks = [path for path in _found(folder, "anat/*_mask", "derivatives/*/") if "label" in path.name]
    rows = []
    for image in images:
        label = _label_of(image, segmentations) or _label_of(image, masks)
        rows.append(
            {
                "sample": _name(image.name),
                "image": image.relative_to(folder).as_posix(),
                "label": label.relative_to(folder).as_posix() if label else "",
                "subset": "train" if label else "predict",
                "group": f"sub-{_entities(image)['sub']}",
            }
        )
    labels = [folder / row["label"] for row in rows if row["label"]]
    if not labels:
        found = "no *_dseg.nii.gz or *label*_mask.nii.gz of any image"
        raise BadInput(folder / "derivatives", found, "some to learn from", "add them, or write the sheet by hand")
    classes, source = _classes_of(folder)
    of_masks = {_entities(path).get("label", "") for path in labels}
    only = of_masks.pop() if len(of_masks) == 1 else ""
    return Layout("BIDS", folder, sheet_of(rows), "semantic", classes, source=source, only_class=only)


def is_bids(root: Path) -> bool:
    """Whether a folder is laid out like this."""
    return bool(_found(root, "anat/*_T1w", ""))


def _found(folder: Path, what: str, before: str) -> list[Path]:
    """NIfTI files of all subjects and sessions."""
    patterns = [f"{before}sub-*/{session}{what}{suffix}" for session in ("", "ses-*/") for suffix in NIFTI]
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})


def _entities(path: Path) -> dict[str, str]:
    return dict(ENTITY.findall(path.name))


def _label_of(image: Path, candidates: list[Path]) -> Path | None:
    """The one of the segmentations that says of itself all that the image does."""
    wanted = _entities(image).items()
    found = [path for path in candidates if wanted <= _entities(path).items()]
    if len(found) > 1:
        named = f"{len(found)} segmentations ({', '.join(map(str, found[:3]))})"
        raise BadInput(image, named, "one", "move the others out of derivatives, or write the sheet by hand")
    return found[0] if found else None


def _classes_of(folder: Path) -> tuple[dict[str, int], str]:
    """Classes by a table dseg.tsv, and where it is; none if only the label files can tell."""
    tables = sorted({*folder.glob("dseg.tsv"), *folder.glob("derivatives/*/dseg.tsv")})
    if not tables:
        return {}, ""
    table = pd.read_csv(tables[0], sep="\t", dtype=str, keep_default_na=False)
    if not {"index", "name"} <= set(table):
        raise BadInput(tables[0], f"columns {', '.join(table)}", "index and name", "correct it")
    named = {name: int(value) for value, name in zip(table["index"], table["name"], strict=True)}
    return _with_background(named), tables[0].relative_to(folder).as_posix()


def _with_background(classes: dict[str, int]) -> dict[str, int]:
    background = next((name for name, value in classes.items() if value == 0), "background")
    return {background: 0, **{name: value for name, value in classes.items() if value}}


def _name(path: str) -> str:
    """A sample's name, of what names may hold."""
    name = Path(path).name
    stem = next((name[: -len(suffix)] for suffix in NIFTI if name.endswith(suffix)), name)
    return legal_name(stem)
