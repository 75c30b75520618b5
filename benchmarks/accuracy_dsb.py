"""DSB2018 nuclei: the example's workflow as it is, and StarDist for the same minutes of training on the same cores.

Both train on the example's training images and choose their object parameters on its validation images, which are also
scored here, by the same matching code. Scores of StarDist are therefore optimistic, those of SnakeSeg are cross-fitted.
StarDist and TensorFlow need an environment of their own: `pip install stardist tensorflow-cpu "numpy<2"`, and its
Python as --python.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from _verdict import table, verdict
from skimage.io import imread

from snakeseg.evaluation.scores import score
from snakeseg.io.sheet import assign_folds, read_sheet
from snakeseg.settings import Labels

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "config/examples/dsb2018.yaml"
THRESHOLDS = [f"{iou:.2f}" for iou in np.arange(0.5, 0.95, 0.05)]


def run_ours(name: str) -> tuple[Path, float]:
    """Folder of the held-out images' labels, and the minutes that training took."""
    results = ROOT / f"results/{name}"
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--configfile", EXAMPLE]
    subprocess.run(command, cwd=ROOT, check=True)
    (times,) = (ROOT / f"benchmarks/{name}/train").rglob("fold-0.tsv")
    return next(results.glob("validation/*/fold-0")), float(pd.read_csv(times, sep="\t")["s"].iloc[0]) / 60


def run_peer(python: str, rows: pd.DataFrame, held: pd.DataFrame, minutes: float, work: Path) -> tuple[Path, int]:
    """Folder of the held-out images' labels by StarDist, and its steps."""
    job = {"images": rows["image"], "labels": rows["label"], "held_images": held["image"], "held_labels": held["label"]}
    absolute = {key: [str(Path(path).resolve()) for path in paths] for key, paths in job.items()}
    (work / "job.json").write_text(json.dumps({**absolute, "minutes": minutes}), encoding="utf-8")
    script = Path(__file__).with_name("_stardist.py")
    subprocess.run([python, script, work / "job.json", work], check=True)
    return work, json.loads((work / "steps.json").read_text(encoding="utf-8"))


def mean_ap(held: pd.DataFrame, folder: Path) -> dict[str, float]:
    """AP at each IoU, the mean of the images."""
    pairs = [(imread(row.label), imread(folder / Path(row.image).name)) for row in held.itertuples()]
    scores = [score(truth.astype(int), found.astype(int), Labels())[0] for truth, found in pairs]
    return {iou: float(np.nanmean([each[f"ap_{iou}"] for each in scores])) for iou in THRESHOLDS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="of an environment that has StarDist")
    parser.add_argument("--work", type=Path, default=ROOT / "results/accuracy-dsb-work")
    given = parser.parse_args()
    config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    data = Path(os.environ.get("SNAKESEG_REALDATA", ROOT / "../shared/data")) / "dsb2018"
    rows = read_sheet(ROOT / config["sheet"], data)
    fold = assign_folds(rows, 1, config["validation"])
    held, rest = rows[fold == 0], rows[fold != 0]
    shutil.rmtree(given.work, ignore_errors=True)
    given.work.mkdir(parents=True)
    ours, minutes = run_ours(config["name"])
    peer, steps = run_peer(given.python, rest, held, minutes, given.work.resolve())
    scores = {"SnakeSeg": mean_ap(held, ours), "StarDist": mean_ap(held, peer)}
    table([{"who": who, **values} for who, values in scores.items()])
    mine, theirs = scores.values()
    met = mine["0.50"] >= theirs["0.50"] and mine["0.80"] > theirs["0.80"]
    more = {"minutes": minutes, "peer_steps": steps, "images": len(held), "at_0.80": [mine["0.80"], theirs["0.80"]]}
    verdict("accuracy_dsb", mine["0.50"], theirs["0.50"], mine["0.50"] / theirs["0.50"], 1.0, met, **more)


if __name__ == "__main__":
    main()
