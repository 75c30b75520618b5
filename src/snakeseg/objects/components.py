"""Filter connected components of semantic classes; the filter is chosen on validation images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import ndimage

from snakeseg.arrays import Lazy, Region
from snakeseg.objects.blockwise import label_components
from snakeseg.transforms.labels import IGNORED


@dataclass(frozen=True)
class ComponentFilter:
    """Selection of face-connected components of a class; all other components become background.

    Parameters
    ----------
    smallest : int
        Minimum size of a component, in pixels.
    largest_only : bool
        Keep only the largest of these components (the first in C order if several are equally large).
    """

    smallest: int = 0
    largest_only: bool = False

    def select(self, sizes: np.ndarray) -> np.ndarray:
        """Return which components to keep, given their sizes in pixels: bool array, shape (components,)."""
        kept = sizes >= max(self.smallest, 1)
        if self.largest_only and len(sizes):
            kept &= np.arange(len(sizes)) == sizes.argmax()
        return kept


def filter_components(
    classes: Lazy, number: int, rule: ComponentFilter, block: Sequence[int], scratch
) -> Callable[[Region], np.ndarray]:
    """Remove the components of one class that a filter does not keep, in bounded memory.

    Parameters
    ----------
    classes : Lazy of uint8, shape (*spatial)
        Class indices.
    number : int
        Index of the class to filter.
    rule : ComponentFilter
    block : sequence of int
        Side lengths of a block, in pixels, one per axis.
    scratch : writable array-like of unsigned int, shape (*spatial)
        Receives component labels. The returned function reads it.

    Returns
    -------
    function
        Takes a region and returns its filtered classes, uint8 array of the region's shape.
    """
    mask = classes.map(lambda values: values == number, bool)
    components, sizes = label_components(mask, block, scratch)
    kept = np.append(True, rule.select(sizes))[components]
    return lambda region: np.where(kept[np.asarray(scratch[region])], classes[region], 0).astype(np.uint8)


def candidate_filters(smallest: Sequence[int]) -> list[ComponentFilter]:
    """List the filters to try: all components, each minimum size in pixels, the largest component only."""
    return [
        ComponentFilter(),
        *(ComponentFilter(size) for size in smallest if size > 1),
        ComponentFilter(largest_only=True),
    ]


def score_filters(
    predicted: np.ndarray, truth: np.ndarray, count: int, filters: Sequence[ComponentFilter]
) -> np.ndarray:
    """Compute the Dice of each class after each filter.

    Parameters
    ----------
    predicted, truth : integer arrays, shape (*spatial)
        Class indices. Pixels whose true class is `IGNORED` are not scored.
    count : int
        Number of classes without the background.
    filters : sequence of ComponentFilter

    Returns
    -------
    float array, shape (count, filters)
        1 if the class is neither in the truth nor in the filtered prediction.
    """
    return np.array([_dice_per_filter(predicted, truth, number, filters) for number in range(1, count + 1)])


def describe_filters(
    dice: np.ndarray, names: Sequence[str], filters: Sequence[ComponentFilter], chosen: Mapping[str, dict]
) -> dict[str, dict]:
    """Return the chosen filter and all trials of each class, as `instances.json` holds them.

    Parameters
    ----------
    dice : float array, shape (classes, filters)
        Mean over images, without the background.
    names : sequence of str
        Names of the classes without the background.
    filters : sequence of ComponentFilter
    chosen : mapping
        Fields of the chosen filter, by class name.

    Returns
    -------
    dict
        "chosen" and "trials" (all filters with their scores) of each class.
    """
    return {
        name: {
            "chosen": chosen[name],
            "trials": [{**asdict(rule), "score": float(score)} for rule, score in zip(filters, scores, strict=True)],
        }
        for name, scores in zip(names, dice, strict=True)
    }


def _dice_per_filter(
    predicted: np.ndarray, truth: np.ndarray, number: int, filters: Sequence[ComponentFilter]
) -> list[float]:
    """Dice of a class after each filter; 1 if the class is neither in the truth nor in the filtered prediction."""
    is_scored = truth != IGNORED
    components, count = ndimage.label(predicted == number)
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
    scored_sizes = np.bincount(components[is_scored], minlength=count + 1)[1:]
    hits = np.bincount(components[truth == number], minlength=count + 1)[1:]
    true_pixels, scores = np.count_nonzero(truth == number), []
    for rule in filters:
        kept = rule.select(sizes)
        total = true_pixels + scored_sizes[kept].sum()
        scores.append(2 * float(hits[kept].sum()) / float(total) if total else 1.0)
    return scores
