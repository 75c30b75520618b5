"""Which components of classes are kept: chosen on validation images, applied in bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import ndimage

from snakeseg.objects.blockwise import component_sizes
from snakeseg.transforms.labels import IGNORED


@dataclass(frozen=True)
class ComponentFilter:
    """Face-connected components of a class that are kept; the others become background.

    Parameters
    ----------
    smallest : int
        Those of so many pixels or more.
    largest_only : bool
        Of these the largest alone (of equals, the first in C order).
    """

    smallest: int = 0
    largest_only: bool = False

    def of(self, sizes: np.ndarray) -> np.ndarray:
        """Whether each component is kept, by their numbers of pixels."""
        kept = sizes >= max(self.smallest, 1)
        if self.largest_only and len(sizes):
            kept &= np.arange(len(sizes)) == sizes.argmax()
        return kept


def filter_components(classes, number: int, rule: ComponentFilter, block: Sequence[int], scratch):
    """A class without the components that its rule drops.

    Parameters
    ----------
    classes : Lazy of uint8, shape (*spatial)
    number : int
        Of the class.
    rule : ComponentFilter
    block : sequence of int
        Shape of the blocks that are worked on at a time.
    scratch : writable array-like of unsigned int, shape (*spatial)
        Receives numbers of components; needed as long as what is returned.

    Returns
    -------
    function
        From a region to its classes (*region).
    """
    components, sizes = component_sizes(classes.map(lambda found: found == number, bool), block, scratch)
    kept = np.append(True, rule.of(sizes))[components]
    return lambda region: np.where(kept[np.asarray(scratch[region])], classes[region], 0).astype(np.uint8)


def candidates(smallest: Sequence[int]) -> list[ComponentFilter]:
    """Everything, sizes from so many pixels on, and the largest component alone."""
    return [
        ComponentFilter(),
        *(ComponentFilter(size) for size in smallest if size > 1),
        ComponentFilter(largest_only=True),
    ]


def choose(
    pairs: Iterator[tuple[np.ndarray, np.ndarray]], names: Sequence[str], smallest: Sequence[int]
) -> dict[str, dict]:
    """What to keep of each class: the best mean Dice over images.

    Parameters
    ----------
    pairs : iterator of (predicted, truth)
        Classes of the validation images, arrays of shape (*spatial); true ones that are none of the classes do not
        count.
    names : sequence of str
        Of all classes, the background first.
    smallest : sequence of int
        Sizes to try.

    Returns
    -------
    dict
        For each class but the background: "chosen", and "trials", a list of every rule with its score. Of equals, the
        first tried: the one that drops less.
    """
    tried = candidates(smallest)
    dice = np.array([[_dice_of_rules(*pair, number, tried) for number in range(1, len(names))] for pair in pairs])
    found = {}
    for name, scores in zip(names[1:], dice.mean(axis=0), strict=True):
        trials = [{**asdict(rule), "score": float(score)} for rule, score in zip(tried, scores, strict=True)]
        found[name] = {"chosen": asdict(tried[int(scores.argmax())]), "trials": trials}
    return found


def _dice_of_rules(
    predicted: np.ndarray, truth: np.ndarray, number: int, rules: Sequence[ComponentFilter]
) -> list[float]:
    """Dice of a class under every rule; 1 where there is none and none is found."""
    counted = truth != IGNORED
    components, count = ndimage.label(predicted == number)
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
    seen = np.bincount(components[counted], minlength=count + 1)[1:]
    hits = np.bincount(components[truth == number], minlength=count + 1)[1:]
    true, scores = np.count_nonzero(truth == number), []
    for rule in rules:
        kept = rule.of(sizes)
        total = true + seen[kept].sum()
        scores.append(2 * float(hits[kept].sum()) / float(total) if total else 1.0)
    return scores
