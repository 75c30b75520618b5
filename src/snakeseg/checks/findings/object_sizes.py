"""Findings about object sizes relative to patch sizes and receptive fields.

The extent of an object is the longest side of its bounding box, in pixels. "Large" is the 95th percentile of the
extents of all objects in the training images.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from snakeseg.checks.findings.finding import Finding
from snakeseg.checks.label_facts import BINS_PER_DOUBLING
from snakeseg.evaluation.target_scores import GROWTHS, TARGET_THRESHOLDS
from snakeseg.networks.registry import geometry_of
from snakeseg.settings import Experiment, Labels, Network

# Proposed side length of a patch, as a multiple of the median extent and of the large extent.
MEDIAN_EXTENTS_PER_PATCH, LARGE_EXTENTS_PER_PATCH = 4, 1.5
# Minimum median extent: smaller objects lose their shape in the first pooling.
MIN_MEDIAN_EXTENT_PX = 6
# Median extent to reach by upsampling the images.
TARGET_MEDIAN_EXTENT_PX = 8
# Maximum side length of a patch, as a multiple of the median side length of the images.
MAX_PATCH_PER_IMAGE = 1.5
# Proposed side lengths of patches are multiples of this, which suits all networks.
PATCH_MULTIPLE_PX = 32


def pool_extents(table: pd.DataFrame) -> np.ndarray:
    """Sum the extent histograms of all images.

    Parameters
    ----------
    table : DataFrame
        With the column extents, from `label_facts.object_facts`; images without a list are ignored.

    Returns
    -------
    int64 array, shape (bins,)
        Number of objects with ``BINS_PER_DOUBLING * log2(extent)`` from 0 to 1, 1 to 2, ...
    """
    histograms = [value for value in table["extents"] if isinstance(value, list)]
    total = np.zeros(max(map(len, histograms), default=0), np.int64)
    for histogram in histograms:
        total[: len(histogram)] += np.array(histogram, np.int64)
    return total


def extent_percentile(counts: np.ndarray, percent: float) -> float:
    """Estimate a percentile of the extents from their histogram.

    Parameters
    ----------
    counts : int array, shape (bins,)
        From `pool_extents`; not all 0.
    percent : float
        From 0 to 100.

    Returns
    -------
    float
        Extent in pixels: the middle of the bin that holds the percentile.
    """
    index = np.searchsorted(counts.cumsum(), percent / 100 * (counts.sum() - 1), side="right")
    return float(2 ** ((index + 0.5) / BINS_PER_DOUBLING))


def propose_patch(counts: np.ndarray, side: float) -> int:
    """Propose the side length of a patch that holds several median objects and one large object.

    Parameters
    ----------
    counts : int array, shape (bins,)
        From `pool_extents`.
    side : float
        Side length of the images in pixels, an upper limit up to rounding.

    Returns
    -------
    int
        Side length in pixels, a multiple of `PATCH_MULTIPLE_PX`.
    """
    wanted = max(
        MEDIAN_EXTENTS_PER_PATCH * extent_percentile(counts, 50),
        LARGE_EXTENTS_PER_PATCH * extent_percentile(counts, 95),
    )
    return _round_up(min(wanted, side))


def median_side(table: pd.DataFrame) -> float:
    """Return the median over the images of the geometric mean side length, in pixels; NaN if no image was read."""
    shapes = table["shape"].dropna().astype(str).str.split("x", expand=True).astype(float)
    return float(np.exp(np.log(shapes).mean(axis=1)).median())


def describe_experiments(experiments: dict[str, Experiment], dims: int) -> list[dict]:
    """Describe the patch size and the receptive field of every experiment.

    Parameters
    ----------
    experiments : dict of Experiment
        Experiments by name.
    dims : int
        Number of spatial axes, 2 or 3.

    Returns
    -------
    list of dict
        Keys: experiment, network, patch (geometric mean side length in pixels, or "auto"), field (receptive field in
        pixels along the axis where it is largest).
    """
    return [
        {
            "experiment": name,
            "network": of.network.name,
            "patch": _mean_side(of.train.patch),
            "field": _receptive_field(of.network, dims),
        }
        for name, of in experiments.items()
    ]


def _mean_side(patch: int | list[int] | str) -> int | str:
    """Return the geometric mean of the side lengths of a patch; "auto" unchanged."""
    return round(np.prod(patch) ** (1 / len(patch))) if isinstance(patch, list) else patch


def _receptive_field(network: Network, dims: int) -> int:
    """Return the receptive field in pixels, along the axis where it is largest."""
    return 2 * max(geometry_of(dims, network).halo) + 1


def overview(table: pd.DataFrame, labels: Labels, experiments: list[dict]) -> dict:
    """Summarise the sizes of the objects in the training images for the data report.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.build_facts_table`.
    labels : Labels
        Section `labels` of the config.
    experiments : list of dict
        From `describe_experiments`.

    Returns
    -------
    dict
        small, middle, large (5th, 50th and 95th percentile of the extents, in pixels); bars (histogram with one bin
        per doubling: start, stop, count); patch (proposed side length in pixels; None for semantic labels); scale
        (advice on resampling, as text); touching (share of the objects that touch another; only with instance labels);
        target (mean AP of the training target of all labelled images, by growth and IoU threshold; only with instance
        labels); experiments. Empty without objects.
    """
    train = table[table["subset"] == "train"]
    counts = pool_extents(train)
    if not counts.sum():
        return {}
    doublings = np.pad(counts, (0, -len(counts) % BINS_PER_DOUBLING)).reshape(-1, BINS_PER_DOUBLING).sum(axis=1)
    bars = [{"start": 2**i, "stop": 2 ** (i + 1) - 1, "count": int(count)} for i, count in enumerate(doublings)]
    return {
        **{name: extent_percentile(counts, percent) for name, percent in (("small", 5), ("middle", 50), ("large", 95))},
        "bars": bars[int(np.argmax(doublings > 0)) :],
        "patch": None if labels.kind == "semantic" else propose_patch(counts, median_side(train)),
        "scale": _advise_scale(extent_percentile(counts, 50), extent_percentile(counts, 95), experiments),
        **({"touching": train["touching"].sum() / counts.sum()} if labels.kind == "instance" else {}),
        **({"target": _mean_target_scores(table)} if labels.kind == "instance" else {}),
        "experiments": experiments,
    }


def _mean_target_scores(table: pd.DataFrame) -> list[dict]:
    """Return the rows of the table of the target's scores: mean AP over the images with objects, by growth."""
    return [
        {"growth in pixels": pixels}
        | {f"AP {t:.2f}": f"{table[f'target_{pixels}_{t:.2f}'].mean():.3f}" for t in TARGET_THRESHOLDS}
        for pixels in GROWTHS
    ]


def size_findings(table: pd.DataFrame, labels: Labels, experiments: list[dict]) -> Iterator[Finding]:
    """Compare object sizes with patch sizes and receptive fields.

    Parameters
    ----------
    table : DataFrame
        From `findings.table.build_facts_table`.
    labels : Labels
        Section `labels` of the config.
    experiments : list of dict
        From `describe_experiments`.

    Yields
    ------
    Finding
        Patches larger than the images and, unless labels are semantic: very small objects, patches too small for the
        objects, objects larger than the receptive field.
    """
    train = table[table["subset"] == "train"]
    side = median_side(train)
    for experiment in experiments:
        yield from _check_patch_against_images(experiment, side)
    counts = pool_extents(train)
    if labels.kind == "semantic" or not counts.sum():
        return
    yield from _check_median_extent(extent_percentile(counts, 50))
    for experiment in experiments:
        yield from _check_patch_against_objects(experiment, counts, side)
        yield from _check_receptive_field(experiment, extent_percentile(counts, 95))


def _check_patch_against_images(experiment: dict, side: float) -> Iterator[Finding]:
    """Detect patches that are much larger than the images."""
    if experiment["patch"] != "auto" and experiment["patch"] > MAX_PATCH_PER_IMAGE * side:
        yield Finding(
            "note", "Patches larger than images", (),
            f"{experiment['experiment']}: patches have {experiment['patch']} pixels per side, images {side:.0f}",
            "most of a patch is mirrored padding, which costs time and adds no information",
            f"set train: {{patch: {_round_up(side)}}}, and a larger train.batch",
        )  # fmt: skip


def _check_patch_against_objects(experiment: dict, counts: np.ndarray, side: float) -> Iterator[Finding]:
    """Detect patches that are too small for the objects."""
    patch, median, large = experiment["patch"], extent_percentile(counts, 50), extent_percentile(counts, 95)
    if patch != "auto" and patch < min(max(large, 2 * median), side):
        yield Finding(
            "warning", "Patches too small for the objects", (),
            f"{experiment['experiment']}: patches have {patch} pixels per side; the median object is {median:.0f} "
            f"pixels long, 5 % of the objects are longer than {large:.0f}",
            "few patches show a whole object and its surroundings",
            f"set train: {{patch: {propose_patch(counts, side)}}}",
        )  # fmt: skip


def _check_receptive_field(experiment: dict, large: float) -> Iterator[Finding]:
    """Detect objects that are larger than the receptive field."""
    if experiment["field"] < large:
        yield Finding(
            "warning", "Objects larger than the receptive field", (),
            f"{experiment['experiment']}: the receptive field is {experiment['field']} pixels wide; 5 % of the objects "
            f"are longer than {large:.0f}",
            "in the interior of such an object, no edge is visible to the network",
            _advise_deeper_or_smaller(experiment, large),
        )  # fmt: skip


def _check_median_extent(median: float) -> Iterator[Finding]:
    """Detect objects that are only a few pixels long."""
    if median < MIN_MEDIAN_EXTENT_PX:
        yield Finding(
            "warning", "Very small objects", (), f"the median object is {median:.0f} pixels long",
            "a difference of one pixel decides whether an object is matched",
            _advise_upsampling(median),
        )  # fmt: skip


def _advise_scale(median: float, large: float, experiments: list[dict]) -> str:
    """Advise whether to upsample or downsample the images for the size of their objects."""
    if median < MIN_MEDIAN_EXTENT_PX:
        return _advise_upsampling(median)
    narrow = [experiment for experiment in experiments if experiment["field"] < large]
    if narrow:
        return _advise_deeper_or_smaller(min(narrow, key=lambda experiment: experiment["field"]), large)
    return "no need to rescale; the objects are neither too small nor too large"


def _advise_upsampling(median: float) -> str:
    return f"upsample images and labels by a factor of {np.ceil(TARGET_MEDIAN_EXTENT_PX / median):.0f}"


def _advise_deeper_or_smaller(experiment: dict, large: float) -> str:
    factor = np.ceil(large / experiment["field"])
    return f"choose a deeper network (network.depth), or downsample images and labels by a factor of {factor:.0f}"


def _round_up(side: float) -> int:
    """Round a side length up to a multiple of `PATCH_MULTIPLE_PX`."""
    return int(-(-side // PATCH_MULTIPLE_PX) * PATCH_MULTIPLE_PX)
