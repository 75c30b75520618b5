"""Hippocampus volumes: the example's workflow as it is, and nnU-Net v2 (3d_fullres) for the minutes of its training.

Both train on the example's training cases of fold 0 and predict its validation cases on the same cores; what is scored
is the mean Dice of anterior and posterior part. `pip install nnunetv2` (the extra `bench`).
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import torch
import yaml
from _nnunet import Case, close, make_dataset, make_trainer, predict, train_for
from _verdict import table, verdict

from snakeseg.evaluation.metrics.overlap import dice_and_iou
from snakeseg.io.sheet import assign_folds, read_sheet

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "config/examples/hippocampus.yaml"
CLASSES = ("anterior", "posterior")


def run_ours(name: str) -> tuple[Path, float]:
    """Folder of the held-out cases' labels, and the minutes that training took."""
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--configfile", EXAMPLE]
    subprocess.run(command, cwd=ROOT, check=True)
    (times,) = (ROOT / f"benchmarks/{name}/train").rglob("fold-0.tsv")
    results = ROOT / f"results/{name}/validation"
    return next(results.glob("*/fold-0")), float(pd.read_csv(times, sep="\t")["s"].iloc[0]) / 60


def run_peer(rows: pd.DataFrame, held: pd.DataFrame, minutes: float, work: Path) -> tuple[dict[str, np.ndarray], int]:
    """Classes of the held-out cases by nnU-Net, and its steps."""
    volumes = {row.sample: nibabel.load(row.image).get_fdata(dtype=np.float32) for row in rows.itertuples()}
    truths = {row.sample: classes_of(row.label) for row in rows.itertuples()}
    cases = [Case(name, volumes[name], truths[name]) for name in volumes]
    make_dataset(work, cases, list(held["sample"]), CLASSES)
    trainer = make_trainer(work, dims=3)
    steps, seconds = train_for(trainer, lambda _, passed: passed / (60 * minutes))
    close(trainer)
    print(f"nnU-Net: {steps} steps in {seconds / 60:.1f} minutes", file=sys.stderr)
    names = list(held["sample"])
    found = predict(trainer, [volumes[name] for name in names])
    return {name: each.argmax(axis=0) for name, each in zip(names, found, strict=True)}, steps


def classes_of(path: str | Path) -> np.ndarray:
    """A label file."""
    return np.asarray(nibabel.load(path).dataobj).astype(np.uint8)


def mean_dice(held: pd.DataFrame, found: dict[str, np.ndarray]) -> dict[str, float]:
    """Mean over cases, of each class and of both."""
    truths = {row.sample: classes_of(row.label) for row in held.itertuples()}
    each = {
        name: float(np.mean([dice_and_iou(truths[case] == value, found[case] == value)[0] for case in truths]))
        for value, name in enumerate(CLASSES, start=1)
    }
    return {**each, "mean": float(np.mean(list(each.values())))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "results/accuracy-hippocampus-work")
    given = parser.parse_args()
    config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    data = Path(os.environ.get("SNAKESEG_REALDATA", ROOT / "../shared/data")) / "hippocampus"
    rows = read_sheet(ROOT / config["sheet"], data)
    held = rows[assign_folds(rows, config["folds"], []) == config["fold"]]
    shutil.rmtree(given.work, ignore_errors=True)
    given.work.mkdir(parents=True)
    torch.set_num_threads(os.cpu_count() or 1)
    folder, minutes = run_ours(config["name"])
    ours = {row.sample: classes_of(folder / f"{row.sample}.nii.gz") for row in held.itertuples()}
    peer, steps = run_peer(rows, held, minutes, given.work.resolve())
    scores = {"SnakeSeg": mean_dice(held, ours), "nnU-Net v2, 3d_fullres": mean_dice(held, peer)}
    table([{"who": who, **values} for who, values in scores.items()])
    mine, theirs = (values["mean"] for values in scores.values())
    more = {"minutes": minutes, "peer_steps": steps, "cases": len(held)}
    verdict("accuracy_hippocampus", mine, theirs, mine / theirs, 1.0, mine >= theirs, **more)


if __name__ == "__main__":
    main()
