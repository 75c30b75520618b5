"""What networks cost on a device: seconds and memory of tiles, for the plan; size and speed, for the report."""

import hashlib
import json
import math
import os
import re
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import psutil
import torch

from snakeseg import __version__
from snakeseg.devices import autocast, device_name
from snakeseg.io.files import write_text
from snakeseg.models.checkpoint import load_model
from snakeseg.models.description import Description
from snakeseg.networks.folding import fold_normalisation
from snakeseg.networks.measures import network_checkerboard, operations, parameters
from snakeseg.prediction.overlap_tile import OnTile, tile_logits, tiled_logits
from snakeseg.prediction.tile_plan import Sample
from snakeseg.prediction.tiles import PLAIN_TILE, tile_shape
from snakeseg.settings import Network

# Strides that are measured, by number of axes; no more are begun after so many seconds, or beyond that share of memory.
MEASURED = {2: (128, 256, 384, 512, 768, 1024, 1536), 3: (16, 32, 48, 64, 96, 128, 160)}
ENOUGH_SECONDS = 30.0
# The first runs of a size are slow: their memory is new.
RUNS = 4
ENOUGH_MEMORY = 1 / 2
# Side of the image that is timed for the report, by number of axes.
TIMED_SIDE = {2: 512, 3: 64}


def measure_tiles(folder: Path, device: torch.device, budget: float) -> list[Sample]:
    """Input pixels, seconds and bytes of tiles of rising size; in a process that has done little else.

    Parameters
    ----------
    folder : path
        Of a model.
    device : torch.device
    budget : float
        Bytes; tiles that would take more are not tried.
    """
    network, description = load_model(folder, device)
    work = tile_logits(fold_normalisation(network), description.geometry)
    return list(sample_tiles(work, description, device, budget))


def sample_tiles(work: OnTile, description: Description, device: torch.device, budget: float) -> Iterator[Sample]:
    """As `measure_tiles`, of a function from what a tile sees to its logits."""
    geometry = description.geometry
    begun, before = time.perf_counter(), peak_memory(device)
    for stride in MEASURED[description.dims]:
        sides = geometry.input_size(tile_shape([stride] * description.dims, geometry, stride))
        seen = torch.rand(description.channels, *sides, device=device)
        times = []
        with torch.inference_mode(), autocast(description.predict.precision, device):
            for _ in range(RUNS):
                start = time.perf_counter()
                work(seen).sum().item()  # which waits for the device
                times.append(time.perf_counter() - start)
        sample = Sample(math.prod(sides), min(times), peak_memory(device) - before)
        yield sample
        if time.perf_counter() - begun > ENOUGH_SECONDS or sample.memory > ENOUGH_MEMORY * budget:
            return


def peak_memory(device: torch.device) -> int:
    """Most bytes that the process has held so far: of a CUDA device's memory, else of the machine's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")  # unlike what `getrusage` says, without what the parent process held
    if status.is_file():
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text(encoding="utf-8"))[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def used_memory(device: torch.device) -> int:
    """Bytes that the process holds now, of the same memory."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss


def cache_path(description: Description, device: torch.device) -> Path:
    """Where the samples of a network on a device are kept: the same for all runs of a user, so that all tile alike."""
    what = [__version__, torch.__version__, device_name(device), torch.get_num_threads()]
    what += [description.dims, description.channels, description.classes, description.predict.precision]
    text = json.dumps([*what, asdict(description.network)], sort_keys=True)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(tempfile.gettempdir() if base.startswith("~") else base, "snakeseg", "tiles")
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"


def read_samples(path: Path) -> list[Sample] | None:
    """The samples in a file; None if there is none that is understood."""
    try:
        return [Sample(*values) for values in json.loads(path.read_text(encoding="utf-8"))] or None
    except (OSError, ValueError, TypeError):
        return None


def keep_samples(path: Path, samples: list[Sample]) -> list[Sample]:
    """Keep samples for later runs, where that can be done; gives those of whoever came first."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), open(path, "x", encoding="utf-8") as file:
            json.dump(samples, file)
        if read_samples(path) is None:
            write_text(path, json.dumps(samples))
    return read_samples(path) or samples


def measure_model(folder: Path, device: torch.device, threads: int) -> dict:
    """What the network in a model folder is and costs.

    Returns
    -------
    dict
        network, in words; parameters; halo, the largest of all axes; tile_exact; checkerboard; gigaflops_per_megapixel
        of output, halo included; seconds_per_megapixel on `device`, in the precision that the model predicts in;
        device.
    """
    network, description = load_model(folder, device)
    geometry, dims, channels = description.geometry, description.dims, description.channels
    stride = tile_shape([PLAIN_TILE[dims]] * dims, geometry, PLAIN_TILE[dims])
    flops = operations(description.make_network, channels, geometry.input_size(stride))
    found = {"parameters": parameters(network), "checkerboard": network_checkerboard(network, channels, geometry)}
    network = fold_normalisation(network)
    image = np.zeros((channels, *[TIMED_SIDE[dims]] * dims), np.float32)
    with autocast(description.predict.precision, device):
        tiled_logits(network, image, geometry, PLAIN_TILE[dims], device)  # the first pass prepares itself
        start = time.perf_counter()
        tiled_logits(network, image, geometry, PLAIN_TILE[dims], device)
        seconds = time.perf_counter() - start
    return {
        "network": _in_words(description.network),
        "parameters": found["parameters"],
        "halo": max(geometry.halo),
        "tile_exact": geometry.tile_exact,
        "checkerboard": found["checkerboard"],
        "gigaflops_per_megapixel": flops / math.prod(stride) / 1e3,
        "seconds_per_megapixel": seconds / image[0].size * 1e6,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, {threads} threads",
    }


def _in_words(settings: Network) -> str:
    """The network's name and what differs from its defaults."""
    plain = type(settings)(name=settings.name)
    changed = [f"{key} {value}" for key, value in asdict(settings).items() if value != getattr(plain, key)]
    return ", ".join([settings.name, *changed])
