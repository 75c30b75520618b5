"""Propose settings for a first run of about ten minutes on two cores of a laptop."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from snakeseg.checks.findings.object_sizes import extent_percentile, pool_extents, propose_patch
from snakeseg.checks.findings.per_dataset import RARE_SHARE, TOUCHING_SHARE
from snakeseg.networks.costs import prediction_operations, step_operations
from snakeseg.setup.survey import Survey
from snakeseg.transforms.resample import SAME_SPACING_RATIO

# Convolution speed of two cores of a laptop: a third of that of the machine of docs/benchmarks.md.
OPERATIONS_PER_S = 8e10
# Time budgets of training and prediction.
TRAINING_S, PREDICTION_S = 360, 120
# Number of times that training visits each pixel, if the time allows, and minimum number of steps.
EPOCHS, MIN_STEPS = 40, 100
# Maximum side length of a patch, and the number that side lengths are multiples of, in pixels, by number of axes.
MAX_PATCH_PX, PATCH_MULTIPLES_PX = {2: 192, 3: 64}, {2: 32, 3: 8}
# Number of channels at the first level of the network, by number of axes.
NETWORK_WIDTH = {2: 16, 3: 8}
# Mean share of foreground above which objects fill the image, as in a tissue.
DENSE_FOREGROUND_SHARE = 0.5


class ProposedKey(NamedTuple):
    """A key of the config with its value and a comment that explains the value."""

    name: str
    value: object
    why: str = ""


class Proposal(NamedTuple):
    """Proposed sections of the config and their cost.

    Attributes
    ----------
    sections : dict of list of Key
        Keys of each section, by the name of the section.
    minutes : float
        Estimated training time.
    predicted : int
        Number of unlabelled images to predict within the time budget.
    """

    sections: dict[str, list[ProposedKey]]
    minutes: float
    predicted: int


def propose_settings(survey: Survey) -> Proposal:
    """Propose settings that suit the images and labels.

    Parameters
    ----------
    survey : Survey
        From `survey.survey_files`.

    Returns
    -------
    Proposal
        Sections of the config, training time, and number of images to predict.
    """
    side = np.median(np.array(survey.shapes), axis=0)
    patch = _patch(survey, side)
    max_depth, min_side = (4, 8) if survey.dims == 2 else (3, 4)  # Pixels of a patch at the deepest level.
    depth = max(1, min(max_depth, int(math.log2(min(patch) / min_side)), _max_depth(survey.shapes)))
    batch = 4 if math.prod(patch) <= 128**2 else 2
    network = _network(survey, depth)
    settings = {"name": "unet", "slices": None, **{key.name: key.value for key in network}}
    seconds = step_operations(survey.dims, settings, patch, batch) / OPERATIONS_PER_S
    steps = _steps(survey, batch * math.prod(patch), seconds)
    average, predicted = _plan_prediction(survey, settings)
    sections = {
        "prepare": _prepare(survey),
        "augment": _augment(survey, side),
        "weigh": _weigh(survey),
        "loss": [ProposedKey("name", "dice")] if survey.labels.kind == "semantic" else [],
        "network": network,
        "train": _train(survey, steps, batch, patch, steps * seconds / 60),
        "predict": []
        if average
        else [
            ProposedKey(
                "average", False, "Set true to average predictions over flips and turns: more accurate, but slower."
            )
        ],
        "instances": _instances(survey),
    }
    return Proposal(sections, steps * seconds / 60, predicted)


def _network(survey: Survey, depth: int) -> list[ProposedKey]:
    """Return the keys of the section `network`."""
    return [
        ProposedKey(
            "width",
            NETWORK_WIDTH[survey.dims],
            "Channels of the first level: doubling them raises the capacity and quadruples the time.",
        ),
        ProposedKey("depth", depth),
        ProposedKey("padded", True),
        ProposedKey("normalisation", "batch"),
        ProposedKey("dropout", 0.1),
        *_border(survey),
    ]


def _train(survey: Survey, steps: int, batch: int, patch: list[int], minutes: float) -> list[ProposedKey]:
    """Return the keys of the section `train`."""
    advice = "To improve the model, raise this first: ten times as many steps are usual."
    flips = "Anatomy is symmetric from left to right only. If classes distinguish left and right, set flips: false."
    return [
        ProposedKey("steps", steps, f"About {max(1, round(minutes))} min on two cores of a laptop. {advice}"),
        ProposedKey("batch", batch),
        ProposedKey("patch", patch[0] if len(set(patch)) == 1 else patch, _patch_comment(survey)),
        ProposedKey("optimiser", "adamw"),
        ProposedKey("learning_rate", 0.003),
        ProposedKey("weight_decay", 0.01),
        ProposedKey("schedule", "cosine"),
        *_foreground(survey),
        *([ProposedKey("flips", [0], flips), ProposedKey("turns", False)] if survey.body else []),
    ]


def _patch(survey: Survey, side: np.ndarray) -> list[int]:
    """Choose side lengths of a patch that shows objects and their surroundings, limited by image size and time."""
    longest, multiple = MAX_PATCH_PX[survey.dims], PATCH_MULTIPLES_PX[survey.dims]
    counts = pool_extents(survey.facts) if "extents" in survey.facts else np.zeros(0)
    if survey.labels.kind != "semantic" and survey.dims == 2 and counts.sum():
        longest = min(longest, max(96, propose_patch(counts, float(np.exp(np.log(side).mean())))))
    if survey.dims == 2:
        return [int(min(longest, max(multiple, -(-side.min() // multiple) * multiple)))] * 2
    return [int(min(longest, max(16, -(-length // multiple) * multiple))) for length in side]


def _patch_comment(survey: Survey) -> str:
    """Explain the patch size by the lengths of the objects."""
    counts = pool_extents(survey.facts) if "extents" in survey.facts else np.zeros(0)
    if survey.labels.kind == "semantic" or not counts.sum():
        return ""
    median, large = extent_percentile(counts, 50), extent_percentile(counts, 95)
    return f"Half of the objects are longer than {median:.0f} pixels, 5 % are longer than {large:.0f}."


def _max_depth(shapes: list[tuple[int, ...]]) -> int:
    """Return the number of poolings that leave at least one pixel of the smallest image."""
    return max(1, int(math.log2(min(map(min, shapes)))))


def _steps(survey: Survey, pixels: int, seconds: float) -> int:
    """Choose the number of steps within the time budget, fewer for little data, rounded down to two digits."""
    total = sum(map(math.prod, survey.shapes)) * len(survey.sheet[survey.sheet["label"] != ""]) / len(survey.shapes)
    wanted = min(TRAINING_S / seconds, max(MIN_STEPS, EPOCHS * total / pixels))
    digits = 10 ** max(0, int(math.log10(max(wanted, 1))) - 1)
    return max(20, int(wanted // digits * digits))


def _plan_prediction(survey: Survey, settings: dict) -> tuple[bool, int]:
    """Decide whether to average over orientations, and how many unlabelled images to predict, within the budget."""
    orientations = 2 if survey.body else 2**survey.dims * 2
    pixels = float(np.mean([math.prod(shape) for shape in survey.shapes]))
    seconds = prediction_operations(survey.dims, settings, pixels) / OPERATIONS_PER_S
    labelled, unlabelled = (survey.sheet["label"] != "").sum(), (survey.sheet["label"] == "").sum()
    scored = (survey.sheet["subset"] == "test").sum() + max(1, labelled // 5)
    average = orientations * seconds * (scored + unlabelled) <= PREDICTION_S
    affordable = int(max(0, PREDICTION_S - seconds * scored) / seconds)
    return average, int(min(unlabelled, max(affordable, 4)))


def _prepare(survey: Survey) -> list[ProposedKey]:
    """Return the keys of the section `prepare`."""
    facts, keys = survey.facts, []
    if survey.body:
        is_ct = "smallest" in facts and (facts["smallest"].median() < -500)
        comment = (
            "Hounsfield units have the same meaning in all volumes: one normalisation for all."
            if is_ct
            else "Intensities of MRI have no absolute scale: each volume is normalised by itself."
        )
        keys = [ProposedKey("normalise", "zscore", comment), *([ProposedKey("scope", "dataset")] if is_ct else [])]
    else:
        types = sorted(set(facts["type"])) if "type" in facts else []
        channels = {1: "Intensities", 3: "Colours, each channel separately,"}
        intensities = channels.get(survey.channels, f"{survey.channels} channels")
        intensities += f" of type {' and '.join(types)}" if types else ""
        keys = [ProposedKey("normalise", "percentile", f"{intensities}: the range of each image becomes 0 to 1.")]
    sizes = np.array(survey.spacings)
    if (sizes.max(axis=0) > SAME_SPACING_RATIO * sizes.min(axis=0)).any():
        keys.append(
            ProposedKey("spacing", "auto", "Pixel sizes differ: all images are resampled to the median pixel size.")
        )
    return keys


def _augment(survey: Survey, side: np.ndarray) -> list[ProposedKey]:
    """Return the keys of the section `augment`: fewer copies of large data sets, small deformations of small images."""
    pixels = sum(map(math.prod, survey.shapes)) / len(survey.shapes) * (survey.sheet["label"] != "").sum()
    std = float(np.clip(round(0.02 * side.min()), 1, 10)) if survey.dims == 2 else 3
    return [ProposedKey("copies", 4 if pixels < 2e7 else 1), ProposedKey("std", int(std))]


def _weigh(survey: Survey) -> list[ProposedKey]:
    """Return the keys of the section `weigh`."""
    if survey.labels.kind == "semantic":
        return [
            ProposedKey("w0", 0, "Semantic labels have no borders between touching objects: no border weights."),
            ProposedKey("classes", "equal"),
        ]
    return [ProposedKey("w0", 5), ProposedKey("sigma", 3), ProposedKey("classes", "equal")]


def _border(survey: Survey) -> list[ProposedKey]:
    """Return the key of the border class, if many objects touch."""
    if survey.labels.kind != "instance" or "touching" not in survey.facts:
        return []
    share = survey.facts["touching"].sum() / max(survey.facts["objects"].sum(), 1)
    comment = f"{share:.0%} of the objects touch another: their borders are a class of their own."
    return [ProposedKey("border", 1, comment)] if share > TOUCHING_SHARE else []


def _foreground(survey: Survey) -> list[ProposedKey]:
    """Return the keys that place more patches on rare classes."""
    shares = pd.DataFrame([share for share in survey.facts.get("shares", []) if isinstance(share, dict)])
    means = shares.iloc[:, 1:].mean()
    if shares.empty or means.min() >= RARE_SHARE:
        return []
    balanced = [ProposedKey("balanced", True)] if len(shares.columns) > 2 else []
    comment = f"{means.idxmin()} covers {means.min():.1%} of an image: a third of the patches contain foreground."
    return [ProposedKey("foreground", 0.33, comment), *balanced]


def _instances(survey: Survey) -> list[ProposedKey]:
    """Return the key of the score that selects the object parameters."""
    if survey.labels.kind == "semantic":
        return []
    dense = "foreground" in survey.facts and survey.facts["foreground"].mean() > DENSE_FOREGROUND_SHARE
    if dense and survey.labels.kind == "binary":
        comment = "Objects fill the image, and a gap in a border merges two of them: this score compares partitions."
        return [ProposedKey("select_by", "adapted_rand_error", comment)]
    return [ProposedKey("select_by", "ap_0.50")]
