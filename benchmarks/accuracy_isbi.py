"""ISBI 2012: our workflow and nnU-Net v2, each with its defaults, the same minutes of training on the same cores.

Trained on sections 000-015; how objects are cut out of probabilities is chosen on 016-019, for both by the same search;
scored on 020-023, which neither sees before. Writes a picture of both beside its other results.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import torch
import yaml
from _nnunet import Case, close, make_dataset, make_trainer, predict, train_for
from _verdict import table, verdict
from skimage.color import label2rgb
from skimage.io import imread

from snakeseg.evaluation.scores import score
from snakeseg.objects.segment import segment
from snakeseg.objects.tune import choose_parameters
from snakeseg.settings import Instances, Labels
from snakeseg.transforms.labels import classes_and_objects

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "config/examples/isbi2012.yaml"
TRAIN, CHOOSE, TEST = (range(16), range(16, 20), range(20, 24))
LABELS = Labels(kind="binary")


def run_ours(data: Path, work: Path, minutes: float) -> list[np.ndarray]:
    """Objects of the test sections, by the example's workflow with another split and budget."""
    rows = [
        {"sample": f"section-{i:03d}", "image": data / f"train/images/{i:03d}.png",
         "label": data / f"train/labels/{i:03d}.png", "subset": "test" if i in TEST else "train"}
        for i in [*TRAIN, *CHOOSE, *TEST]
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(work / "sheet.tsv", sep="\t", index=False)
    config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    config |= {"name": "accuracy-isbi", "sheet": str(work / "sheet.tsv"), "validation": ["section-01[6-9]"]}
    config["data"] = str(data)
    config["train"]["minutes"] = minutes
    (work / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    results = ROOT / "results/accuracy-isbi"
    shutil.rmtree(results, ignore_errors=True)
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--configfile", work / "config.yaml"]
    subprocess.run(command, cwd=ROOT, check=True)
    return [imread(next(results.glob(f"predictions/*/*/section-{i:03d}.png"))).astype(int) for i in TEST]


def run_peer(data: Path, work: Path, minutes: float) -> tuple[list[np.ndarray], list[np.ndarray], int]:
    """Objects of the test sections by nnU-Net: chosen as ours are, and by its plain argmax; and its steps."""
    images = {i: imread(data / f"train/images/{i:03d}.png") for i in [*TRAIN, *CHOOSE, *TEST]}
    truths = {i: imread(data / f"train/labels/{i:03d}.png") for i in [*TRAIN, *CHOOSE]}
    cases = [Case(f"section{i:03d}", images[i], truths[i] > 0) for i in [*TRAIN, *CHOOSE]]
    make_dataset(work / "nnunet", cases, [f"section{i:03d}" for i in CHOOSE])
    trainer = make_trainer(work / "nnunet")
    steps, seconds = train_for(trainer, lambda _, passed: passed / (60 * minutes))
    close(trainer)
    print(f"nnU-Net: {steps} steps in {seconds / 60:.1f} minutes", file=sys.stderr)
    found = [p[1] for p in predict(trainer, [images[i] for i in [*CHOOSE, *TEST]])]
    pairs = [
        ((p, p), classes_and_objects(truths[i], LABELS)[1]) for i, p in zip(CHOOSE, found[: len(CHOOSE)], strict=True)
    ]
    parameters, _ = choose_parameters(
        pairs, Instances(**yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["instances"])
    )
    kept = found[len(CHOOSE) :]
    plain = [segment(p, p, type(parameters)()) for p in kept]
    return [segment(p, p, parameters).astype(int) for p in kept], [p.astype(int) for p in plain], steps


def mean_scores(data: Path, objects: list[np.ndarray]) -> dict[str, float]:
    """Means over the test sections."""
    truths = [imread(data / f"train/labels/{i:03d}.png") for i in TEST]
    scores = [score(truth, each, LABELS)[0] for truth, each in zip(truths, objects, strict=True)]
    return {key: float(np.mean([s[key] for s in scores])) for key in ("adapted_rand_error", "pixel_error", "dice")}


def draw(data: Path, objects: dict[str, np.ndarray], path: Path) -> None:
    """The first test section, what both made of it, and the truth."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    image = imread(data / f"train/images/{TEST[0]:03d}.png")
    figure, axes = plt.subplots(1, len(objects) + 1, figsize=(4 * len(objects) + 4, 4.4), layout="constrained")
    axes[0].imshow(image, cmap="gray")
    axes[0].set_title(f"section {TEST[0]:03d}")
    for axis, (name, found) in zip(axes[1:], objects.items(), strict=True):
        axis.imshow(label2rgb(found, image, alpha=0.5, bg_label=0))
        axis.set_title(name)
    for axis in axes:
        axis.set_axis_off()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SNAKESEG_REALDATA", ROOT / "../shared/data"))
    parser.add_argument("--work", type=Path, default=ROOT / "results/accuracy-isbi-work")
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    data = (given.data / "isbi2012").resolve()
    shutil.rmtree(given.work, ignore_errors=True)
    given.work.mkdir(parents=True)
    torch.set_num_threads(os.cpu_count() or 1)
    peer, plain, steps = run_peer(data, given.work.resolve(), given.minutes)
    ours = run_ours(data, given.work.resolve(), given.minutes)
    truth = classes_and_objects(imread(data / f"train/labels/{TEST[0]:03d}.png"), LABELS)[1]
    draw(data, {"SnakeSeg": ours[0], "nnU-Net v2": peer[0], "truth": truth}, given.work / "picture.png")
    scores = {"SnakeSeg": ours, "nnU-Net v2, objects chosen alike": peer, "nnU-Net v2, its argmax": plain}
    rows = [{"who": who, **mean_scores(data, objects)} for who, objects in scores.items()]
    table(rows)
    errors = [row["adapted_rand_error"] for row in rows]
    best, more = min(errors[1:]), {"minutes": given.minutes, "peer_steps": steps}
    verdict("accuracy_isbi", errors[0], best, errors[0] / best, 1.0, errors[0] <= best, **more)


if __name__ == "__main__":
    main()
