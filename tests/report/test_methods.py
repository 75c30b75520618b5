"""The methods paragraph: each clause is there exactly if the settings that were used say so.

What the settings mean is measured with the code that trains and predicts, not read from the code of the report.
"""

import json
import re
from contextlib import chdir
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from made_run import CONFIG, call, make_run

from snakeseg.models.description import Description
from snakeseg.report.citation import works_to_cite
from snakeseg.report.methods import methods_paragraph
from snakeseg.settings import Train, build_section, network_settings, read_config
from snakeseg.training.losses import make_loss
from snakeseg.training.patches import PatchPlan
from snakeseg.transforms.border_weights import border_weights
from snakeseg.transforms.flips import orientations

DRAWS = 300
OPTIMISERS = {"sgd": "SGD", "adamw": "AdamW"}
PACKAGES = {"snakeseg": "1.2", "torch": "3.4"}
# Values of each key, from which each draw takes one.
CHOICES = {
    "spatial_dims": [2, 3],
    "folds": [1, 1, 5],
    "fold": ["all", 0],
    "labels.kind": ["instance", "binary", "semantic"],
    "prepare.normalise": ["percentile", "zscore", "none"],
    "prepare.scope": ["image", "dataset"],
    "prepare.spacing": [None, "auto", "list"],
    "prepare.crop": [False, True],
    "augment.copies": [0, 0, 1, 4],
    "augment.std": [0, 3.0, 10.0],
    "weigh.w0": [0, 10.0],
    "weigh.classes": ["balanced", "equal"],
    "loss.name": ["border", "plain", "balanced", "sum", "dice"],
    "network.name": ["unet", "fcn8s", "context", "dynunet"],
    "network.border": [0, 0, 2],
    "network.pretrained": [None, "weights/vgg16.pth"],
    "train.steps": [50, 6000],
    "train.minutes": [None, None, 12.5],
    "train.optimiser": ["sgd", "adamw"],
    "train.momentum": [0, 0.9],
    "train.weight_decay": [0, 0.01],
    "train.clip": [0, 1.5],
    "train.schedule": ["poly", "cosine", "constant"],
    "train.select": ["last", "best", "average"],
    "train.foreground": [0, 0.25],
    "train.balanced": [False, True],
    "train.elastic": ["copies", "online"],
    "train.flips": [True, False, [0], [1], [0, 1]],
    "train.turns": [False, True],
    "train.brightness": [0, 0.2],
    "train.contrast": [0, 0.3],
    "train.seed": [0, 7],
    "predict.average": [False, True],
    "predict.scales": [[1], [1.5], [1, 1.5], [1, 1.5, 2]],
    "start_from": [None, "first"],
}


def draw(rng: np.random.Generator) -> dict:
    """Draw a config with a random value of each key, by section."""
    config: dict = {"name": "run", "sheet": "samples.tsv"}
    for key, values in CHOICES.items():
        value = values[rng.integers(len(values))]
        *section, name = key.split(".")
        (config.setdefault(section[0], {}) if section else config)[name] = value
    dims = config["spatial_dims"]
    if config["prepare"]["spacing"] == "list":
        config["prepare"]["spacing"] = [0.25, 0.5, 2.0][:dims]
    if dims == 3 and config["network"]["name"] == "fcn8s":
        config["network"]["slices"] = int(rng.integers(3))
    config["train"]["patch"] = [60] * dims if rng.random() < 0.5 else [60, 44, 44][:dims]
    config["experiments"] = {"x": {"start_from": start} if (start := config.pop("start_from")) else {}}
    # A loss that an experiment overrides counts, not that of the config.
    if rng.random() < 0.5:
        config["experiments"]["x"]["loss"] = config.pop("loss")
    return config


def model_of(config: dict) -> dict:
    """Content of model.json after a training with a config."""
    dims = config["spatial_dims"]
    full = read_config(config)
    network = network_settings(config["network"])
    train = build_section(Train, config["train"])
    spacing = config["prepare"]["spacing"] if isinstance(config["prepare"]["spacing"], list) else [1.0] * dims
    description = Description(dims, 1, full.labels, network, full.prepare, full.predict, None, spacing)
    plan = PatchPlan(train, full.augment, description.geometry.training, spacing)
    symmetry = {key: value and list(value) for key, value in asdict(plan.symmetry).items()}
    return {**asdict(description), "symmetry": symmetry, "provenance": {"train": asdict(train)}}


def paragraph(config: dict, model: dict) -> str:
    return methods_paragraph({"x": model}, {"x": "a network"}, read_config(config), PACKAGES, "It was trained.")


def loss_name(config: dict) -> str:
    return (config["experiments"]["x"].get("loss") or config["loss"])["name"]


def clauses(text: str) -> list[str]:
    """Clauses on the experiment."""
    return re.search(r"Training: (.*?; seed \d+)\.(?: |$)", text)[1].split("; ")


def the_clause(text: str, start: str) -> str | None:
    matching = [clause for clause in clauses(text) if clause.startswith(start)]
    assert len(matching) <= 1
    return matching[0] if matching else None


@pytest.fixture(scope="module")
def drawn():
    """Config, model.json, and paragraph of each draw."""
    rng = np.random.default_rng(21)
    configs = [draw(rng) for _ in range(DRAWS)]
    return [(config, model := model_of(config), paragraph(config, model)) for config in configs]


def loss_value(name: str, balance: tuple[float, float], weight: float) -> float:
    logits = torch.tensor([[[[0.3, -0.2]], [[0.1, 0.5]]]])
    target = torch.tensor([[[0, 1]]])
    loss = make_loss(build_section(type(read_config({"name": "a", "sheet": "b"}).loss), {"name": name}), balance)
    return float(loss(logits, target, torch.full(target.shape, weight)))


def test_loss_weights(drawn):
    """A loss is weighted if its value changes with its weights, and they have a border term if the map has one."""
    two_objects = np.array([[1, 1, 0, 0, 2, 2]])
    seen = set()
    for config, _, text in drawn:
        name, weigh = loss_name(config), config["weigh"]
        uses_map = loss_value(name, (1, 1), 1.0) != loss_value(name, (1, 1), 2.0)
        uses_balance = loss_value(name, (1, 1), 1.0) != loss_value(name, (1, 3), 1.0)
        has_border = uses_map and border_weights(two_objects, weigh["w0"], 5.0).max() > 0
        by_class = uses_balance or (uses_map and weigh["classes"] == "balanced")
        clause = the_clause(text, "loss: ")
        assert ("towards borders (w0 = 10, sigma = 5 pixels)" in clause) == has_border
        assert ("by class" in clause) == by_class
        assert ("weighted" in clause) == (has_border or by_class)
        assert ("Dice" in clause) == (name == "dice")
        assert ("summed" in clause) == (name == "sum")
        assert text.count("towards borders") == has_border
        seen.add((has_border, by_class, name))
    assert len(seen) == 4 + 4 + 3


def test_elastic_deformation(drawn):
    for config, _, text in drawn:
        copied, is_moved = config["augment"]["copies"], config["augment"]["std"] > 0
        points = f"{' x '.join('3' * config['spatial_dims'])} control points, displaced at random"
        size = f"{points} with a standard deviation of {config['augment']['std']:g} pixels"
        copies = re.findall(r"For each training image, (\d+) elastically deformed cop(?:y was|ies were) added", text)
        assert copies == ([str(copied)] if is_moved and copied else [])
        online = the_clause(text, "each patch was deformed elastically")
        assert (online is not None) == (is_moved and config["train"]["elastic"] == "online")
        assert text.count(size) == len(copies) + (online is not None) == text.lower().count("elastic")


def symmetry_in_words(text: str | None) -> tuple[bool, bool]:
    """Whether a clause names flips, and rotations or exchanges of axes."""
    text = text or ""
    return "flips" in text, "rotations" in text or "exchanges" in text


def axes_of_flips(clause: str, dims: int) -> set[int]:
    names = re.search(r"flips of (all axes|the (?:first|second|third|, | and )+)", clause)[1]
    return (
        set(range(dims))
        if names == "all axes"
        else {i for i, n in enumerate(("first", "second", "third")) if n in names}
    )


def test_flips_and_turns(drawn):
    """The orientations that training draws and that prediction averages over."""
    seen = set()
    for config, model, text in drawn:
        dims = config["spatial_dims"]
        full = read_config(config)
        plan = PatchPlan(
            build_section(Train, config["train"]), full.augment, geometry_of(model, full).training, model["spacing"]
        )
        symmetry = Description(
            dims, 1, full.labels, network_settings(config["network"]), full.prepare, full.predict, None,
            model["spacing"], plan.symmetry,
        ).averaged  # fmt: skip
        for used, start in ((plan.symmetry, "random flips"), (symmetry, "predictions were averaged over")):
            clause = the_clause(text, start) or the_clause(text, start.replace("flips", "exchanges"))
            clause = clause or the_clause(text, start.replace("flips", "90-degree"))
            kinds = list(orientations(used))
            flipped = {axis for _, flips in kinds for axis in flips}
            is_exchanged = any(exchanged for exchanged, _ in kinds)
            assert symmetry_in_words(clause) == (bool(flipped), is_exchanged)
            assert not flipped or axes_of_flips(clause, dims) == flipped
            if is_exchanged:  # a rotation by 90 degrees is an exchange and a flip of either axis
                both = {(True, (axis,)) for axis in used.plane} <= set(kinds)
                assert ("rotations" in clause) == both
            seen.add((bool(flipped), is_exchanged, start))
    assert len(seen) == 8


def geometry_of(model: dict, full):
    network = network_settings(model["network"])
    return Description(model["dims"], 1, full.labels, network, full.prepare, full.predict, None).geometry


def test_prediction(drawn):
    for config, _, text in drawn:
        scales, clause = config["predict"]["scales"], the_clause(text, "predictions were averaged over") or ""
        numbers = re.findall(r"[\d.]+", clause.partition("magnifications of ")[2])
        assert numbers == ([f"{scale:g}" for scale in scales] if len(scales) > 1 else [])
        assert ("images were magnified 1.5 times for prediction" in clauses(text)) == (scales == [1.5])
        is_mean_of_folds = (config["folds"], config["fold"]) == (5, "all")
        assert ("means over the models of 5 folds" in text) == is_mean_of_folds == (" folds" in text)


def test_images(drawn):
    words = {"percentile": "percentiles 1 and 99.8", "zscore": "deviation", "none": "were not normalised"}
    for config, model, text in drawn:
        prepare = config["prepare"]
        shared = text.partition(" Training: ")[0].replace("a standard deviation of", "")
        assert [word for word in words.values() if word in shared] == [words[prepare["normalise"]]]
        assert ("each image" in shared) == (prepare["scope"] == "image" and prepare["normalise"] != "none")
        assert ("averaged over the training images" in shared) == (
            prepare["scope"] == "dataset" and prepare["normalise"] != "none"
        )
        assert ("resampled" in shared) == (prepare["spacing"] is not None)
        assert ("median pixel size" in shared) == (prepare["spacing"] == "auto")
        several = config["folds"] == 5 and config["fold"] == "all"
        size = " x ".join(f"{size:g}" for size in model["spacing"])
        assert (f"{size} in the unit of the files" in shared) == (
            isinstance(prepare["spacing"], list) or (prepare["spacing"] == "auto" and not several)
        )
        assert ("margins of images were excluded" in shared) == prepare["crop"]


def test_training(drawn):
    decay = {"poly": "polynomial decay", "cosine": "cosine decay", "constant": "constant after"}
    for config, _, text in drawn:
        train, first = config["train"], clauses(text)[0]
        assert first.startswith("12.5 minutes of" if train["minutes"] else f"{train['steps']} steps of")
        assert f" of {OPTIMISERS[train['optimiser']]} " in first
        assert ("momentum 0.9" in first) == (train["optimiser"] == "sgd" and train["momentum"] == 0.9)
        assert ("momentum" in first) == ("momentum 0.9" in first)
        assert ("weight decay" in first) == (train["weight_decay"] > 0)
        assert ("norm of 1.5" in first) == ("clipped" in first) == (train["clip"] > 0)
        assert [key for key, word in decay.items() if word in first] == [train["schedule"]]
        assert re.search(
            rf", (one patch|\d+ patches) of {' x '.join(map(str, train['patch']))} pixels per step$", first
        )
        assert clauses(text)[-1] == f"seed {train['seed']}"
        changes = the_clause(text, "random changes of") or ""
        assert ("contrast by up to 30 %" in changes) == ("contrast" in text) == (train["contrast"] > 0)
        assert ("brightness by up to 0.2" in changes) == ("brightness" in text) == (train["brightness"] > 0)
        foreground = the_clause(text, "25 % of the patches") or ""
        assert bool(foreground) == (train["foreground"] > 0) == ("random foreground" in text)
        assert ("equally often" in foreground) == (train["foreground"] > 0 and train["balanced"])
        assert ("running average" in text) == (train["select"] == "average")
        assert ("lowest loss" in text) == (train["select"] == "best")


def test_weights_and_border_class(drawn):
    for config, _, text in drawn:
        start, pretrained = config["experiments"]["x"].get("start_from"), config["network"]["pretrained"]
        sources = {"first": "initial weights from the experiment first", None: None}
        expected = sources[start] or (pretrained and "initial weights from the file vgg16.pth")
        assert the_clause(text, "initial weights") == expected
        border = the_clause(text, "the inner border of objects")
        assert (border is not None) == (config["network"]["border"] > 0)
        assert border is None or "2 pixels" in border


def test_works(drawn):
    """The U-Net paper is cited for the network, for deformation and for the border term, and for nothing else."""
    networks = {"unet": "Ronneberger", "fcn8s": "Long J", "context": "Yu F", "dynunet": "Isensee"}
    seen = set()
    for config, model, text in drawn:
        cited = "\n".join(works_to_cite({"x": model}, read_config(config), "ap_0.50"))
        uses_unet = config["network"]["name"] == "unet"
        assert ("Ronneberger" in cited) == (uses_unet or "elastic" in text or "towards borders" in text)
        assert all(
            (author in cited) == (name == config["network"]["name"])
            for name, author in networks.items()
            if name != "unet"
        )
        assert ("Loshchilov" in cited) == (config["train"]["optimiser"] == "adamw")
        assert ("Milletari" in cited) == (loss_name(config) == "dice")
        assert ("Cardoso" in cited) == (loss_name(config) == "dice" or config["network"]["name"] == "dynunet")
        assert ("Schmidt" in cited) == (config["labels"]["kind"] != "semantic")
        seen.add("Ronneberger" in cited)
    assert seen == {True, False}


def test_known_answer():
    """The example of the audit (shared/cases/science/methods_paragraph.py): nothing that was not done is claimed."""
    train = {"optimiser": "adamw", "learning_rate": 0.003, "schedule": "cosine", "batch": 2, "patch": [40, 56, 40],
             "seed": 0, "minutes": None, "steps": 6000, "flips": [0], "turns": False, "elastic": "copies"}  # fmt: skip
    model = {"network": {"name": "unet"}, "predict": {"average": True}, "symmetry": {"flips": [0], "plane": None},
             "provenance": {"train": train}}  # fmt: skip
    config = read_config({
        "name": "run", "sheet": "samples.tsv", "spatial_dims": 3, "labels": {"kind": "semantic"},
        "loss": {"name": "dice"}, "weigh": {"w0": 0, "classes": "equal"}, "augment": {"copies": 0, "std": 3},
        "prepare": {"normalise": "zscore"},
    })  # fmt: skip
    methods_text = methods_paragraph({"x": model}, {"x": "a U-Net"}, config, PACKAGES, "It was trained on 64 volumes.")
    assert methods_text == (
        "Images were segmented with SnakeSeg 1.2 (PyTorch 3.4). It was trained on 64 volumes. Intensities were scaled"
        " to mean 0 and standard deviation 1 over each image. Training: 6000 steps of AdamW with a learning rate of"
        " 0.003 (warm-up and cosine decay), 2 patches of 40 x 56 x 40 pixels per step; random flips of the first"
        " axis; random changes of contrast by up to 10 % and brightness by up to 0.1 (normalised intensity); loss:"
        " cross entropy plus Dice loss; predictions were averaged over flips of the first axis; seed 0."
    )


def test_repeats_with_other_seeds_are_described_once():
    train = {"seed": 0, "flips": False, "turns": False, "contrast": 0, "brightness": 0}
    model = {"network": {"name": "unet"}, "predict": {"average": False}}
    names = [f"{name}.seed-{seed}" for name in ("a", "b") for seed in (0, 1, 5)]
    models = {name: {**model, "provenance": {"train": {**train, "seed": int(name[-1])}}} for name in names}
    config = read_config({
        "name": "run", "sheet": "samples.tsv", "seeds": [0, 1, 5],
        "experiments": {"a": {}, "b": {"loss": {"name": "plain"}}},
    })  # fmt: skip
    methods_text = methods_paragraph(models, dict.fromkeys(names, "unet"), config, PACKAGES, "Trained.")
    assert methods_text.count("seeds 0, 1 and 5.") == 2
    assert methods_text.count("a (unet): ") == methods_text.count("b (unet): ") == 1
    assert methods_text.endswith("loss: cross entropy; seeds 0, 1 and 5.")


def test_the_section_on_training_follows_the_settings_too(tmp_path):
    """One run, and its page again with settings without elastic copies, border term and weights."""
    with chdir(tmp_path):
        page = make_run(Path.cwd(), images=1)
        texts = {"default": page.read_text(encoding="utf-8")}
        for name, changes in {
            "equal": {"augment": {"copies": 0}, "weigh": {"w0": 0}},
            "plain": {"loss": {"name": "plain"}},
        }.items():
            settings = json.dumps({**CONFIG, **changes})
            call("report", "--sheet", "samples.tsv", "--data", ".", "--run", page.parent, "--settings", settings,
                 "--output", page)  # fmt: skip
            texts[name] = page.read_text(encoding="utf-8")
    copies = {name: "Training images and their elastic copies" in text for name, text in texts.items()}
    assert copies == {"default": True, "equal": False, "plain": True}
    borders = {name: "gaps between close objects, where an error counts most" in text for name, text in texts.items()}
    assert borders == {"default": True, "equal": False, "plain": False}
    maps = {name: "<h3>Weight maps</h3>" in text for name, text in texts.items()}
    assert maps == borders
