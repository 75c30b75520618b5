"""A paragraph for the methods section of a paper; each clause follows from settings that the run used."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from snakeseg.evaluation.comparison import SEEDED, format_count
from snakeseg.report.used_settings import UsedSettings, used_settings
from snakeseg.settings import Augment, Config
from snakeseg.transforms.elastic import MAX_STD_SHARE
from snakeseg.transforms.flips import Symmetry

AXIS_NAMES = ("first", "second", "third")
INTENSITY_CLAUSES = {
    ("percentile", "image"): "Intensities were scaled by the percentiles {low:g} and {high:g} of each image.",
    ("percentile", "dataset"): "Intensities were scaled by the percentiles {low:g} and {high:g}, averaged over the"
    " training images.",
    ("zscore", "image"): "Intensities were scaled to mean 0 and standard deviation 1 over each image.",
    ("zscore", "dataset"): "Intensities were scaled by mean and standard deviation, averaged over the training images.",
}
SCHEDULES = {
    "poly": "warm-up and polynomial decay", "cosine": "warm-up and cosine decay", "constant": "constant after warm-up",
}  # fmt: skip
OPTIMISERS = {"sgd": "SGD", "adamw": "AdamW"}
SELECTIONS = {
    "best": "the weights with the lowest loss on held-out images were kept",
    "average": "a running average of the weights was kept",
}
# Methods of `objects.segment`, in words.
OBJECT_METHODS = {
    "components": "connected pixels above the threshold",
    "distance": "watershed of the distance to the edge",
    "soft": "watershed of the distance to the edge, averaged over nine thresholds",
    "core": "watershed from cores of high probability",
}


def methods_paragraph(
    models: dict[str, dict], networks: dict[str, str], config: Config, packages: dict, trained: str
) -> str:
    """Return a paragraph for a methods section: versions, data, training, prediction.

    Parameters
    ----------
    models, config
        As in `citation.works_to_cite`.
    networks : dict
        Networks in words, by experiment.
    packages : dict
        Versions of packages, by name.
    trained : str
        Sentence about the training, from `verdict`.
    """
    used = {name: used_settings(name, model, config) for name, model in models.items()}
    bases = {name: re.sub(SEEDED, "", name) for name in models}
    seeds: dict[tuple[str, str], list[int]] = {}
    for name, settings in used.items():
        is_single = len(set(bases.values())) == 1
        title = networks[name] if is_single else f"{bases[name]} ({networks[name]})"
        title = "Training" if len(used) == 1 else title  # `trained` describes a single network
        seeds.setdefault((title, "; ".join(_clauses(settings))), []).append(settings.train.seed)
    return " ".join([
        f"Images were segmented with SnakeSeg {packages['snakeseg']} (PyTorch {packages['torch']}). {trained}",
        *_preparation(next(iter(used.values()))),
        *(f"{title}: {clauses}; seed{'s' * (len(own) > 1)} {_listed(own)}." for (title, clauses), own in seeds.items()),
        *_averaged_folds(config),
    ])  # fmt: skip


def _preparation(used: UsedSettings) -> Iterator[str]:
    """Yield sentences about what all experiments share: resampling, cropping, normalisation, elastic copies."""
    config, prepare = used.config, used.config.prepare
    if prepare.spacing == "auto":
        is_one_model = config.folds == 1 or config.fold != "all"  # otherwise the median may differ between folds
        size = f" ({_times(used.spacing)} in the unit of the files)" if used.spacing and is_one_model else ""
        yield f"Images were resampled to the median pixel size of the training images{size}."
    elif prepare.spacing:
        yield f"Images were resampled to a pixel size of {_times(prepare.spacing)} in the unit of the files."
    if prepare.crop:
        yield "Constant margins of images were excluded."
    template = INTENSITY_CLAUSES.get((prepare.normalise, prepare.scope), "Intensities were not normalised.")
    yield template.format(low=prepare.low, high=prepare.high)
    if used.has_copies:
        copies = "copies were" if config.augment.copies > 1 else "copy was"
        yield (
            f"For each training image, {config.augment.copies} elastically deformed {copies} added"
            f" ({_displacements(config.augment, config.spatial_dims)})."
        )


def _averaged_folds(config: Config) -> Iterator[str]:
    """Yield a sentence on the mean over the folds' models, if there are several."""
    if config.fold == "all" and config.folds > 1:
        yield f"Predictions of images outside the training data are means over the models of {config.folds} folds."


def _clauses(used: UsedSettings) -> Iterator[str]:
    """Yield clauses about one experiment: optimiser, initial weights, augmentation, loss, prediction."""
    yield _optimisation(used)
    if used.start:
        yield f"initial weights from the experiment {used.start}"
    elif used.network.pretrained:
        yield f"initial weights from the file {Path(used.network.pretrained).name}"
    if used.network.border:
        yield f"the inner border of objects ({used.network.border} pixels wide) was a class of its own"
    yield from _augmentation(used)
    yield f"loss: {_loss(used)}"
    if used.train.select in SELECTIONS:
        yield SELECTIONS[used.train.select]
    yield from _averages(used)


def _optimisation(used: UsedSettings) -> str:
    """Describe length, optimiser, learning rate, batches and patches of a training."""
    train = used.train
    budget = f"{train.minutes:g} minutes" if train.minutes else f"{train.steps} steps"
    details = [
        f"momentum {train.momentum:g}" if train.optimiser == "sgd" and train.momentum else "",
        f"weight decay {train.weight_decay:g}" if train.weight_decay else "",
        f"gradients clipped to a norm of {train.clip:g}" if train.clip else "",
    ]
    details = f" ({', '.join(filter(None, details))})" if any(details) else ""
    sides = train.patch if isinstance(train.patch, list) else [train.patch] * used.config.spatial_dims
    patches = "one patch" if train.batch == 1 else f"{train.batch} patches"
    return (
        f"{budget} of {OPTIMISERS[train.optimiser]}{details} with a learning rate of {train.learning_rate:g}"
        f" ({SCHEDULES[train.schedule]}), {patches} of {_times(sides)} pixels per step"
    )


def _augmentation(used: UsedSettings) -> Iterator[str]:
    """Yield clauses about the location and the random changes of patches."""
    train, dims = used.train, used.config.spatial_dims
    if train.foreground:
        classes = ", of all foreground classes equally often" if train.balanced else ""
        yield f"{100 * train.foreground:g} % of the patches were placed around a random foreground pixel{classes}"
    if used.is_deformed_online:
        yield f"each patch was deformed elastically ({_displacements(used.config.augment, dims)})"
    if symmetry := _describe_symmetry(used.drawn, dims):
        yield f"random {symmetry}"
    changes = [f"contrast by up to {100 * train.contrast:g} %"] if train.contrast else []
    changes += [f"brightness by up to {train.brightness:g} (normalised intensity)"] if train.brightness else []
    if changes:
        yield f"random changes of {' and '.join(changes)}"


def _loss(used: UsedSettings) -> str:
    """Describe the loss function, with those of its weights that were used."""
    weigh, name = used.config.weigh, used.loss.name
    weights = ["by class"] if used.is_weighted_by_class else []
    if used.is_weighted_towards_borders:
        weights.append(f"towards borders (w0 = {weigh.w0:g}, sigma = {weigh.sigma:g} pixels)")
    weighted = f" weighted {' and '.join(weights)}" if weights else ""
    return f"cross entropy{weighted}{', summed over pixels' * (name == 'sum')}{' plus Dice loss' * (name == 'dice')}"


def _averages(used: UsedSettings) -> Iterator[str]:
    """Yield clauses about test-time averaging and magnification."""
    averages, scales = [], used.predict.scales
    if symmetry := _describe_symmetry(used.averaged, used.config.spatial_dims):
        averages.append(symmetry)
    if len(scales) > 1:
        averages.append(f"magnifications of {_listed([f'{scale:g}' for scale in scales])}")
    elif scales != [1]:
        yield f"images were magnified {scales[0]:g} times for prediction"
    if averages:
        yield f"predictions were averaged over {' and '.join(averages)}"


def _describe_symmetry(symmetry: Symmetry, dims: int) -> str:
    """Describe flips and exchanges of axes, such as "flips of all axes and 90-degree rotations"; "" without any."""
    kinds = []
    if symmetry.flips:
        kinds.append(f"flips of {'all axes' if len(symmetry.flips) == dims else _axes(symmetry.flips)}")
    if symmetry.plane and set(symmetry.plane) <= set(symmetry.flips):
        kinds.append("90-degree rotations" + (f" in the plane of {_axes(symmetry.plane)}" if dims > 2 else ""))
    elif symmetry.plane:
        kinds.append(f"exchanges of {_axes(symmetry.plane)}")
    return " and ".join(kinds)


def _displacements(augment: Augment, dims: int) -> str:
    """Describe the elastic deformation."""
    return (
        f"{_times([augment.grid] * dims)} control points, displaced at random with a standard deviation of"
        f" {augment.std:g} pixels, at most {MAX_STD_SHARE:g} of the distance between them"
    )


def _axes(axes: Sequence[int]) -> str:
    """Name axes, such as "the first and third axes"."""
    return f"the {_listed([AXIS_NAMES[axis] for axis in axes])} {'axis' if len(axes) == 1 else 'axes'}"


def _listed(items: Sequence) -> str:
    """List items, such as "1, 2 and 3"."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last


def _times(numbers: Sequence[float]) -> str:
    """Join numbers of axes, such as "3 x 3"."""
    return " x ".join(f"{number:g}" for number in numbers)


def describe_objects(chosen: Mapping) -> str:
    """Describe how objects are made from probabilities, such as "method soft, foreground from probability 0.5".

    Parameters
    ----------
    chosen : mapping
        Parameters of `objects.segment`, from "chosen" in instances.json.
    """
    method = chosen["method"]
    depth = {"core": f"cores from probability {chosen['depth']:g}"}.get(method, f"depth {chosen['depth']:g} pixels")
    smallest, growth = chosen.get("smallest", 0), chosen.get("grow", 0)
    parts = [
        f"method {method} ({OBJECT_METHODS[method]})", f"foreground from probability {chosen['threshold']:g}",
        *([depth] if method != "components" else []),
        f"at least {smallest} pixels" if smallest else "any size",
        f"growth {format_count(growth, 'pixel')}" if growth else "no growth",
        *(["holes filled"] if chosen.get("fill_holes") else []),
        *(["objects at the edge of the image left out"] if chosen.get("drop_at_edge") else []),
    ]  # fmt: skip
    return ", ".join(parts)
