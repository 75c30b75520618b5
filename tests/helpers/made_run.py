"""Write the results of a run as the workflow writes them, but without training, for tests of the report."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from snakeseg.cli import main
from snakeseg.io.store import write_store

SIDE = 96
# The name of an image without a prediction, and of its group.
ODD, SCRIPT = "odd", "<script>alert(1)</script>"
EXPERIMENTS = ("plain", "wide")
CONFIG = {
    "name": "made", "sheet": "samples.tsv", "data": None, "spatial_dims": 2, "folds": 1, "fold": "all", "seeds": [],
    "validation": ["v-*"],
    "labels": {"kind": "instance"}, "experiments": {"plain": {}, "wide": {"network": {"width": 8}}}, "weigh": {},
    "loss": {"name": "border"}, "instances": {"select_by": "ap_0.50"},
}  # fmt: skip
PARTS = (("validation", "fold-0"), ("predictions", "test-0000"), ("predictions", "predict-0000"))
NETWORK = {"name": "unet", "width": 4, "depth": 2}
TRAIN = {
    "steps": 50, "minutes": None, "optimiser": "adamw", "learning_rate": 0.01, "schedule": "cosine", "batch": 1,
    "patch": 40,
    "seed": 0,
}  # fmt: skip


def make_run(folder: Path, images: int = 4, size: int = SIDE) -> Path:
    """Write a run of two experiments and its report into the working folder.

    Parameters
    ----------
    folder : path
    images : int
        Number of scored test images; there is also one of each kind without a score.
    size : int
        Side length of the images in pixels.

    Returns
    -------
    path
        The report.
    """
    rng = np.random.default_rng(0)
    names = {f"v-{index}": "train" for index in range(3)} | {f"t-{index}": "test" for index in range(images)}
    names |= {
        "missed": "test",
        "empty": "test",
        "damaged": "test",
        ODD: "test",
        "unlabelled": "predict",
        "trained": "train",
    }
    rows = []
    for index, (name, subset) in enumerate(names.items()):
        truth = np.zeros((size, size), np.uint16) if name == "empty" else discs(size, 4 + index % 3)
        file = f"{index:04d}.png"
        save(
            folder / "images" / file, np.uint8(np.clip(60 + 120 * (truth > 0) + rng.normal(0, 12, truth.shape), 0, 255))
        )
        save(folder / "labels" / file, truth)
        label = "" if name == "unlabelled" else f"labels/{file}"
        rows.append(
            {
                "sample": name,
                "image": f"images/{file}",
                "label": label,
                "subset": subset,
                "group": SCRIPT if name == ODD else name[:1],
            }
        )
        for shift, experiment in enumerate(EXPERIMENTS, start=1):
            write_prediction(folder, experiment, name, subset, predicted(truth, name, index + shift))
    pd.DataFrame(rows).to_csv(folder / "samples.tsv", sep="\t", index=False)
    write_models(folder / "results" / "made", CONFIG)
    labels = {row["sample"]: np.asarray(Image.open(folder / row["label"])).astype(np.int32) for row in rows[:2]}
    write_stores(folder / "results" / "made", labels)
    facts = [
        {"sample": r["sample"], "path": r["image"], "shape": f"{size}x{size}", "objects": 4, "foreground": 0.2}
        for r in rows
    ]
    pd.DataFrame(facts).to_csv(folder / "results" / "made" / "check.tsv", sep="\t", index=False)
    return write_tables_and_page(folder, CONFIG)


def discs(size: int, across: int) -> np.ndarray:
    """Draw a grid of discs with ids from 1."""
    pitch = size // across
    y, x = np.mgrid[:size, :size]
    inside = (y % pitch - pitch / 2) ** 2 + (x % pitch - pitch / 2) ** 2 < (0.4 * pitch) ** 2
    whole = (y < across * pitch) & (x < across * pitch)
    return ((y // pitch * across + x // pitch + 1) * (inside & whole)).astype(np.uint16)


def predicted(truth: np.ndarray, name: str, errors: int) -> np.ndarray:
    """Make a prediction with a split object, two merged ones, missed ones and a false one."""
    labels = np.zeros_like(truth) if name == "missed" else truth.copy()
    if labels.any():
        labels[np.isin(labels, range(5, 5 + errors % 8))] = 0
        labels[labels == 2] = 1
        halves = (labels == 3) & (np.arange(len(labels))[:, None] < np.nonzero(truth == 3)[0].mean())
        labels[halves] = 200
        labels[-5:, -5:] = 201
    return labels


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_prediction(folder: Path, experiment: str, name: str, subset: str, labels: np.ndarray) -> None:
    if name in (ODD, "trained"):  # without a prediction, and not held out
        return
    kind = "validation" if subset == "train" else "predictions"
    part = "fold-0" if subset == "train" else f"{subset}-0000"
    path = folder / "results" / "made" / kind / experiment / part / f"{name}.png"
    save(path, labels)
    if name == "damaged":
        path.write_bytes(b"no image")


def write_models(run: Path, config: dict) -> None:
    steps = np.arange(50)
    curve = pd.DataFrame({"step": steps, "loss": 0.1 + np.exp(-steps / 10)})
    trials = [
        {"method": method, "threshold": threshold, "depth": depth, "smallest": 0, "score": 1.3 - threshold - depth / 50}
        for method in ("components", "distance") for threshold in (0.4, 0.5, 0.6) for depth in (1.0, 2.0)
    ]  # fmt: skip
    chosen = {key: value for key, value in trials[2].items() if key != "score"}
    bins = [{"pixels": 100, "probability": p, "share": p**1.2} for p in (0.1, 0.5, 0.9)]
    if config["labels"]["kind"] == "semantic":  # has no object parameters
        chosen, trials = {}, []
    tuned = {"select_by": "ap_0.50", "chosen": chosen, "trials": trials, "calibration": {"bins": bins, "error": 0.04}}
    measures = {
        "network": "unet, width 4, depth 2", "parameters": 7562, "halo": 20, "tile_exact": True, "checkerboard": 0.001,
        "gigaflops_per_megapixel": 8.0, "seconds_per_megapixel": 0.1, "device": "cpu, 1 thread",
    }  # fmt: skip
    for name in config["experiments"]:
        model = run / "models" / name / "fold-0"
        model.mkdir(parents=True)
        (model / "model.safetensors").write_bytes(b"weights")
        description = {"network": NETWORK, "predict": {"average": True}, "provenance": {"train": TRAIN}}
        (model / "model.json").write_text(json.dumps(description), encoding="utf-8")
        curve.to_csv(model / "history.tsv", sep="\t", index=False)
        (model / "instances.json").write_text(json.dumps(tuned), encoding="utf-8")
        (model.parent / "measures.json").write_text(json.dumps(measures), encoding="utf-8")


def write_stores(run: Path, objects: dict[str, np.ndarray], **attributes) -> None:
    """Write the stores that the galleries of training images show."""
    images = {name: (ids > 0).astype(np.float32)[None] for name, ids in objects.items()}
    prepared = [(name, attributes, {"image": images[name], "objects": ids}) for name, ids in objects.items()]
    for kind in ("prepared", "augmented", "weights"):
        (run / kind).mkdir(parents=True)
    write_store(run / "prepared" / "train-0000.zarr.zip", prepared)
    copies = [(f"{name}-copy", {**attributes, "copy_of": name}, arrays) for name, _, arrays in prepared]
    write_store(run / "augmented" / "train-0000.zarr.zip", copies)
    weights = [(name, {}, {"border": image[0] + 1}) for name, image in images.items()]
    write_store(run / "weights" / "train-0000.zarr.zip", weights)


def write_tables_and_page(folder: Path, config: dict) -> Path:
    """Write scores, comparison and report by the commands of the workflow."""
    run, names = folder / "results" / config["name"], list(config["experiments"])
    sheet = ["--sheet", folder / "samples.tsv", "--data", "."]
    settings = json.dumps({key: config[key] for key in ("spatial_dims", "labels", "folds", "validation")})
    for name, (kind, part) in product(names, PARTS):
        selection = ["--fold", "0"] if kind == "validation" else ["--batch", part]
        call("evaluate", *sheet, *selection, "--experiment", name, "--settings", settings,
             "--predictions", run / kind / name / part,
             "--output", run / "evaluation" / kind / name / part)  # fmt: skip
    call("summarise", *sheet[:2], "--tables", run / "evaluation", "--experiments", *names, "--folds", "0",
         "--output", run / "evaluation")  # fmt: skip
    call("compare", "--images", run / "evaluation" / "images.tsv", "--output", run / "evaluation")
    call("report", *sheet, "--run", run, "--settings", json.dumps(config), "--output", run / "report.html")
    return run / "report.html"


def call(*arguments) -> None:
    assert main([*map(str, arguments), "--debug"]) == 0
