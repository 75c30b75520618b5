"""Measured costs of networks on a device: time and memory of tiles for tile plans, size and speed for the report."""

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
from snakeseg.networks.measures import count_operations, count_parameters, network_checkerboard
from snakeseg.prediction.overlap_tile import TileFunction, make_tile_function, predict_logits
from snakeseg.prediction.tile_plan import TileMeasurement
from snakeseg.prediction.tiles import DEFAULT_TILE_PIXELS, fixed_stride
from snakeseg.settings import Network

# Strides of measured tiles, in pixels, by the number of axes.
MEASURED_STRIDES_PIXELS = {2: (128, 256, 384, 512, 768, 1024, 1536), 3: (16, 32, 48, 64, 96, 128, 160)}
# No larger tile is measured after this time, or if the last one took this share of the memory budget.
MAX_MEASURING_S = 30.0
MAX_MEASURING_MEMORY_SHARE = 1 / 2
# Runs per tile, of which the fastest counts: the first ones are slow, because memory is allocated.
RUNS_PER_TILE = 4
# Side length of the image that is timed for the report, in pixels, by the number of axes.
TIMED_SIDE_PIXELS = {2: 512, 3: 64}


def measure_tiles(folder: Path, device: torch.device, budget: float) -> list[TileMeasurement]:
    """Measure time and memory of tiles of increasing size; run it in a new process, so that peak memory is the tiles'.

    Parameters
    ----------
    folder : path
        Model folder.
    device : torch.device
    budget : float
        Memory in bytes; see `MAX_MEASURING_MEMORY_SHARE`.
    """
    network, description = load_model(folder, device)
    compute_logits = make_tile_function(fold_normalisation(network), description.geometry)
    return list(sample_tiles(compute_logits, description, device, budget))


def sample_tiles(
    compute_logits: TileFunction, description: Description, device: torch.device, budget: float
) -> Iterator[TileMeasurement]:
    """Yield time and memory of tiles of increasing size.

    Parameters
    ----------
    compute_logits : function
        Maps the input of a tile (channels, *(stride + 2 * halo)) to its logits (classes, *stride).
    description : Description
        Description of the model.
    device : torch.device
    budget : float
        Memory in bytes; see `MAX_MEASURING_MEMORY_SHARE`.
    """
    geometry = description.geometry
    begun, before = time.perf_counter(), peak_memory(device)
    for stride in MEASURED_STRIDES_PIXELS[description.dims]:
        sides = geometry.input_size(fixed_stride([stride] * description.dims, geometry, stride))
        tile_input = torch.rand(description.channels, *sides, device=device)
        times = []
        with torch.inference_mode(), autocast(description.predict.precision, device):
            for _ in range(RUNS_PER_TILE):
                start = time.perf_counter()
                compute_logits(tile_input).sum().item()  # waits for the device
                times.append(time.perf_counter() - start)
        sample = TileMeasurement(math.prod(sides), min(times), peak_memory(device) - before)
        yield sample
        over_memory = sample.memory > MAX_MEASURING_MEMORY_SHARE * budget
        if time.perf_counter() - begun > MAX_MEASURING_S or over_memory:
            return


def peak_memory(device: torch.device) -> int:
    """Return the peak memory of this process in bytes: of a CUDA device, otherwise of the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")  # unlike `getrusage`, it does not include the peak of the parent process
    if status.is_file():
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text(encoding="utf-8"))[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def used_memory(device: torch.device) -> int:
    """Return the present memory of this process in bytes: of a CUDA device, otherwise of the machine."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss


def cache_path(description: Description, device: torch.device) -> Path:
    """Return the path of the measured tiles of a network on a device.

    All runs of a user share the file, so that they choose the same tiles.
    """
    key = [__version__, torch.__version__, device_name(device), torch.get_num_threads()]
    key += [description.dims, description.channels, description.classes, description.predict.precision]
    text = json.dumps([*key, asdict(description.network)], sort_keys=True)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(tempfile.gettempdir() if base.startswith("~") else base, "snakeseg", "tiles")
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"


def read_samples(path: Path) -> list[TileMeasurement] | None:
    """Read measured tiles from a file; return None if it is missing, empty or damaged."""
    try:
        return [TileMeasurement(*values) for values in json.loads(path.read_text(encoding="utf-8"))] or None
    except (OSError, ValueError, TypeError):
        return None


def write_samples(path: Path, samples: list[TileMeasurement]) -> list[TileMeasurement]:
    """Write measured tiles for later runs, if possible; return those of the file, which another run may have written.

    Parameters
    ----------
    path : path
        File from `cache_path`; a damaged file is replaced.
    samples : list of TileMeasurement
    """
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), open(path, "x", encoding="utf-8") as file:
            json.dump(samples, file)
        if read_samples(path) is None:
            write_text(path, json.dumps(samples))
    return read_samples(path) or samples


def measure_model(folder: Path, device: torch.device, threads: int) -> dict:
    """Measure the size and speed of a model's network.

    Parameters
    ----------
    folder : path
        Model folder.
    device : torch.device
    threads : int
        Number of CPU threads, for the name of the device.

    Returns
    -------
    dict
        network : str
            Name, and settings that differ from the defaults.
        parameters : int
        halo : int
            Largest halo of all axes, in pixels.
        tile_exact : bool
        checkerboard : float
            Share of energy, from 0 to 1.
        gigaflops_per_megapixel : float
            Operations per pixel of output, including the halo.
        seconds_per_megapixel : float
            On `device`, in the precision of the prediction.
        device : str
    """
    network, description = load_model(folder, device)
    geometry, dims, channels = description.geometry, description.dims, description.channels
    tile = DEFAULT_TILE_PIXELS[dims]
    stride = fixed_stride([tile] * dims, geometry, tile)
    flops = count_operations(description.make_network, channels, geometry.input_size(stride))
    sizes = {"parameters": count_parameters(network), "checkerboard": network_checkerboard(network, channels, geometry)}
    network = fold_normalisation(network)
    image = np.zeros((channels, *[TIMED_SIDE_PIXELS[dims]] * dims), np.float32)
    with autocast(description.predict.precision, device):
        predict_logits(network, image, geometry, tile, device)  # the first pass allocates memory
        start = time.perf_counter()
        predict_logits(network, image, geometry, tile, device)
        seconds = time.perf_counter() - start
    return {
        "network": _describe_network(description.network),
        "parameters": sizes["parameters"],
        "halo": max(geometry.halo),
        "tile_exact": geometry.tile_exact,
        "checkerboard": sizes["checkerboard"],
        "gigaflops_per_megapixel": flops / math.prod(stride) / 1e3,
        "seconds_per_megapixel": seconds / image[0].size * 1e6,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, {threads} threads",
    }


def _describe_network(settings: Network) -> str:
    """Return the network's name and the settings that differ from its defaults."""
    default = type(settings)(name=settings.name)
    changed = {key: value for key, value in asdict(settings).items() if value != getattr(default, key)}
    normalisation = changed.get("normalisation")
    words = {"normalisation": f"{'no' if normalisation == 'none' else normalisation} normalisation"}
    return ", ".join([settings.name, *(words.get(key, f"{key} {value}") for key, value in changed.items())])
