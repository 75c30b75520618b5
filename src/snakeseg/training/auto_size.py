"""Memory of a training step, and the choice of patch and batch that fit it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from snakeseg.devices import autocast, total_memory
from snakeseg.errors import BadInput
from snakeseg.models.description import Description
from snakeseg.networks.geometry import Geometry
from snakeseg.settings import Train, patch_sides

# Share of the device's memory that a training step may take.
MEMORY_SHARE = 0.8
# Largest side of a patch in pixels, by the number of axes, and largest batch in patches.
MAX_PATCH_PIXELS, MAX_BATCH = {2: 512, 3: 128}, 16
# Largest number of pixels of a batch on a CPU, where larger batches only reduce the number of steps.
MAX_CPU_BATCH_PIXELS = 512**2
# Factor for buffers of convolutions and for memory that allocators waste, on top of the counted tensors.
MEMORY_OVERHEAD = 1.5


def choose_patch_and_batch(
    settings: Train, description: Description, shapes: Sequence[tuple[int, ...]], device: torch.device, held: float = 0
) -> tuple[Train, str]:
    """Replace `patch: auto` and `batch: auto` by the largest numbers that fit into the memory of the device.

    Each process of a team computes its share of the batch, in `settings.accumulate` parts.

    Parameters
    ----------
    settings : Train
    description : Description
        Description of the network.
    shapes : sequence of tuple
        Shapes of the training images, without channels.
    device : torch.device
    held : float
        Bytes of the machine's memory that images take already.

    Returns
    -------
    settings : Train
        With patch and batch as numbers.
    message : str
        The choice and its memory; empty if neither was "auto".

    Raises
    ------
    BadInput
        If not even the smallest patch fits.
    """
    if "auto" not in (settings.patch, settings.batch):
        return settings, ""
    dims, geometry, processes = description.dims, description.geometry.training, settings.processes
    budget = MEMORY_SHARE * total_memory(device)
    if device.type != "cuda":
        budget = budget / processes - held

    def needed(patch: int | Sequence[int], share: int) -> float:
        part = -(-share // settings.accumulate)
        return step_memory(description, patch, part, settings, device)

    patch, share = settings.patch, 1 if settings.batch == "auto" else settings.batch // processes
    if patch == "auto":
        median_side = int(np.median([min(shape) for shape in shapes]))
        start = geometry.output_size(min(MAX_PATCH_PIXELS[dims], median_side))
        patch = _largest_patch(geometry, start, lambda patch: needed(patch, share) <= budget)
    if settings.batch == "auto":
        pixels = math.prod(patch_sides(patch, dims))
        limit = MAX_BATCH if device.type == "cuda" else min(MAX_BATCH, MAX_CPU_BATCH_PIXELS // pixels)
        share = _largest_batch_per_process(limit / processes, lambda share: needed(patch, share) <= budget)
    used, batch = needed(patch, share), share * processes
    if used > budget:
        raise BadInput(
            f"train.patch {patch}, train.batch {batch}", f"a training step of {used / 2**30:.1f} GB",
            f"at most {budget / 2**30:.1f} GB", "lower train.patch, train.batch, network.width or network.depth",
        )  # fmt: skip
    gigabytes, limit = used / 2**30, budget / 2**30
    message = f"memory: patch {patch}, batch {batch} take {gigabytes:.2f} GB per step; {limit:.1f} GB are available"
    return replace(settings, patch=patch, batch=batch), message


def _largest_patch(
    geometry: Geometry, start: tuple[int, ...], fits: Callable[[tuple[int, ...]], bool]
) -> int | list[int]:
    """Return the first patch that fits, from `start` downwards, or the smallest; one number for equal sides."""
    patch, smallest = start, geometry.output_size(1)
    while patch != smallest and not fits(patch):
        steps = zip(patch, geometry.multiple, strict=True)
        patch = geometry.output_size([max(1, min(side * 3 // 4, side - step)) for side, step in steps])
    return patch[0] if len(set(patch)) == 1 else list(patch)


def _largest_batch_per_process(limit: float, fits: Callable[[int], bool]) -> int:
    """Return the largest power of two up to `limit` such that it and all smaller powers fit; 1 if none does."""
    share = 1
    while 2 * share <= limit and fits(2 * share):
        share *= 2
    return share


def step_memory(
    description: Description, patch: int | Sequence[int], batch: int, settings: Train, device: torch.device
) -> float:
    """Return the memory of a training step in bytes: measured on a CUDA device, otherwise counted.

    The count includes weights, gradients, two moments, and the tensors that the forward pass keeps for the backward
    pass, times `MEMORY_OVERHEAD`.

    Parameters
    ----------
    description : Description
        Description of the network.
    patch : int or sequence of int
        Side lengths of a patch in pixels: one number, or one per axis.
    batch : int
        Number of patches that are computed at once.
    settings : Train
        Its precision is used.
    device : torch.device

    Returns
    -------
    float
        Infinity if the CUDA device runs out of memory.
    """
    dims, geometry = description.dims, description.geometry.training
    size = geometry.input_size(patch_sides(patch, dims))
    weights = sum(p.numel() * p.element_size() for p in description.make_network().parameters())
    if device.type != "cuda":
        # Fake tensors have shapes and types as in a real step, but no memory.
        with FakeTensorMode():
            network = description.make_network().train()
            kept = _kept_bytes(network, torch.zeros(batch, description.channels, *size), settings, device)
        return MEMORY_OVERHEAD * (4 * weights + kept)
    network = description.make_network().to(device).train()
    try:
        torch.cuda.reset_peak_memory_stats(device)
        image = torch.zeros(batch, description.channels, *size, device=device)
        _kept_bytes(network, image, settings, device)
        return torch.cuda.max_memory_allocated(device) + 3 * weights
    except torch.OutOfMemoryError:
        return float("inf")
    finally:
        del network
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _kept_bytes(network: nn.Module, image: torch.Tensor, settings: Train, device: torch.device) -> int:
    """Run forward and backward pass; return the bytes of tensors kept for the backward pass, without weights."""
    kept: dict[int, int] = {}
    weights = {parameter.untyped_storage()._cdata for parameter in network.parameters()}

    def record(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        with autocast(settings.precision, device):
            logits = network(image)
        logits.float().mean().backward()
    return sum(kept.values())
