"""The settings of every step but networks and training: one frozen dataclass for each section of the config."""

from dataclasses import dataclass
from typing import Literal

from snakeseg.settings.keys import SHARE, key


@dataclass(frozen=True)
class Labels:
    """Meaning of label files."""

    kind: Literal["semantic", "instance", "binary"] = key(
        "instance",
        "`instance`: 0 and one id per object. `binary`: 0 and anything else; the face-connected components are the "
        "objects. `semantic`: classes",
    )
    values: dict[str, int] = key(
        {"background": 0, "foreground": 1},
        "for `semantic`: map of class names to values in the files, background first",
        minProperties=2,
    )
    ignore: int | None = key(None, "value of pixels that count neither in training nor in scores")

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the network's outputs."""
        return list(self.values) if self.kind == "semantic" else ["background", "foreground"]


@dataclass(frozen=True)
class Simulate:
    """Images that are made instead of read; only the demos have this section.

    They are written to `results/NAME/simulated`; the key `data` is left out.
    """

    images: int = key(24, "number of images", minimum=1)
    size: int = key(256, "pixels a side", minimum=16)
    cells: int = key(40, "about how many cells an image holds", minimum=1)
    seed: int = key(0, "seed of the images", minimum=0)


@dataclass(frozen=True)
class Prepare:
    """Intensities and pixel size."""

    normalise: Literal["percentile", "zscore", "none"] = key(
        "percentile", "`percentile`: `low`..`high` become 0..1. `zscore`: mean 0, standard deviation 1. `none`"
    )
    scope: Literal["image", "dataset"] = key(
        "image", "statistics of each `image`, or the mean of the training images' (`dataset`)"
    )
    low: float = key(1.0, "lower percentile", minimum=0, maximum=100)
    high: float = key(99.8, "upper percentile", minimum=0, maximum=100)
    spacing: Literal["auto"] | list[float] | None = key(
        None,
        "pixel size that all images are resampled to, one number per axis, in the files' unit (millimetres in "
        "NIfTI); `auto`: the median of the training images; `null`: as they are. Results come back on each image's "
        "own grid",
        minItems=2, maxItems=3, exclusiveMinimum=0,
    )  # fmt: skip
    crop: bool = key(
        False,
        "leave out the constant margin around what an image shows (as in a volume whose skull was stripped): "
        "intensity statistics and patches come from the box of all else, and tiles beyond it are background without "
        "running a network",
    )


@dataclass(frozen=True)
class Augment:
    """Elastic copies made beforehand."""

    copies: int = key(4, "deformed copies of each training image; 0 is allowed", minimum=0)
    grid: int = key(3, "control points along each axis (the paper's value)", minimum=2)
    std: float = key(
        10.0, "standard deviation of their displacement, in pixels of the finest axis (the paper's value)", minimum=0
    )
    seed: int = key(0, "seed of the deformations", minimum=0)


@dataclass(frozen=True)
class Weigh:
    """The border-aware loss weights.

    `w(x) = w_c(x) + w0 * exp(-(d1 + d2)^2 / (2 sigma^2))` on background pixels, `w_c` on objects; d1 and d2 are the
    distances to the two nearest objects. Instance labels that touch get a one-pixel border first.
    """

    w0: float = key(10.0, "height of the border term (the paper's value)", minimum=0)
    sigma: float = key(5.0, "its width in pixels (the paper's value)", exclusiveMinimum=0)
    classes: Literal["balanced", "equal"] = key(
        "balanced", "`balanced`: w_c balances classes by their frequency in the training images. `equal`: w_c is 1"
    )


@dataclass(frozen=True)
class Predict:
    """Prediction."""

    average: bool = key(
        True,
        "average over the flips and turns that training drew: all 8 orientations of a plane, 16 of a volume, unless "
        "`train` says otherwise",
    )
    scales: list[Literal[1, 1.5, 2]] = key(
        [1],
        "average over the image magnified by these factors: `[1, 1.5]` helps where objects are of many sizes and "
        "small ones matter, and takes three times as long (four in 3D)",
        minItems=1, uniqueItems=True,
    )  # fmt: skip
    tile: Literal["auto"] | int = key(
        "auto",
        "largest stride of tiles in pixels; changes time and memory, not results. `auto`: the first large image on a"
        " device has a few sizes measured (half a minute, once, kept in `~/.cache/snakeseg`), and the fastest that "
        "fits half of the free memory is taken",
        minimum=1,
    )
    precision: Literal["auto", "float32", "bfloat16"] = key("float32", "as in `train`")
    spacing: Literal["refuse", "resample", "ignore"] = key(
        "refuse",
        "images whose pixels differ in size by a fifth or more from those trained on: `refuse` them, `resample` them"
        " (intensities to the model's pixels, labels back to the image's), or `ignore` it. Only where file or sheet "
        "state the size",
    )
    keep_probabilities: bool = key(False, "keep class probabilities in `results/NAME/probabilities`")
    uncertainty: bool = key(
        False,
        "with them, keep maps of uncertainty: entropy, disagreement of folds, disagreement of orientations, each 0 "
        "to 1",
    )


@dataclass(frozen=True)
class Instances:
    """How objects are cut out of probabilities.

    Every combination is tried on the validation images; the best is stored in each model folder (`instances.json`).
    Of `semantic` labels only `smallest` counts: for each class, either all components are kept, or those of a size from
    these on, or the largest alone, whatever gives the best mean Dice.
    """

    select_by: Literal["ap_0.50", "ap", "adapted_rand_error"] = key(
        "ap_0.50",
        "score that chooses on validation images. `ap_0.50`: AP at IoU 0.5; `ap`: its mean over IoU 0.5 to 0.9; "
        "`adapted_rand_error`",
    )
    thresholds: list[float] = key(
        [0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
        "foreground thresholds; connected components are always tried",
        minItems=1,
        **SHARE,
    )
    cores: list[float] = key(
        [0.7, 0.8, 0.9, 0.95],
        "thresholds for the seeds of a watershed of probabilities, of the interior where the network has a border "
        "class",
        **SHARE,
    )
    depths: list[float] = key(
        [1.0, 2.0, 4.0],
        "depths in pixels of the maxima that seed a watershed of distances: of those to the edge (`distance`), or of"
        " their mean over nine thresholds (`soft`), where a pale neck between two objects counts like a narrow one",
        exclusiveMinimum=0,
    )
    smallest: list[int] = key([0, 10, 20, 40, 80], "smallest sizes of objects in pixels", minItems=1, minimum=0)
    fill_holes: bool = key(False, "assign background that an object encloses to that object")
    drop_at_edge: bool = key(
        False,
        "drop objects that touch the image's edge, of which only a part is seen; true ones do not count in the "
        "scores then",
    )


@dataclass(frozen=True)
class Export:
    """What a shared model says of itself.

    Used by `snakemake export` alone: [docs/how-to/share-a-model.md](../docs/how-to/share-a-model.md).
    """

    title: str | None = key(
        None,
        "name of the model: 5 to 64 letters, digits, spaces and `_ + - ( )`; by default network and classes",
        pattern="^[A-Za-z0-9_+ ()-]{5,64}$",
    )
    description: str | None = key(
        None, "what it is for, in a sentence or two; by default network and classes", maxLength=512
    )
    licence: str | None = key(
        None, "of the weights, as an [SPDX identifier](https://spdx.org/licenses/) such as CC-BY-4.0"
    )
    authors: list[str] = key([], "names of those who made it", pattern="^[^/]+$")
    cite: list[str] = key(
        [], "what to cite; each entry with a DOI or an address in it", pattern=r"^.*(10\.[0-9]{4,9}/|https?://).*$"
    )
