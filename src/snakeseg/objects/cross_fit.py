"""Choose parameters for each held-out group on the images of the other held-out groups."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np


@dataclass
class GroupCounts:
    """Counts of every trial, summed over the images of each group.

    Parameters
    ----------
    sums : dict of array
        Sum of the counts over the images of a group, by group; arrays of one shape.
    groups : dict
        Group of each sample.
    """

    sums: dict[str, np.ndarray] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    def add(self, sample: str, group: str, counts: np.ndarray) -> None:
        """Add the counts of an image."""
        self.groups[sample] = group
        self.sums[group] = self.sums[group] + counts if group in self.sums else counts

    def total(self) -> np.ndarray:
        """Return the sum over all images."""
        return sum(self.sums.values())

    def cross_fit(self, choose: Callable[[np.ndarray], Mapping]) -> dict:
        """Choose parameters for each group on all other groups.

        Parameters
        ----------
        choose : function
            Returns the best parameters, given counts.

        Returns
        -------
        dict
            "parameters": list of the distinct choices; "samples": index in this list, by sample. Empty if there are
            fewer than two groups. The choice for a group does not depend on its own images.
        """
        if len(self.sums) < 2:
            return {}
        choices, distinct = {}, []
        for group, others in zip(self.sums, _sums_of_others(list(self.sums.values())), strict=True):
            choice = choose(others)
            if choice not in distinct:
                distinct.append(choice)
            choices[group] = distinct.index(choice)
        return {"parameters": distinct, "samples": {name: choices[group] for name, group in self.groups.items()}}


def best_trial(scores: np.ndarray, tie_breaks: np.ndarray) -> int:
    """Return the index of the highest score; of equal ones that of the highest tie break, and of these the first.

    Parameters
    ----------
    scores, tie_breaks : float arrays, shape (trials,)
        NaN is lower than all numbers.
    """
    scores, tie_breaks = (np.nan_to_num(values, nan=-np.inf) for values in (scores, tie_breaks))
    best = np.flatnonzero(scores == scores.max())
    return int(best[tie_breaks[best].argmax()])


def _sums_of_others(sums: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the sum of all other arrays for each of at least two arrays.

    The array itself takes no part, as it would in the rounding of total minus own.
    """
    after = [*accumulate(reversed(sums[1:]))][::-1]
    before = np.zeros_like(sums[0])
    for own, rest in zip(sums, [*after, np.zeros_like(sums[0])], strict=True):
        yield before + rest
        before = before + own
