"""Border-aware weight maps: local windows against one full-frame distance transform per object.

The textbook way is what notebooks and gists around the U-Net paper do: an exact Euclidean distance transform of
the whole frame for every object, keeping the two smallest.
"""

import time

import numpy as np
from _verdict import best_seconds, peak_bytes, table, verdict
from scipy.ndimage import distance_transform_edt

from snakeseg.transforms.border_weights import border_weights

W0, SIGMA = 10.0, 5.0
GOAL = 500
LARGEST_ERROR, MOST_BYTES, FLAT = 2e-6, 24, 1.5


def discs(side: int, count: int, seed: int = 0) -> np.ndarray:
    """About `count` discs on a jittered grid, as integer labels of shape (side, side)."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((side, side), np.int32)
    rows = int(np.ceil(np.sqrt(count)))
    step = side / rows
    for index in range(count):
        centre = (np.array(divmod(index, rows)) + 0.5 + rng.uniform(-0.15, 0.15, 2)) * step
        radius = step * rng.uniform(0.3, 0.48)
        low = np.maximum(np.floor(centre - radius).astype(int), 0)
        box = tuple(slice(a, int(np.ceil(c + radius)) + 1) for a, c in zip(low, centre, strict=True))
        y, x = np.ogrid[box]
        y, x = y[y[:, 0] < side], x[:, x[0] < side]
        labels[box][(y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2] = index + 1
    return labels


def textbook(labels: np.ndarray) -> np.ndarray:
    """The formula as it stands, in float64."""
    nearest = np.full(labels.shape, np.inf)
    second = np.full(labels.shape, np.inf)
    for identity in range(1, labels.max() + 1):
        distance = distance_transform_edt(labels != identity)
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    return W0 * np.exp(-((nearest + second) ** 2) / (2 * SIGMA**2)) * (labels == 0)


def ours(labels: np.ndarray) -> np.ndarray:
    return border_weights(labels, W0, SIGMA)


def main() -> None:
    labels = discs(1024, 800)
    start = time.perf_counter()
    truth = textbook(labels)
    peer = time.perf_counter() - start
    seconds = best_seconds(lambda: ours(labels))
    error = float(np.abs(ours(labels) - truth).max())

    rows = []
    for side in (512, 1024, 2048, 4096):
        scene = discs(side, 800 * side**2 // 1024**2)
        rows.append(
            {
                "side": side,
                "objects": int(scene.max()),
                "ns per pixel": best_seconds(lambda scene=scene: ours(scene), 3) / scene.size * 1e9,
                "bytes per pixel": peak_bytes(lambda scene=scene: ours(scene)) / scene.size,
            }
        )
    crowd = discs(1024, 3200)
    bytes_per_pixel = max(peak_bytes(lambda: ours(crowd)) / crowd.size, *(row["bytes per pixel"] for row in rows))
    table(rows)
    slope = max(row["ns per pixel"] for row in rows) / min(row["ns per pixel"] for row in rows)
    ratio = peer / seconds
    met = ratio >= GOAL and error <= LARGEST_ERROR and bytes_per_pixel < MOST_BYTES and slope <= FLAT
    verdict(
        "weights", seconds, peer, ratio, GOAL, met,
        largest_error=error, bytes_per_pixel=bytes_per_pixel, slowest_over_fastest_size=slope,
    )  # fmt: skip


if __name__ == "__main__":
    main()
