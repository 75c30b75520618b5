"""The settings of the loss and of training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from snakeseg.errors import BadInput
from snakeseg.settings.keys import SHARE, key


@dataclass(frozen=True)
class Loss:
    """The loss."""

    name: Literal["border", "plain", "balanced", "sum", "dice"] = key(
        "border",
        "`border`: cross entropy weighted by the map of `weigh`. `plain`: unweighted. `balanced`: by class "
        "frequency. `sum`: unweighted and summed over the pixels of a patch, as in the FCN reference (rates must be "
        "that much smaller). `dice`: `border` plus Dice",
    )


@dataclass(frozen=True)
class Train:
    """Training."""

    steps: int = key(2000, "number of optimiser steps; the schedule is fitted to it", minimum=1)
    minutes: float | None = key(None, "time budget in place of `steps`; not repeatable to the bit", exclusiveMinimum=0)
    batch: int | Literal["auto"] = key(
        1, "patches a step; `auto`: as many, up to 16, as fit the device's memory", minimum=1
    )
    patch: int | list[int] | Literal["auto"] = key(
        388,
        "pixels a side that the loss sees, or a list of pixels along each axis, rounded up to a size the network can"
        " give; `auto`: the median image size, at most 512 (2D) or 128 (3D), less if the memory is small",
        minItems=2, maxItems=3, minimum=1,
    )  # fmt: skip
    optimiser: Literal["sgd", "adamw"] = key("sgd", "`sgd` (momentum, as in the paper) or `adamw`")
    learning_rate: float = key(0.001, "learning rate at the top of the schedule", exclusiveMinimum=0)
    momentum: float = key(0.99, "momentum of `sgd`", minimum=0, exclusiveMaximum=1)
    weight_decay: float = key(0.0, "weight decay", minimum=0)
    schedule: Literal["poly", "cosine", "constant"] = key(
        "poly", "of the learning rate, after a warm-up of 5 %: `poly`, `cosine` or `constant`"
    )
    clip: float = key(0.0, "largest norm of the gradient; 0: no limit", minimum=0)
    accumulate: int = key(
        1,
        "parts that a batch is computed in, to save memory; changes nothing else unless the network normalises by "
        "batch or the loss is `dice`",
        minimum=1,
    )
    processes: int = key(
        1,
        "processes that share each batch and average their gradients, on one GPU each where there are that many; "
        "must divide `batch`; over several nodes: `docs/how-to/train.md`",
        minimum=1,
    )
    select: Literal["last", "best", "average"] = key(
        "last",
        "weights that are kept: the `last`, the `best` on up to eight held-out images, evaluated 20 times, or their "
        "running `average`",
    )
    state_seconds: float = key(
        60.0,
        "how often the state is written that a killed training resumes from (`docs/explanation/reproducibility.md`)",
        minimum=0,
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = key(
        "auto",
        "`auto`: bfloat16 where the processor multiplies it, else float32. `float16` scales the loss so that small "
        "gradients survive",
    )
    compile: bool = key(
        False,
        "compile the network first; takes a minute or more (the log says how long) and needs a C++ compiler; for "
        "long trainings on a GPU",
    )
    cache_gb: float | None = key(
        None,
        "training images and maps kept in memory; what is beyond is mapped from a temporary file beside the model. "
        "`null`: half of the memory of the machine (or of its share that the job may use)",
        minimum=0,
    )
    tensorboard: bool = key(
        False, "also write event files into `events/` beside the model; needs `pip install tensorboard`"
    )
    foreground: float = key(
        0.0,
        "share of patches placed around a foreground pixel, at a random position in the patch: for rare objects",
        **SHARE,
    )
    balanced: bool = key(False, "draw these pixels from each foreground class equally often")
    elastic: Literal["copies", "online"] = key(
        "copies",
        "`copies`: use those of `augment`. `online`: also deform every patch afresh, with the same grid and std",
    )
    flips: bool | list[int] = key(
        True,
        "random flips of all axes, of none, or of a list of them (0 is the first); prediction averages over the same",
        uniqueItems=True, minimum=0, maximum=2,
    )  # fmt: skip
    turns: bool = key(
        True, "random exchange of two axes whose pixels and patch sides are alike, which makes quarter turns"
    )
    brightness: float = key(0.1, "`b`, the largest change of normalised intensities `image * (1 + c) + b`", minimum=0)
    contrast: float = key(0.1, "`c`, the largest relative change of them", minimum=0, exclusiveMaximum=1)
    seed: int = key(0, "seed of weights, patches and dropout", minimum=0)


def sides(patch: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """Return the side lengths of a patch in pixels, one per axis.

    Raises
    ------
    BadInput
        If there are others than one, or one per axis.
    """
    if isinstance(patch, int):
        return (patch,) * dims
    if len(patch) != dims:
        raise BadInput("train.patch", f"{len(patch)} numbers", f"one, or {dims}, one per axis", "correct it")
    return tuple(patch)
