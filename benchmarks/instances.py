"""Objects of 8192 x 8192 pixels on disk, block by block: memory, time and equality to labelling the whole at once.

Probabilities lie in a Zarr array, as do provisional ids; a process of its own finds the objects, so that its peak of
resident memory is that of the method and its libraries: the goal is 500 MB. Time is told beside that of reading
everything into memory and labelling it by `scipy.ndimage.label`.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr
from _verdict import table, verdict
from scipy import ndimage

from snakeseg.arrays import grid_regions
from snakeseg.objects.blockwise import block_face_excess, segment_blocks
from snakeseg.objects.segment import METHODS, InstanceParameters

SIDE, BLOCK, OBJECTS, THRESHOLD = 8192, (1024, 1024), 100_000, 0.5
# Depth of the seeds: pixels for distances, a probability for cores.
DEPTHS = {"components": 0.0, "distance": 1.0, "soft": 1.0, "core": 0.7}
MOST_MEMORY = 500.0


def create(path: Path, dtype: str) -> zarr.Array:
    return zarr.create_array(path, shape=(SIDE, SIDE), chunks=BLOCK, dtype=dtype, fill_value=0)


def draw_discs(path: Path) -> None:
    """Probabilities of 100,000 discs on a jittered grid, some of which touch, without regard to the blocks."""
    probabilities = create(path, "float16")
    rng = np.random.default_rng(0)
    columns = int(np.ceil(np.sqrt(OBJECTS)))
    step = SIDE / columns
    centres = (np.stack(np.divmod(np.arange(OBJECTS), columns)) + 0.5 + rng.uniform(-0.15, 0.15, (2, OBJECTS))) * step
    radii = step * rng.uniform(0.25, 0.45, OBJECTS)
    for region in grid_regions((SIDE, SIDE), BLOCK):
        low, high = (np.array([[getattr(side, end)] for side in region]) for end in ("start", "stop"))
        near = np.flatnonzero(((centres > low - step) & (centres < high + step)).all(axis=0))
        block = np.zeros(BLOCK, np.float16)
        for centre, radius in zip((centres[:, near] - low).T, radii[near], strict=True):
            start = np.maximum(np.floor(centre - 2 * radius).astype(int), 0)
            window = block[tuple(slice(a, max(int(b), 0)) for a, b in zip(start, centre + 2 * radius, strict=True))]
            y, x = np.ogrid[tuple(slice(a, a + size) for a, size in zip(start, window.shape, strict=True))]
            away = np.hypot(y - centre[0], x - centre[1]) / radius
            np.maximum(window, 1 - away / 2, out=window, casting="same_kind")
        probabilities[region] = block


def find_objects(folder: Path, method: str) -> None:
    """The child: find objects, write their final ids, and print seconds and the peak of resident memory in MB."""
    probabilities, objects = zarr.open_array(folder / "probabilities", mode="r"), create(folder / method, "uint32")
    start = time.perf_counter()
    parameters = InstanceParameters(method, THRESHOLD, DEPTHS[method])
    numbers = segment_blocks(probabilities, probabilities, parameters, BLOCK, objects)
    seconds = time.perf_counter() - start
    for region in grid_regions(objects.shape, BLOCK):
        objects[region] = numbers[objects[region]]
    cuts = block_face_excess(objects, BLOCK)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"method": method, "s": seconds, "peak MB": peak, "objects": int(numbers.max()), "cuts": cuts}))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_discs(folder / "probabilities")
        rows = []
        for method in METHODS:
            child = [sys.executable, __file__, str(folder), method]
            rows.append(json.loads(subprocess.run(child, check=True, capture_output=True, text=True).stdout))
        start = time.perf_counter()
        truth, count = ndimage.label(zarr.open_array(folder / "probabilities")[:] > np.float16(THRESHOLD))
        peer = time.perf_counter() - start
        found = {method: zarr.open_array(folder / method)[:] for method in METHODS}
    table([{**row, "s / label": row["s"] / peer} for row in rows])
    # Both number objects by their first pixels, so that equal partitions are equal arrays.
    equal = bool(np.array_equal(found["components"], truth))
    peak, cuts = max(row["peak MB"] for row in rows), {row["method"]: row["cuts"] for row in rows}
    met = equal and peak < MOST_MEMORY and cuts["components"] == 0
    verdict(
        "instances", peak, MOST_MEMORY, MOST_MEMORY / peak, 1.0, met,
        equal=equal, objects=count, seconds_over_label=rows[0]["s"] / peer, block_face_excess=cuts,
    )  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 1:
        find_objects(Path(sys.argv[1]), sys.argv[2])
    else:
        main()
