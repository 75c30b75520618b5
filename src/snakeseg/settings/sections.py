"""Settings of all steps but networks and training: one frozen dataclass per section of the config."""

from dataclasses import dataclass
from typing import Literal

from snakeseg.settings.keys import SHARE, key


@dataclass(frozen=True)
class Labels:
    """Meaning of the values in label files."""

    kind: Literal["semantic", "instance", "binary"] = key(
        "instance",
        "`instance`: 0 is background, and each object has its own id. `binary`: 0 is background, any other value is "
        "foreground; objects are its face-connected components. `semantic`: each value is a class",
    )
    values: dict[str, int] = key(
        {"background": 0, "foreground": 1},
        "for `semantic`: value in the files of each class name, background first",
        minProperties=2,
    )
    ignore: int | None = key(None, "value of pixels that are excluded from training and scores")

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the network's output channels."""
        return list(self.values) if self.kind == "semantic" else ["background", "foreground"]


@dataclass(frozen=True)
class Simulate:
    """Simulated images of cells in place of a data set, as in the demos.

    They are written to `results/NAME/simulated`. Leave out the key `data`.
    """

    images: int = key(24, "number of images", minimum=1)
    size: int = key(256, "side length of the images in pixels", minimum=16)
    cells: int = key(40, "approximate number of cells per image", minimum=1)
    seed: int = key(0, "random seed of the images", minimum=0)


@dataclass(frozen=True)
class Prepare:
    """Normalisation of intensities, and resampling."""

    normalise: Literal["percentile", "zscore", "none"] = key(
        "percentile",
        "`percentile`: map the percentiles `low` and `high` to 0 and 1. `zscore`: mean 0, standard deviation 1. "
        "`none`: intensities as in the files",
    )
    scope: Literal["image", "dataset"] = key(
        "image",
        "normalise by the statistics of each `image`, or by their mean over the images that a fold trains on "
        "(`dataset`)",
    )
    low: float = key(1.0, "lower percentile", minimum=0, maximum=100)
    high: float = key(99.8, "upper percentile", minimum=0, maximum=100)
    spacing: Literal["auto"] | list[float] | None = key(
        None,
        "pixel size that all images are resampled to, one number per axis, in micrometres, or in millimetres for "
        "formats with an affine; `auto`: the median of the images that a fold trains on; `null`: no resampling. "
        "Results are on each image's original grid",
        minItems=2, maxItems=3, exclusiveMinimum=0,
    )  # fmt: skip
    crop: bool = key(
        False,
        "exclude the constant margin around the content of an image (as in a skull-stripped volume): intensity "
        "statistics and patches come from the bounding box of the content, and tiles outside of it are predicted as "
        "background without running the network",
    )

    @property
    def is_of_fold(self) -> bool:
        """True if prepared images depend on the images that a fold trains on (`OF_FOLD` in the workflow)."""
        return self.scope == "dataset" or self.spacing == "auto"


@dataclass(frozen=True)
class Augment:
    """Elastically deformed copies of the training images, made before the training."""

    copies: int = key(4, "number of deformed copies of each training image; may be 0", minimum=0)
    grid: int = key(3, "number of control points along each axis (the paper's value)", minimum=2)
    std: float = key(
        10.0,
        "standard deviation of the control points' displacement, in pixels of the finest axis (the paper's value); at "
        "most a tenth of the distance between control points, beyond which deformations fold",
        minimum=0,
    )
    seed: int = key(0, "random seed of the deformations", minimum=0)


@dataclass(frozen=True)
class Weigh:
    """Border-aware weight map of the loss (Ronneberger et al. 2015, equation 2).

    `w(x) = w_c(x) + w0 * exp(-(d1 + d2)^2 / (2 sigma^2))` on background pixels and `w_c(x)` on objects; d1 and d2 are
    the distances to the two nearest objects. Touching objects of instance labels are first separated: each loses the
    pixels that touch.
    """

    w0: float = key(10.0, "height of the border term (the paper's value)", minimum=0)
    sigma: float = key(5.0, "width of the border term in pixels (the paper's value)", exclusiveMinimum=0)
    classes: Literal["balanced", "equal"] = key(
        "balanced",
        "class weights w_c: `balanced` by the class frequencies in the images that a fold trains on, or 1 (`equal`)",
    )


@dataclass(frozen=True)
class Predict:
    """Prediction by overlapping tiles."""

    average: bool = key(
        True,
        "test-time augmentation: average over the flips and turns that were drawn in training; by default all 8 "
        "orientations of a plane, 16 of a volume",
    )
    scales: list[Literal[1, 1.5, 2]] = key(
        [1],
        "average over the image magnified by these factors: `[1, 1.5]` improves small objects among objects of many "
        "sizes, and takes three times as long (four times in 3D)",
        minItems=1, uniqueItems=True,
    )  # fmt: skip
    tile: Literal["auto"] | int = key(
        "auto",
        "largest stride of tiles in pixels; affects time and memory, and results only with the normalisations "
        "`instance` and `group`. `auto`: the fastest size that fits in half of the free memory, measured at the first "
        "large image on a device (half a minute, once, stored in `~/.cache/snakeseg`)",
        minimum=1,
    )
    precision: Literal["auto", "float32", "bfloat16"] = key(
        "float32", "`auto`: bfloat16 if the device multiplies it in hardware, else float32"
    )
    spacing: Literal["refuse", "resample", "ignore"] = key(
        "refuse",
        "images whose pixel size differs from that of the training by a fifth or more: `refuse` them, `resample` them"
        " (intensities to the model's pixel size, labels back to the image's), or `ignore` the difference. Has no "
        "effect if neither file nor sheet state a pixel size",
    )
    keep_probabilities: bool = key(False, "keep class probabilities in `results/NAME/probabilities`")
    uncertainty: bool = key(
        False,
        "with `keep_probabilities`, also keep maps of uncertainty: entropy, disagreement of folds, disagreement of "
        "orientations, each from 0 to 1",
    )


@dataclass(frozen=True)
class Instances:
    """Segmentation of objects from class probabilities.

    All combinations of these values are scored on the validation images. The best is stored in each model folder
    (`instances.json`) and used for new images. For each group of validation images, the best on the other groups is
    used, so that validation scores are cross-fitted. For `semantic` labels only `smallest` is used: for each class, all
    components are kept, those of at least one of these sizes, or only the largest, whichever gives the best mean Dice.
    """

    select_by: Literal["ap_0.50", "ap", "adapted_rand_error"] = key(
        "ap_0.50",
        "score on the validation images that selects the best combination. `ap_0.50`: average precision (AP) at IoU "
        "0.5; `ap`: mean AP over IoU 0.5 to 0.9; `adapted_rand_error`: adapted Rand error",
    )
    thresholds: list[float] = key(
        [0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
        "thresholds of the foreground probability, whose connected components are the objects; always tried",
        minItems=1,
        **SHARE,
    )
    cores: list[float] = key(
        [0.7, 0.8, 0.9, 0.95],
        "thresholds of the seeds of a watershed on the foreground probability, or on the interior probability with a "
        "border class",
        **SHARE,
    )
    depths: list[float] = key(
        [1.0, 2.0, 4.0],
        "minimum depths in pixels of the maxima that seed a watershed on a distance transform: of the thresholded "
        "foreground (`distance`), or the mean over nine thresholds (`soft`), which also separates objects at a neck of "
        "low probability",
        exclusiveMinimum=0,
    )
    smallest: list[int] = key(
        [0, 10, 20, 40, 80], "minimum sizes of objects in pixels; smaller ones are removed", minItems=1, minimum=0
    )
    grow: list[int] = key(
        [0, 1, 2],
        "numbers of pixels by which objects grow into the gaps between them, but nowhere else: training separates "
        "touching objects by a gap of two pixels, which 1 gives back",
        minItems=1, minimum=0, maximum=5,
    )  # fmt: skip
    fill_holes: bool = key(False, "fill holes: assign background that an object encloses to the object")
    drop_at_edge: bool = key(
        False,
        "remove objects that touch the edge of the image, as only a part of them is visible; true objects at the edge "
        "are then excluded from the scores",
    )


@dataclass(frozen=True)
class Export:
    """Description of a shared model.

    Used only by `snakemake export`, see [docs/how-to/share-a-model.md](../docs/how-to/share-a-model.md).
    """

    title: str | None = key(
        None,
        "name of the model: 5 to 64 letters, digits, spaces and `_ + - ( )`; by default network and classes",
        pattern="^[A-Za-z0-9_+ ()-]{5,64}$",
    )
    description: str | None = key(
        None, "purpose of the model in one or two sentences; by default network and classes", maxLength=512
    )
    licence: str | None = key(
        None, "licence of the weights, as an [SPDX identifier](https://spdx.org/licenses/) such as CC-BY-4.0"
    )
    authors: list[str] = key([], "names of the authors", pattern="^[^/]+$")
    cite: list[str] = key(
        [], "references to cite, each with a DOI or a URL", pattern=r"^.*(10\.[0-9]{4,9}/|https?://).*$"
    )
