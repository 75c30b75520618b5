"""How long is it searched for look-alikes, in seconds of one core, and how many are missed? On simulated signatures.

Signatures are those of noise, white and smooth; one in 20 has a planted partner that is flipped or turned and
correlates by 0.95, which is the limit, to 1. All pairs are compared up to `LEAF` images, so that of more the time is
told that all pairs would take: that of `LEAF` images, times the square of how many times more they are.
"""

import time

import numpy as np
from _verdict import table, verdict
from scipy import ndimage

from snakeseg.checks.near_duplicates import (
    GRID_BOXES,
    LEAF,
    all_orientations,
    find_near_duplicates,
    normalised_signature,
)

COUNTS, LEAST = (LEAF, 10_000, 30_000, 100_000), 0.95
KINDS = {"white": 0.0, "smooth": 1.0}
# Ten times the images, from 10 000 on, may take so many times as long (all pairs: 100), as leaves hold LEAF images or
# half as many; and so many pairs must be found.
GOAL, FOUND = 25, 0.99


def noise(rng, count: int, sigma: float) -> np.ndarray:
    """Signatures of noise, shape (count, cells)."""
    return np.stack([
        normalised_signature(ndimage.gaussian_filter(rng.normal(size=(GRID_BOXES[2],) * 2), sigma, mode="wrap"))
        for _ in range(count)
    ])  # fmt: skip


def planted(rng, count: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Signatures, the last 20th of which are the first 20th changed; and how much each correlates with its own."""
    pairs, turns = count // 20, all_orientations(2)
    made, other = noise(rng, count - pairs, sigma), noise(rng, pairs, sigma)
    own = made[:pairs]
    other -= (other * own).sum(axis=1, keepdims=True) * own
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    correlations = rng.uniform(LEAST, 1, (pairs, 1))
    changed = correlations * own + np.sqrt(1 - correlations**2) * other
    turned = np.stack([row[turns[rng.integers(len(turns))]] for row in changed])
    return np.concatenate([made, turned]).astype(np.float32), correlations[:, 0]


def measure(count: int, sigma: float) -> dict:
    """Seconds, and shares of the planted pairs that were found: of all, of those nearest to the limit."""
    signatures, correlations = planted(np.random.default_rng(0), count, sigma)
    start = time.process_time()
    pairs, _ = find_near_duplicates(signatures, 2, LEAST)
    seconds = time.process_time() - start
    own = pairs[:, 1] - pairs[:, 0] == count - len(correlations)
    hit = np.isin(np.arange(len(correlations)), pairs[own, 0])
    # Rounding may put those at the very limit below it.
    hit, close = hit[correlations > LEAST + 1e-3], correlations[correlations > LEAST + 1e-3] < LEAST + 0.01
    return {"images": count, "seconds": seconds, "found": hit.mean(), "found near the limit": hit[close].mean()}


def main() -> None:
    rows = [{"signatures": kind, **measure(count, sigma)} for kind, sigma in KINDS.items() for count in COUNTS]
    base = {row["signatures"]: row["seconds"] for row in rows if row["images"] == LEAF}
    for row in rows:
        row["all pairs"] = base[row["signatures"]] * (row["images"] / LEAF) ** 2
    table(rows)
    last = [row for row in rows if row["images"] == COUNTS[-1]]
    tenth = [row for row in rows if row["images"] == COUNTS[-1] // 10]
    growth = max(one["seconds"] / other["seconds"] for one, other in zip(last, tenth, strict=True))
    ours, peer = max(row["seconds"] for row in last), max(row["all pairs"] for row in last)
    found = min(row["found"] for row in rows)
    verdict("look_alikes", ours, peer, growth, GOAL, growth <= GOAL and found >= FOUND, found=found)


if __name__ == "__main__":
    main()
