"""How much memory a training step takes, and what patch and batch fit."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from snakeseg.checkpoint import Description
from snakeseg.devices import autocast, total_memory
from snakeseg.settings import Train
from snakeseg.tiling import Geometry

# Share of the device's memory that a step may take.
MARGIN = 0.8
LARGEST_PATCH, LARGEST_BATCH = {2: 512, 3: 128}, 16
# On a CPU larger batches only make fewer steps: pixels a step beyond which none is added.
CPU_PIXELS = 512**2
# Buffers of convolutions, and what allocators waste, on top of what is counted.
OVERHEAD = 1.5


def settle(
    settings: Train, description: Description, shapes: Sequence[tuple[int, ...]], device: torch.device
) -> tuple[Train, str]:
    """Numbers in place of `patch: auto` and `batch: auto`, and a sentence about them; tried on the device.

    Parameters
    ----------
    settings : Train
    description : Description
        Of the network.
    shapes : sequence of tuple
        Of the training images.
    device : torch.device

    Returns
    -------
    settings : Train
    told : str
        Empty if nothing was open.

    Raises
    ------
    MemoryError
        If not even the smallest patch fits.
    """
    if "auto" not in (settings.patch, settings.batch):
        return settings, ""
    dims, geometry, room = description.dims, description.geometry.training, MARGIN * total_memory(device)
    network = description.make_network().to(device).train()

    def fits(patch: int, batch: int) -> bool:
        return step_bytes(network, description.channels, geometry, dims, patch, batch, settings, device) <= room

    patch, batch = settings.patch, 1 if settings.batch == "auto" else settings.batch
    if patch == "auto":
        middle = int(np.median([min(shape) for shape in shapes]))
        patch = geometry.output_size(min(LARGEST_PATCH[dims], middle))
        while not fits(patch, batch) and (smaller := geometry.output_size(patch * 3 // 4)) < patch:
            patch = smaller
    if settings.batch == "auto":
        pixels = patch**dims
        while (
            batch < LARGEST_BATCH
            and (device.type != "cpu" or 2 * batch * pixels <= CPU_PIXELS)
            and fits(patch, 2 * batch)
        ):
            batch *= 2
        batch = max(batch, settings.processes)
    used = step_bytes(network, description.channels, geometry, dims, patch, batch, settings, device)
    if used > room:
        raise MemoryError(
            f"train.patch {patch}, train.batch {batch}: a step takes {used / 2**30:.1f} GB; expected at most "
            f"{room / 2**30:.1f} GB; choose a smaller network, patch or batch"
        )
    told = f"memory: patch {patch}, batch {batch} take {used / 2**30:.2f} GB a step; {room / 2**30:.1f} GB may be used"
    return replace(settings, patch=patch, batch=batch), told


def step_bytes(
    network: nn.Module, channels: int, geometry: Geometry, dims: int, patch: int, batch: int, settings: Train, device
) -> float:
    """Memory of a training step: measured on a CUDA device, else counted; infinite if it runs out.

    Counted: weights, gradients, two moments, and what the forward pass keeps for the backward pass, times an overhead.
    """
    side = geometry.input_size(geometry.output_size(patch))
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    if device.type != "cuda":
        # What is kept grows with pixels and batch: one small patch tells it.
        small = min(side, geometry.input_size(4 * geometry.multiple))
        kept = _kept_bytes(network, torch.zeros(1, channels, *(small,) * dims, device=device), settings, device)
        return OVERHEAD * (4 * weights + kept * batch * (side / small) ** dims)
    try:
        torch.cuda.reset_peak_memory_stats(device)
        _kept_bytes(network, torch.zeros(batch, channels, *(side,) * dims, device=device), settings, device)
        return torch.cuda.max_memory_allocated(device) + 3 * weights
    except torch.OutOfMemoryError:
        return float("inf")
    finally:
        network.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()


def _kept_bytes(network: nn.Module, image: torch.Tensor, settings: Train, device: torch.device) -> int:
    """Bytes that a forward pass keeps for the backward pass, which is run too; without the weights."""
    kept: dict[int, int] = {}
    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        with autocast(settings.precision, device):
            logits = network(image)
        logits.float().mean().backward()
    network.zero_grad(set_to_none=True)
    return sum(kept.values())
