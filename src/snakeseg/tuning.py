"""Choice of how objects are cut out of probabilities, on validation images only."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace

import numpy as np

from snakeseg.instances import Parameters, drop_small, split
from snakeseg.metrics.matching import detection_scores, match, overlaps
from snakeseg.metrics.overlap import adapted_rand_error
from snakeseg.progress import progress
from snakeseg.settings import Instances

Pair = tuple[np.ndarray, np.ndarray]


def candidates(settings: Instances) -> Iterator[Parameters]:
    """Every method at every foreground threshold, with every depth, or higher threshold, of its seeds."""
    for threshold in settings.thresholds:
        yield Parameters("components", threshold)
        for depth in settings.depths:
            yield Parameters("distance", threshold, depth)
        yield from (Parameters("core", threshold, core) for core in settings.cores if core > threshold)


def choose(pairs: Sequence[Pair], settings: Instances) -> tuple[Parameters, list[dict]]:
    """The parameters with the best score, by exhaustive search.

    Parameters
    ----------
    pairs : sequence of (foreground, truth)
        Foreground probabilities and true objects of the validation images, arrays of shape (*spatial).
    settings : Instances
        What to try, and by which score to judge.

    Returns
    -------
    chosen : Parameters
        Of equals, the first tried: the simpler method, the lower threshold.
    trials : list of dict
        Every combination with its score (higher is better).
    """
    score = SCORES[settings.select_by]
    trials = []
    tried = list(candidates(settings))
    for parameters in progress(tried, len(tried), "choosing object parameters"):
        objects = [split(foreground.astype(np.float32), parameters) for foreground, _ in pairs]
        for smallest in settings.smallest:
            kept = (drop_small(found, smallest) for found in objects)
            value = score((truth, found) for (_, truth), found in zip(pairs, kept, strict=True))
            trials.append({**asdict(replace(parameters, smallest=smallest)), "score": value})
    best = max(trials, key=lambda trial: trial["score"])
    return Parameters(**{key: value for key, value in best.items() if key != "score"}), trials


def _mean_ap(pairs: Iterable[Pair], thresholds: Sequence[float]) -> float:
    counts = np.zeros((len(thresholds), 3), int)
    for truth, predicted in pairs:
        found = overlaps(truth, predicted)
        for row, threshold in zip(counts, thresholds, strict=True):
            row += [(match(found, threshold) >= 0).sum(), len(found.true_ids), len(found.predicted_ids)]
    return float(np.mean([detection_scores(*row)["ap"] for row in counts]))


def _rand(pairs: Iterable[Pair]) -> float:
    return 1 - float(np.nanmean([adapted_rand_error(truth, predicted) for truth, predicted in pairs]))


SCORES: dict[str, Callable[[Iterable[Pair]], float]] = {
    "ap_0.50": lambda pairs: _mean_ap(pairs, [0.5]),
    "ap": lambda pairs: _mean_ap(pairs, [0.5, 0.6, 0.7, 0.8, 0.9]),
    "adapted_rand_error": _rand,
}
