"""The value of the border-aware loss and of the border class: DSB 2018 at a small budget, with two seeds.

Every row trains on the example's training images (patches of 164 pixels, 1,500 steps). AP is the mean over the held-out
images, each segmented with parameters chosen on the other held-out images. `--before FOLDER` adds a row of an older
checkout, whose probabilities are segmented without growing objects, as that version does.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from _verdict import table, verdict

from snakeseg.evaluation.scores import score
from snakeseg.io.images import read_label
from snakeseg.io.sheet import read_sheet
from snakeseg.io.store import read_store
from snakeseg.objects.label_files import foreground_and_interior
from snakeseg.objects.segment import InstanceParameters, segment
from snakeseg.objects.tune import Sample, tune_parameters
from snakeseg.settings import Instances, Labels

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "config/examples/dsb2018.yaml"
SEEDS, HEIGHTS, STEPS, PATCH = [0, 1], [0, 5, 10], 1500, 164
METRICS = ("ap_0.50", "ap_0.80")


def write_config(folder: Path, w0: int, borders: list[int], data: Path) -> Path:
    """Write the config of all experiments with one height of the border term."""
    config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    config |= {"name": f"border-value-{w0}", "sheet": str(ROOT / config["sheet"]), "data": str(data), "threads": 1}
    config["seeds"] = SEEDS
    config["weigh"] |= {"w0": w0, "sigma": 5}
    config["train"] |= {"steps": STEPS, "patch": PATCH, "compile": False}
    config["predict"] = {"keep_probabilities": True, "precision": "bfloat16"}
    config["experiments"] = {f"border-{width}": {"network": {"border": width}} for width in borders}
    path = folder / f"border-value-{w0}.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def run(checkout: Path, config: Path, goals: list[str]) -> None:
    """Run the workflow of a checkout with its own package, in its folder."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--configfile", config, "--", *goals]
    subprocess.run(command, cwd=checkout, env=environment, check=True)


def scores_of(run_folder: Path, experiment: str) -> dict[str, float]:
    """Return the mean scores of the held-out images, as the workflow computes them."""
    images = pd.read_csv(run_folder / "evaluation/images.tsv", sep="\t")
    rows = images[images["experiment"] == experiment]
    return {metric: float(rows[metric].mean()) for metric in METRICS}


def cross_fitted_scores(store: Path, sheet: pd.DataFrame, settings: Instances) -> dict[str, float]:
    """Segment kept probabilities with cross-fitted parameters, and return the mean scores."""
    by_name, labels = sheet.set_index("sample"), Labels()
    entries = [(name, {"probabilities": group["probabilities"][:]}) for name, _, group in read_store(store)]
    truths = {name: read_label(by_name.at[name, "label"], 2).array for name, _ in entries}
    samples = [Sample(name, by_name.at[name, "group"], prediction, truths[name]) for name, prediction in entries]
    fitted = tune_parameters(samples, labels, settings)["cross_fitted"]
    scores = []
    for name, prediction in entries:
        foreground, interior = (lazy[:] for lazy in foreground_and_interior(prediction["probabilities"]))
        parameters = InstanceParameters(**fitted["parameters"][fitted["samples"][name]])
        predicted = segment(foreground, interior, parameters)
        scores.append(score(truths[name], predicted.astype(np.int64), labels)[0])
    return {metric: float(np.mean([image[metric] for image in scores])) for metric in METRICS}


def row_of(version: str, w0: int, border: int, by_seed: list[dict[str, float]]) -> dict:
    """Return mean and both values of each score over the seeds, as a row of the table."""
    values = {metric: [scores[metric] for scores in by_seed] for metric in METRICS}
    row = {"version": version, "w0": w0, "border class": border}
    for metric, both in values.items():
        row |= {metric: float(np.mean(both)), f"{metric} by seed": " ".join(f"{value:.3f}" for value in both)}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="folder of an older checkout")
    parser.add_argument("--heights", type=int, nargs="+", default=HEIGHTS, help="values of weigh.w0")
    parser.add_argument("--work", type=Path, default=ROOT / "results")
    args = parser.parse_args()
    data = Path(os.environ.get("SNAKESEG_REALDATA", ROOT / "../shared/data")).resolve() / "dsb2018"
    args.work.mkdir(parents=True, exist_ok=True)
    example = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    rows = []
    if args.before:
        settings = Instances(**example["instances"], grow=[0])
        config, name = write_config(args.work, 10, [0], data), "border-value-10"
        base = f"results/{name}/probabilities/validation"
        stores = [f"{base}/border-0.seed-{seed}/fold-0.zarr.zip" for seed in SEEDS]
        run(args.before, config, stores)
        sheet = read_sheet(ROOT / example["sheet"], data)
        by_seed = [cross_fitted_scores(args.before / store, sheet, settings) for store in stores]
        rows.append(row_of("before", 10, 0, by_seed))
    for w0 in args.heights:
        config, name = write_config(args.work, w0, [0, 1], data), f"border-value-{w0}"
        run(ROOT, config, [f"results/{name}/evaluation/images.tsv"])
        for border in (0, 1):
            names = [f"border-{border}.seed-{seed}" for seed in SEEDS]
            by_seed = [scores_of(ROOT / f"results/{name}", experiment) for experiment in names]
            rows.append(row_of("now", w0, border, by_seed))
        print(json.dumps(rows), flush=True)
    table(rows)
    with_loss = {row["w0"]: row["ap_0.50"] for row in rows if row["version"] == "now" and not row["border class"]}
    if 0 in with_loss and 10 in with_loss:
        best, plain = with_loss[10], with_loss[0]
        verdict("border_value", best, plain, best / plain, 1.0, best >= plain, rows=rows)


if __name__ == "__main__":
    main()
