"""Settings of the loss and of training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from snakeseg.errors import BadInput
from snakeseg.settings.keys import SHARE, key


@dataclass(frozen=True)
class Loss:
    """Loss function."""

    name: Literal["border", "plain", "balanced", "sum", "dice"] = key(
        "border",
        "`border`: cross entropy weighted by the map of `weigh`. `plain`: unweighted cross entropy. `balanced`: cross "
        "entropy weighted by class frequency. `sum`: unweighted, summed over the pixels of a patch as in the FCN "
        "reference (divide the learning rate by the number of pixels). `dice`: sum of `border` and Dice loss",
    )


@dataclass(frozen=True)
class Train:
    """Training of the network."""

    steps: int = key(2000, "number of optimiser steps; the learning rate schedule spans all of them", minimum=1)
    minutes: float | None = key(
        None, "time budget in minutes in place of `steps`; results are not bitwise reproducible", exclusiveMinimum=0
    )
    batch: int | Literal["auto"] = key(
        1, "patches per step; `auto`: as many as fit in the device's memory, at most 16", minimum=1
    )
    patch: int | list[int] | Literal["auto"] = key(
        388,
        "side length in pixels of the part of a patch that the loss covers, or a list with one length per axis; "
        "rounded up to an output size of the network. `auto`: the median image size, at most 512 (2D) or 128 (3D), less"
        " if memory is small",
        minItems=2, maxItems=3, minimum=1,
    )  # fmt: skip
    optimiser: Literal["sgd", "adamw"] = key("sgd", "`sgd` (with momentum, as in the paper) or `adamw`")
    learning_rate: float = key(0.001, "maximum learning rate of the schedule", exclusiveMinimum=0)
    momentum: float = key(0.99, "momentum of `sgd`", minimum=0, exclusiveMaximum=1)
    weight_decay: float = key(
        0.0, "weight decay of convolution weights; biases and normalisation layers have none", minimum=0
    )
    schedule: Literal["poly", "cosine", "constant"] = key(
        "poly", "learning rate schedule after a warm-up of 5 % of the steps: `poly`, `cosine` or `constant`"
    )
    clip: float = key(0.0, "maximum norm of the gradient; 0: no gradient clipping", minimum=0)
    accumulate: int = key(
        1,
        "gradient accumulation: number of parts in which a batch is computed, to save memory. Changes results only "
        "with batch normalisation or the loss `dice`",
        minimum=1,
    )
    processes: int = key(
        1,
        "number of processes that share each batch and average their gradients, on one GPU each if there are enough; "
        "must divide `batch`; for several nodes, see `docs/how-to/train.md`",
        minimum=1,
    )
    select: Literal["last", "best", "average"] = key(
        "last",
        "weights that are kept: the `last`, the `best` of 20 evaluations on up to eight held-out images (which makes "
        "validation scores optimistic), or a running `average`",
    )
    state_seconds: float = key(
        60.0,
        "interval in seconds between writes of the state from which an interrupted training resumes "
        "(`docs/explanation/reproducibility.md`)",
        minimum=0,
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = key(
        "auto",
        "`auto`: bfloat16 if the device multiplies it in hardware, else float32. `float16`: with loss scaling, which "
        "keeps small gradients",
    )
    compile: bool = key(
        False,
        "compile the network first, for long trainings on a GPU; takes a minute or more (see the log) and needs a C++ "
        "compiler",
    )
    cache_gb: float | None = key(
        None,
        "limit in GB of training images and maps in memory; the rest is mapped from a temporary file beside the model. "
        "`null`: half of the memory of the machine, or of the part that the job may use",
        minimum=0,
    )
    tensorboard: bool = key(
        False, "also write TensorBoard event files to `events/` beside the model; needs `pip install tensorboard`"
    )
    foreground: float = key(
        0.0,
        "share of patches that contain a randomly drawn foreground pixel at a random position, for rare objects",
        **SHARE,
    )
    balanced: bool = key(False, "with `foreground`, draw these pixels from all foreground classes equally often")
    draw: Literal["images", "pixels"] = key(
        "images", "draw patches from all `images` equally often, or in proportion to their number of `pixels`"
    )
    elastic: Literal["copies", "online"] = key(
        "copies",
        "`copies`: use the deformed copies of `augment`. `online`: cut each patch from a new deformation of its image, "
        "with the same `grid` and `std`",
    )
    flips: bool | list[int] = key(
        True,
        "random flips of all axes, no axis, or a list of axes (0 is the first); `predict.average` uses the same flips",
        uniqueItems=True, minimum=0, maximum=2,
    )  # fmt: skip
    turns: bool = key(
        True,
        "random exchange of two axes with equal pixel size and patch size; with flips, these are quarter turns",
    )
    brightness: float = key(
        0.1, "maximum of the random offset `b` of normalised intensities: `image * (1 + c) + b`", minimum=0
    )
    contrast: float = key(0.1, "maximum of the random contrast change `c`", minimum=0, exclusiveMaximum=1)
    seed: int = key(0, "random seed of initial weights, patches and dropout", minimum=0)


def patch_sides(patch: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """Return the side lengths of a patch in pixels, one per axis.

    Parameters
    ----------
    patch : int or sequence of int
        Length of all sides, or one length per axis.
    dims : int
        Number of spatial axes.

    Raises
    ------
    BadInput
        If a sequence has another length than `dims`.
    """
    if isinstance(patch, int):
        return (patch,) * dims
    if len(patch) != dims:
        expected = f"one number, or {dims}, one per axis"
        raise BadInput("train.patch", f"{len(patch)} numbers", expected, "set train.patch to one number")
    return tuple(patch)
