"""From a laptop to ten million images: when does what give out? A simulation of predicting with a model that is there.

Batches are sent to a scheduler one after the other, wait for a free worker, start, and work through their images; every
file name that is looked up goes to one file system. The figures of one machine are those of `scale.py`.
"""

import heapq

import numpy as np
import pandas as pd
from _verdict import table

from snakeseg.io.sheet import batch_number

# Of snakemake's own process (scale.py): seconds and megabytes at the start, of a row of the sheet, of a job.
CONTROL_SECONDS, ROW_SECONDS, JOB_SECONDS = 1.5, 2.5e-5, 1.7e-3
CONTROL_MB, ROW_MB, JOB_MB = 120, 1.0e-3, 0.02
# Of a job: rules of a batch, seconds to send it off, seconds and file names of its start, file names of an image.
RULES, SUBMIT_SECONDS, START_SECONDS, START_CALLS, IMAGE_CALLS = 2, 0.5, 6, 8_000, 60
# Assumed: what a shared file system answers a second, and seconds of a GPU for an image.
CALLS_A_SECOND, IMAGE_SECONDS = 20_000, 0.5
WAYS = {
    "a laptop": (1_000, 1, 1), "a workstation": (10_000, 2, 1), "a cluster": (100_000, 32, 1),
    "the same": (1_000_000, 200, 1), "a large cluster": (10_000_000, 1_000, 1),
    "in 100 runs": (10_000_000, 1_000, 100), "a job per image": (100_000, 32, 1),
}  # fmt: skip


def batch_sizes(images: int, alone: bool = False) -> np.ndarray:
    """Images of every batch; one each if alone."""
    return np.ones(images, int) if alone else np.bincount(batch_number(pd.Series(np.arange(images))))


def makespan(seconds: np.ndarray, workers: int, interval: float) -> float:
    """When the last job ends, if one is sent off every interval and takes the first free worker."""
    free = [0.0] * workers
    for index, duration in enumerate(seconds):
        heapq.heappush(free, max(heapq.heappop(free), index * interval) + duration)
    return max(free)


def simulate(images: int, workers: int, runs: int = 1, alone: bool = False) -> dict:
    """What so many images on so many workers cost, in so many runs of equal sheets at the same time."""
    sizes = batch_sizes(images // runs, alone)
    jobs = RULES * len(sizes)
    control = CONTROL_SECONDS + ROW_SECONDS * images / runs + JOB_SECONDS * jobs
    # Every job on a cluster reads the sheet again.
    start = START_SECONDS + ROW_SECONDS * images / runs
    calls = runs * jobs * START_CALLS + IMAGE_CALLS * images
    storm = min(workers, runs * len(sizes)) * START_CALLS / CALLS_A_SECOND
    wall = storm + makespan(RULES * start + sizes * IMAGE_SECONDS, max(1, workers // runs), RULES * SUBMIT_SECONDS)
    return {
        "images": images, "workers": workers, "runs": runs, "jobs": runs * jobs, "control_s": control,
        "control_MB": CONTROL_MB + ROW_MB * images / runs + JOB_MB * jobs, "calls_per_image": calls / images,
        "file_system_h": calls / CALLS_A_SECOND / 3600, "first_start_s": storm, "wall_h": (control + wall) / 3600,
        "busy": images * IMAGE_SECONDS / workers / (control + wall),
    }  # fmt: skip


def main() -> None:
    table([{"on": name, **simulate(*way, alone=name == "a job per image")} for name, way in WAYS.items()])


if __name__ == "__main__":
    main()
