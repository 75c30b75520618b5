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
CONTROL_SECONDS, ROW_SECONDS, JOB_SECONDS = 1.9, 1.5e-5, 1.6e-3
CONTROL_MB, ROW_MB, JOB_MB = 135, 1.2e-3, 0.03
# Of a job: rules of a batch, seconds to send it off, seconds and file names of its start (torch in one of the two, and
# Snakemake itself, which starts again in each), file names of an image.
RULES, SUBMIT_SECONDS, START_SECONDS, START_CALLS, IMAGE_CALLS = 2, 0.5, 6, 27_000, 50
# Assumed: what a shared file system answers a second, seconds of a GPU for an image, and what is left of a start's
# names if the environment is one file (a container image) or lies on the nodes' own disks.
CALLS_A_SECOND, IMAGE_SECONDS, FEW_CALLS = 20_000, 0.5, 1_000
ONE_FILE = {"start_calls": FEW_CALLS}
WAYS = {
    "a job per image": (100_000, 32, 1, {"alone": True}),
    "a laptop": (1_000, 1, 1, {}),
    "a workstation": (10_000, 2, 1, {}),
    "a cluster": (100_000, 32, 1, {}),
    "a larger one": (1_000_000, 200, 1, {}),
    "the same, environment in one file": (1_000_000, 200, 1, ONE_FILE),
    "1,000 GPUs": (10_000_000, 1_000, 1, {}),
    "these, environment in one file": (10_000_000, 1_000, 1, ONE_FILE),
    "and in ten runs": (10_000_000, 1_000, 10, ONE_FILE),
}


def batch_sizes(images: int, alone: bool = False) -> np.ndarray:
    """Images of every batch; one each if alone."""
    return np.ones(images, int) if alone else np.bincount(batch_number(pd.Series(np.arange(images))))


def makespan(seconds: np.ndarray, workers: int, interval: float) -> float:
    """When the last job ends, if one is sent off every interval and takes the first free worker."""
    free = [0.0] * workers
    for index, duration in enumerate(seconds):
        heapq.heappush(free, max(heapq.heappop(free), index * interval) + duration)
    return max(free)


def simulate(images: int, workers: int, runs: int = 1, alone: bool = False, start_calls: int = START_CALLS) -> dict:
    """What so many images on so many workers cost, in so many runs of equal sheets at the same time."""
    sizes = batch_sizes(images // runs, alone)
    jobs = RULES * len(sizes)
    control = CONTROL_SECONDS + ROW_SECONDS * images / runs + JOB_SECONDS * jobs
    # Every job on a cluster reads the sheet again.
    start = START_SECONDS + ROW_SECONDS * images / runs
    calls = runs * jobs * start_calls + IMAGE_CALLS * images
    jobs_end = makespan(RULES * start + sizes * IMAGE_SECONDS, max(1, workers // runs), RULES * SUBMIT_SECONDS)
    wall = control + max(jobs_end, calls / CALLS_A_SECOND)
    return {
        "images": images, "workers": workers, "jobs": runs * jobs, "control_s": control,
        "control_MB": CONTROL_MB + ROW_MB * images / runs + JOB_MB * jobs, "calls_per_image": calls / images,
        "file_system_h": calls / CALLS_A_SECOND / 3600, "wall_h": wall / 3600,
        "busy": images * IMAGE_SECONDS / workers / wall,
    }  # fmt: skip


def main() -> None:
    table([{"on": name, **simulate(*way, **more)} for name, (*way, more) in WAYS.items()])


if __name__ == "__main__":
    main()
