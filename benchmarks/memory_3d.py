"""Memory of predicting a volume of 512 x 512 x 800 pixels, resampled to the model's millimetres and back.

A packed 16-bit NIfTI of 0.8 x 0.8 x 1 mm; a 3D U-Net of width 16 with random weights, three classes, pixels of 1.5 mm,
and the largest component of each class kept. Peak memory is that of the process of `snakeseg predict`; goals: 3 GB, and
20 % of what `snakeseg plan` said. The peer is what one float32 array of all classes at full size would take by itself.
"""

import json
import os
import re
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import torch
from _verdict import table, verdict
from memory import call
from scipy import ndimage

from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.settings import Labels, Predict, Prepare, UNetSettings

SHAPE, SPACING, WANTED, BUDGET = (512, 512, 800), (0.8, 0.8, 1.0), [1.5, 1.5, 1.5], 3.0
NETWORK = UNetSettings(width=16, depth=3, padded=True, normalisation="batch", dropout=0.0)
LABELS = Labels("semantic", {"background": 0, "organ": 1, "tumour": 2})


def make_volume(path: Path) -> None:
    """Smooth noise, repeated."""
    block = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(128, 128, 100)), 4, mode="wrap")
    block = (block / block.std() * 300).astype(np.int16)
    volume = np.tile(block, [size // side for size, side in zip(SHAPE, block.shape, strict=True)])
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([*SPACING, 1])), path)


def main() -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(work / "cache")
        description = Description(
            3, 1, LABELS, NETWORK, Prepare("zscore", spacing=WANTED), Predict(average=False, precision="auto"), None,
            WANTED,
        )  # fmt: skip
        (work / "model").mkdir()
        save_model(work / "model", description.make_network(), description, {})
        kept = {cls: {"chosen": {"smallest": 0, "largest_only": True}, "trials": []} for cls in ("organ", "tumour")}
        (work / "model/instances.json").write_text(
            json.dumps({"chosen": {}, "trials": [], "classes": kept}), encoding="utf-8"
        )
        make_volume(work / "volume.nii.gz")
        options = ["--memory-gb", BUDGET, "--threads", os.cpu_count() or 1]
        told = call("plan", work / "model", work / "volume.nii.gz", *options)[2]
        print(told, file=sys.stderr, flush=True)
        planned = float(re.search(r"([\d.]+) GB", told)[1])
        peak, seconds, _ = call("predict", work / "model", work / "volume.nii.gz", "-o", work / "out", *options)
        found = nibabel.load(work / "out/volume.nii.gz")
        assert found.shape == SHAPE
        values = np.unique(np.asarray(found.dataobj)).tolist()
    whole = 4 * len(LABELS.classes) * np.prod(SHAPE, dtype=float) / 1e9
    table([{"GB": peak, "planned": planned, "all classes in float32, GB": whole, "s": seconds}])
    met = peak <= BUDGET and abs(peak / planned - 1) <= 0.2
    verdict(
        "memory_3d", peak, whole, peak / whole, BUDGET / whole, met, planned=planned, seconds=seconds, values=values
    )


if __name__ == "__main__":
    main()
