"""Measure how optimistic scores are on the images that chose the object parameters, and cross-fitted scores.

Simulated cells stand for labels, and blurred, noisy foregrounds with dim gaps between cells for the probabilities of a
network. All parameters of the default search are tried on each image of a pool. Held-out images, each a group of its
own, are drawn from the pool again and again: they choose the parameters, and the rest of the pool are fresh images.
"""

import argparse
import sys

import numpy as np
from _verdict import table, verdict
from scipy import ndimage

from snakeseg.evaluation.counting import mask_truth
from snakeseg.objects.cross_fit import GroupCounts, best_trial
from snakeseg.objects.trials import SCORES, count_trials, mean_ap
from snakeseg.settings import Instances
from snakeseg.transforms.simulate import simulate_cells

HELD_OUT, POOL, DRAWS, SIDE = (1, 2, 4, 8, 16), 48, 500, 160
SETTINGS = Instances()
SCORE = SCORES[SETTINGS.select_by]
# Cross-fitted scores may differ from those of fresh images by this.
GOAL = 0.02


def simulate_prediction(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Foreground probabilities and true objects, shape (SIDE, SIDE)."""
    _, truth = simulate_cells(rng, (SIDE, SIDE), int(rng.integers(12, 30)))
    truth = truth.astype(int)
    lowest = ndimage.minimum_filter(np.where(truth > 0, truth, 10**6), 3)
    is_gap = (ndimage.maximum_filter(truth, 3) != lowest) & (truth > 0)
    foreground = ndimage.gaussian_filter((truth > 0).astype(float), rng.uniform(1, 2.5))
    foreground -= 0.5 * ndimage.gaussian_filter(is_gap.astype(float), 1) * rng.uniform(0.3, 1)
    foreground += ndimage.gaussian_filter(rng.normal(size=truth.shape), 3) * rng.uniform(0.5, 1.5)
    return np.clip(foreground, 0, 1).astype(np.float32), truth


def count_pool(seed: int) -> np.ndarray:
    """Counts of all trials on each image of a pool, shape (POOL, trials, COLUMNS)."""
    rng, counts = np.random.default_rng(seed), []
    for number in range(1, POOL + 1):
        foreground, truth = simulate_prediction(rng)
        trials = count_trials(foreground, foreground, mask_truth(truth > 0, truth), SETTINGS)
        counts.append(np.concatenate([*trials]))
        print(f"pool {seed}: image {number} of {POOL}", file=sys.stderr)
    return np.array(counts)


def choose(counts: np.ndarray) -> dict:
    """Index of the best trial."""
    return {"trial": best_trial(SCORE(counts), mean_ap(counts))}


def measure_draw(rng: np.random.Generator, pool: np.ndarray, scores: np.ndarray, number: int) -> tuple[float, ...]:
    """Mean AP of held-out images with the parameters of all of them, and cross-fitted, and of fresh images."""
    order = rng.permutation(POOL)
    held_out, fresh = order[:number], order[number:]
    counts = GroupCounts()
    for image in held_out:
        counts.add(str(image), str(image), pool[image])
    trial = choose(counts.total())["trial"]
    crossed = counts.cross_fit(choose)
    own = [crossed["parameters"][i]["trial"] for i in crossed["samples"].values()] if crossed else np.zeros(0, int)
    cross_fitted = scores[held_out, own].mean() if crossed else np.nan
    return scores[held_out, trial].mean(), cross_fitted, scores[fresh, trial].mean()


def describe(values: np.ndarray) -> str:
    """Mean over pools and its standard error."""
    return f"{values.mean():+.3f} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", type=int, default=5, help="number of independent pools of images")
    pools = [count_pool(seed) for seed in range(parser.parse_args().pools)]
    rng, rows, bias = np.random.default_rng(0), [], []
    for number in HELD_OUT:
        means = []
        for pool in pools:
            scores = np.array([SCORE(counts) for counts in pool])
            means.append(np.mean([measure_draw(rng, pool, scores, number) for _ in range(DRAWS)], axis=0))
        own, cross_fitted, fresh = np.array(means).T
        rows.append({
            "held-out images": number, "AP of the choosing images": own.mean(), "AP of fresh images": fresh.mean(),
            "difference": describe(own - fresh),
            "the same, cross-fitted": describe(cross_fitted - fresh) if number > 1 else "-",
        })  # fmt: skip
        bias.append((float((own - fresh).mean()), float((cross_fitted - fresh).mean())))
    table(rows)
    largest = max(difference for _, difference in bias[1:])
    verdict("optimism", largest, bias[1][0], largest / bias[1][0], GOAL, largest <= GOAL, single=bias[0][0])


if __name__ == "__main__":
    main()
