"""Write the results of a run on volumes with boxes at known places, for tests of the report."""

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from made_run import CONFIG, write_models, write_stores, write_tables_and_page

# Number of voxels and their size in millimetres along (right, anterior, superior).
SHAPE, SPACING = (20, 24, 10), (1.0, 1.0, 3.0)
# Boxes of the two classes: in the right, anterior, superior corner, and in the left, posterior, inferior one.
FRONT, BACK = np.s_[14:18, 18:22, 7:9], np.s_[2:8, 2:8, 1:4]
VOLUMES = {
    **CONFIG, "name": "volumes", "spatial_dims": 3, "experiments": {"plain": {}},
    "labels": {"kind": "semantic", "values": {"background": 0, "front": 1, "back": 2}},
}  # fmt: skip


def make_label() -> np.ndarray:
    """Make the label image of all volumes, axes (right, anterior, superior)."""
    label = np.zeros(SHAPE, np.uint8)
    label[FRONT], label[BACK] = 1, 2
    return label


def make_volumes(folder: Path) -> Path:
    """Write a run and its report into the working folder, and return the path of the report.

    The front box is bright, the back box of medium intensity. The prediction of "test-0" is perfect, that of "test-1"
    lacks the front box.
    """
    rows = []
    for name, subset in {
        "held": "train",
        "trained": "train",
        "test-0": "test",
        "test-1": "test",
        "new": "predict",
    }.items():
        label = make_label()
        predicted = np.where(label == 1, 0, label) if name == "test-1" else label
        save(folder / f"images/{name}.nii.gz", np.float32([20, 220, 120])[label])
        save(folder / f"labels/{name}.nii.gz", label)
        if name != "trained":
            kind, part = ("validation", "fold-0") if subset == "train" else ("predictions", f"{subset}-0000")
            save(folder / "results/volumes" / kind / "plain" / part / f"{name}.nii.gz", predicted)
        label_path = "" if subset == "predict" else f"labels/{name}.nii.gz"
        rows.append({"sample": name, "image": f"images/{name}.nii.gz", "label": label_path, "subset": subset})
    pd.DataFrame(rows).to_csv(folder / "samples.tsv", sep="\t", index=False)
    config = {**VOLUMES, "validation": ["held"]}
    write_models(folder / "results/volumes", config)
    attributes = {"image": {"path": rows[0]["image"]}, "spacing": SPACING}
    write_stores(folder / "results/volumes", {"held": make_label().astype(np.int32)}, **attributes)
    facts = [{"sample": row["sample"], "path": row["image"], "shape": "20x24x10", "foreground": 0.1} for row in rows]
    pd.DataFrame(facts).to_csv(folder / "results/volumes/check.tsv", sep="\t", index=False)
    return write_tables_and_page(folder, config)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([*SPACING, 1.0])), path)
