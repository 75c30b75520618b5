"""Settings to begin with, by what was found: a first run of some ten minutes on two cores of a laptop."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from snakeseg.checks.findings.object_sizes import extent_at, extents_of, proposed_patch
from snakeseg.checks.findings.per_dataset import RARE_SHARE, TOUCHING_SHARE
from snakeseg.networks.costs import prediction_operations, step_operations
from snakeseg.setup.survey import Survey
from snakeseg.transforms.resample import SAME_SPACING

# Operations a second of two cores of a laptop, in convolutions: a third of what the machine of docs/benchmarks.md does.
SPEED = 8e10
# Seconds that training, and predicting, may take.
TRAINING, PREDICTING = 360, 120
# How often every pixel of the training images is seen at least, if there is the time; and the fewest steps.
PASSES, FEWEST = 40, 100
# Largest sides of patches to begin with; a multiple of all that networks ask for.
LARGEST_PATCH, STEP = {2: 192, 3: 64}, {2: 32, 3: 8}
WIDTH = {2: 16, 3: 8}
# Share of foreground that fills an image like a tissue.
FULL = 0.5


class Key(NamedTuple):
    """A key of the config, its value, and why, in a comment."""

    name: str
    value: object
    why: str = ""


class Proposal(NamedTuple):
    """Sections of the config, and what they cost.

    Parameters
    ----------
    sections : dict of list of Key
    minutes : float
        Of training, as estimated.
    predicted : int
        How many images without labels are predicted; more would take too long for a first run.
    """

    sections: dict[str, list[Key]]
    minutes: float
    predicted: int


def propose(look: Survey) -> Proposal:
    """Settings for what was found."""
    side = np.median(np.array(look.shapes), axis=0)
    patch = _patch(look, side)
    most, deepest_pixels = (4, 8) if look.dims == 2 else (3, 4)
    depth = max(1, min(most, int(math.log2(min(patch) / deepest_pixels)), _deepest(look.shapes)))
    batch = 4 if math.prod(patch) <= 128**2 else 2
    network = _network(look, depth)
    settings = {"name": "unet", "slices": None, **{key.name: key.value for key in network}}
    seconds = step_operations(look.dims, settings, patch, batch) / SPEED
    steps = _steps(look, batch * math.prod(patch), seconds)
    average, predicted = _predicting(look, settings)
    sections = {
        "prepare": _prepare(look),
        "augment": _augment(look, side),
        "weigh": _weigh(look),
        "loss": [Key("name", "dice")] if look.labels.kind == "semantic" else [],
        "network": network,
        "train": _train(look, steps, batch, patch, steps * seconds / 60),
        "predict": []
        if average
        else [Key("average", False, "True averages over flips and turns: better, and slower.")],
        "instances": _instances(look),
    }
    return Proposal(sections, steps * seconds / 60, predicted)


def _network(look: Survey, depth: int) -> list[Key]:
    return [
        Key(
            "width", WIDTH[look.dims], "Channels of the first level: twice as many learn more, at four times the cost."
        ),
        Key("depth", depth),
        Key("padded", True),
        Key("normalisation", "batch"),
        Key("dropout", 0.1),
        *_border(look),
    ]


def _train(look: Survey, steps: int, batch: int, patch: list[int], minutes: float) -> list[Key]:
    raise_it = "Raise this first: ten times as many are usual for a model to keep."
    flips = "Bodies are alike from left to right only. If classes tell left from right: false."
    return [
        Key("steps", steps, f"About {max(1, round(minutes))} min on two cores of a laptop. {raise_it}"),
        Key("batch", batch),
        Key("patch", patch[0] if len(set(patch)) == 1 else patch, _patch_why(look)),
        Key("optimiser", "adamw"),
        Key("learning_rate", 0.003),
        Key("weight_decay", 0.01),
        Key("schedule", "cosine"),
        *_foreground(look),
        *([Key("flips", [0], flips), Key("turns", False)] if look.body else []),
    ]


def _patch(look: Survey, side: np.ndarray) -> list[int]:
    """Sides of a patch that shows objects and what is around them, as far as images and time go."""
    most, step = LARGEST_PATCH[look.dims], STEP[look.dims]
    counts = extents_of(look.facts) if "extents" in look.facts else np.zeros(0)
    if look.labels.kind != "semantic" and look.dims == 2 and counts.sum():
        most = min(most, max(96, proposed_patch(counts, float(np.exp(np.log(side).mean())))))
    if look.dims == 2:
        return [int(min(most, max(step, -(-side.min() // step) * step)))] * 2
    return [int(min(most, max(16, -(-length // step) * step))) for length in side]


def _patch_why(look: Survey) -> str:
    counts = extents_of(look.facts) if "extents" in look.facts else np.zeros(0)
    if look.labels.kind == "semantic" or not counts.sum():
        return ""
    middle, large = extent_at(counts, 50), extent_at(counts, 95)
    return f"Half of the objects are longer than {middle:.0f} pixels, one in 20 than {large:.0f}."


def _deepest(shapes: list[tuple[int, ...]]) -> int:
    """Poolings that leave a pixel of the smallest image."""
    return max(1, int(math.log2(min(map(min, shapes)))))


def _steps(look: Survey, pixels: int, seconds: float) -> int:
    """As many as are in the budget, or as many as so little data asks for; two digits of them."""
    total = sum(map(math.prod, look.shapes)) * len(look.sheet[look.sheet["label"] != ""]) / len(look.shapes)
    wanted = min(TRAINING / seconds, max(FEWEST, PASSES * total / pixels))
    digits = 10 ** max(0, int(math.log10(max(wanted, 1))) - 1)
    return max(20, int(wanted // digits * digits))


def _predicting(look: Survey, settings: dict) -> tuple[bool, int]:
    """Whether to average over orientations, and how many images without labels can be predicted."""
    orientations = 2 if look.body else 2**look.dims * 2
    pixels = float(np.mean([math.prod(shape) for shape in look.shapes]))
    each = prediction_operations(look.dims, settings, pixels) / SPEED
    labelled, others = (look.sheet["label"] != "").sum(), (look.sheet["label"] == "").sum()
    scored = (look.sheet["subset"] == "test").sum() + max(1, labelled // 5)
    average = orientations * each * (scored + others) <= PREDICTING
    room = int(max(0, PREDICTING - each * scored) / each)
    return average, int(min(others, max(room, 4)))


def _prepare(look: Survey) -> list[Key]:
    facts, keys = look.facts, []
    if look.body:
        computed = "smallest" in facts and (facts["smallest"].median() < -500)
        why = "Grey values of MRI mean nothing by themselves."
        keys = [
            Key("normalise", "zscore", "Hounsfield units mean the same in all volumes." if computed else why),
            *([Key("scope", "dataset")] if computed else []),
        ]
    else:
        kinds = sorted(set(facts["type"])) if "type" in facts else []
        what = {1: "Grey values", 3: "Colours, each channel by itself,"}.get(look.channels, f"{look.channels} channels")
        what += f" of type {' and '.join(kinds)}" if kinds else ""
        keys = [Key("normalise", "percentile", f"{what}: the range of each image becomes 0 to 1.")]
    sizes = np.array(look.spacings)
    if (sizes.max(axis=0) > SAME_SPACING * sizes.min(axis=0)).any():
        keys.append(Key("spacing", "auto", "Pixels are of several sizes; all are brought to the middle one."))
    return keys


def _augment(look: Survey, side: np.ndarray) -> list[Key]:
    """Fewer copies of many pixels, smaller deformations of small images."""
    pixels = sum(map(math.prod, look.shapes)) / len(look.shapes) * (look.sheet["label"] != "").sum()
    std = float(np.clip(round(0.02 * side.min()), 1, 10)) if look.dims == 2 else 3
    return [Key("copies", 4 if pixels < 2e7 else 1), Key("std", int(std))]


def _weigh(look: Survey) -> list[Key]:
    if look.labels.kind == "semantic":
        return [Key("w0", 0, "Classes in place of touching objects: no border weights."), Key("classes", "equal")]
    return [Key("w0", 5), Key("sigma", 3), Key("classes", "equal")]


def _border(look: Survey) -> list[Key]:
    """A class of its own for the edges of objects that touch."""
    if look.labels.kind != "instance" or "touching" not in look.facts:
        return []
    share = look.facts["touching"].sum() / max(look.facts["objects"].sum(), 1)
    why = f"{share:.0%} of the objects touch another: their edges are a class of their own."
    return [Key("border", 1, why)] if share > TOUCHING_SHARE else []


def _foreground(look: Survey) -> list[Key]:
    """More patches of what is rare."""
    shares = pd.DataFrame([each for each in look.facts.get("shares", []) if isinstance(each, dict)])
    means = shares.iloc[:, 1:].mean()
    if shares.empty or means.min() >= RARE_SHARE:
        return []
    several = [Key("balanced", True)] if len(shares.columns) > 2 else []
    why = f"{means.idxmin()} fills {means.min():.1%} of an image: a third of the patches show some."
    return [Key("foreground", 0.33, why), *several]


def _instances(look: Survey) -> list[Key]:
    if look.labels.kind == "semantic":
        return []
    full = "foreground" in look.facts and look.facts["foreground"].mean() > FULL
    if full and look.labels.kind == "binary":
        why = "Objects fill the image: one gap between them joins two, so partitions are compared."
        return [Key("select_by", "adapted_rand_error", why)]
    return [Key("select_by", "ap_0.50")]
