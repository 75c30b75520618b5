"""Memory of predicting images of 2,048, 8,192 and 32,768 pixels a side, each in a process of its own; and how busy.

The images are OME-Zarr of cells, repeated; the network is a U-Net of width 8, with random weights and two classes. Peak
memory is that of the process of `snakeseg predict`; goals: the given budget of 1 GB, 10 % between the sizes, and 20 %
of what `snakeseg plan` said. Busy is the share of the wall time that the network computes, at 8,192 pixels.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import zarr
from _verdict import table, verdict

from snakeseg.devices import choose_device
from snakeseg.io.images import open_image
from snakeseg.io.store import write_store
from snakeseg.models.checkpoint import save_model
from snakeseg.models.description import Description
from snakeseg.prediction.predict import predict_image
from snakeseg.prediction.predictor import choose_stride, load_predictor
from snakeseg.settings import Labels, Predict, Prepare, UNetSettings
from snakeseg.transforms.simulate import simulate_cells

SIDES, BUSY_SIDE, CHUNK, BUDGET = (2048, 8192, 32768), 8192, 1024, 1.0
NETWORK = UNetSettings(width=8, normalisation="batch", dropout=0.0)
LABELS = Labels("semantic", {"background": 0, "cell": 1})


def make_image(path: Path, side: int, cells: np.ndarray) -> None:
    """An OME-Zarr of one level."""
    group = zarr.create_group(path)
    array = group.create_array("0", shape=(side, side), dtype=np.uint8, chunks=(CHUNK, CHUNK))
    for row in range(0, side, CHUNK):
        for column in range(0, side, CHUNK):
            array[row : row + CHUNK, column : column + CHUNK] = np.roll(cells, (row // CHUNK, column // CHUNK), (0, 1))
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    scale = [{"type": "scale", "scale": [0.5, 0.5]}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}


def call(*arguments) -> tuple[float, float, str]:
    """Peak memory in GB and seconds of a call of the command line in a process of its own, and what it prints."""
    code = (
        "import sys, torch; from snakeseg.cli import main; from snakeseg.prediction.timing import peak_memory;"
        " status = main(sys.argv[1:]); print(f'peak {peak_memory(torch.device(\"cpu\")) / 1e9}'); sys.exit(status)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(re.search(r"peak ([\d.]+)", done.stdout)[1]), time.perf_counter() - start, done.stdout


def busy(folder: Path, image: Path, store: Path) -> float:
    """Share of the wall time in which tiles are computed, rather than waited for."""
    predictor = load_predictor([folder], choose_device(1, os.cpu_count() or 1))
    raster, inside, work = open_image(image, 2), [0.0], predictor.work

    def timed(seen: torch.Tensor) -> torch.Tensor:
        start = time.perf_counter()
        answer = work(seen)
        inside[0] += time.perf_counter() - start
        return answer

    stride = choose_stride(predictor, raster.array.shape[1:], BUDGET * 1e9)
    start = time.perf_counter()
    write_store(store, [("image", {}, predict_image(predictor._replace(work=timed), raster, stride))])
    return inside[0] / (time.perf_counter() - start)


def main() -> None:
    torch.manual_seed(0)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(work / "cache")
        description = Description(2, 1, LABELS, NETWORK, Prepare(), Predict(average=False, precision="auto"), None)
        (work / "model").mkdir()
        save_model(work / "model", description.make_network(), description, {})
        cells = (simulate_cells(np.random.default_rng(0), (CHUNK, CHUNK), 500)[0]).astype(np.uint8)
        options = ["--memory-gb", BUDGET, "--threads", os.cpu_count() or 1]
        for side in SIDES:
            image = work / f"{side}.ome.zarr"
            make_image(image, side, cells)
            told = call("plan", work / "model", image, *options)[2]
            planned = float(re.search(r"([\d.]+) GB", told)[1])
            peak, seconds, _ = call("predict", work / "model", image, "-o", work / "out", *options)
            rows.append(
                {"side": side, "GB": peak, "planned": planned, "s": seconds, "tiles": told.split(" in ")[1][:30]}
            )
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
            if side == BUSY_SIDE:
                share = busy(work / "model", image, work / "store.zarr.zip")
                print(f"busy: {share:.3f}", file=sys.stderr, flush=True)
    table(rows)
    peaks, plans = ([row[key] for row in rows] for key in ("GB", "planned"))
    spread, off = max(peaks) / min(peaks) - 1, max(abs(p / q - 1) for p, q in zip(peaks, plans, strict=True))
    met = max(peaks) <= BUDGET and spread <= 0.1 and off <= 0.2 and share >= 0.9
    verdict("memory", max(peaks), BUDGET, max(peaks) / BUDGET, 1.0, met, spread=spread, off_plan=off, busy=share)


if __name__ == "__main__":
    main()
