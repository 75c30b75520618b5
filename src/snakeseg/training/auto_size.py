"""How much memory a training step takes, and what patch and batch fit."""

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
from snakeseg.settings import Train, sides

# Share of the device's memory that a step may take.
MARGIN = 0.8
LARGEST_PATCH, LARGEST_BATCH = {2: 512, 3: 128}, 16
# On a CPU larger batches only make fewer steps: pixels a step beyond which none is added.
CPU_PIXELS = 512**2
# Buffers of convolutions, and what allocators waste, on top of what is counted.
OVERHEAD = 1.5


def choose_patch_and_batch(
    settings: Train, description: Description, shapes: Sequence[tuple[int, ...]], device: torch.device, held: float = 0
) -> tuple[Train, str]:
    """Numbers in place of `patch: auto` and `batch: auto`, and a sentence about them; tried on the device.

    Every process of a team takes its share of the batch, in `settings.accumulate` parts.

    Parameters
    ----------
    settings : Train
    description : Description
        Of the network.
    shapes : sequence of tuple
        Of the training images.
    device : torch.device
    held : float
        Bytes of the machine's memory that images take already.

    Returns
    -------
    settings : Train
    told : str
        Empty if nothing was open.

    Raises
    ------
    BadInput
        If not even the smallest patch fits.
    """
    if "auto" not in (settings.patch, settings.batch):
        return settings, ""
    dims, geometry, processes = description.dims, description.geometry.training, settings.processes
    room = MARGIN * total_memory(device)
    if device.type != "cuda":
        room = room / processes - held

    def needed(patch: int | Sequence[int], share: int) -> float:
        at_once = -(-share // settings.accumulate)
        return step_bytes(description, patch, at_once, settings, device)

    patch, share = settings.patch, 1 if settings.batch == "auto" else settings.batch // processes
    if patch == "auto":
        middle = int(np.median([min(shape) for shape in shapes]))
        patch = _largest_patch(geometry, min(LARGEST_PATCH[dims], middle), lambda sides: needed(sides, share) <= room)
    pixels = math.prod(sides(patch, dims))
    most = LARGEST_BATCH if device.type == "cuda" else min(LARGEST_BATCH, CPU_PIXELS // pixels)
    while settings.batch == "auto" and 2 * share * processes <= most and needed(patch, 2 * share) <= room:
        share *= 2
    used, batch = needed(patch, share), share * processes
    if used > room:
        raise BadInput(
            f"train.patch {patch}, train.batch {batch}", f"a step of {used / 2**30:.1f} GB",
            f"at most {room / 2**30:.1f} GB", "choose a smaller network, patch or batch",
        )  # fmt: skip
    told = f"memory: patch {patch}, batch {batch} take {used / 2**30:.2f} GB a step; {room / 2**30:.1f} GB may be used"
    return replace(settings, patch=patch, batch=batch), told


def _largest_patch(geometry: Geometry, side: int, fits: Callable[[tuple[int, ...]], bool]) -> int | list[int]:
    """A patch of about this side, or the next smaller one that fits, or the smallest; a list where sides differ."""
    patch = geometry.output_size(side)
    while not fits(patch) and patch != geometry.output_size(1):
        smaller = zip(patch, geometry.multiple, strict=True)
        patch = geometry.output_size([max(1, min(side * 3 // 4, side - step)) for side, step in smaller])
    return patch[0] if len(set(patch)) == 1 else list(patch)


def step_bytes(
    description: Description, patch: int | Sequence[int], batch: int, settings: Train, device: torch.device
) -> float:
    """Memory of a training step: measured on a CUDA device, else counted; infinite if it runs out.

    Counted: weights, gradients, two moments, and what the forward pass keeps for the backward pass, times an overhead.
    """
    dims, geometry = description.dims, description.geometry.training
    seen = geometry.input_size(sides(patch, dims))
    weights = sum(p.numel() * p.element_size() for p in description.make_network().parameters())
    if device.type != "cuda":
        # Tensors without memory: shapes and types as in a real step, whatever their size.
        with FakeTensorMode():
            network = description.make_network().train()
            kept = _kept_bytes(network, torch.zeros(batch, description.channels, *seen), settings, device)
        return OVERHEAD * (4 * weights + kept)
    network = description.make_network().to(device).train()
    try:
        torch.cuda.reset_peak_memory_stats(device)
        image = torch.zeros(batch, description.channels, *seen, device=device)
        _kept_bytes(network, image, settings, device)
        return torch.cuda.max_memory_allocated(device) + 3 * weights
    except torch.OutOfMemoryError:
        return float("inf")
    finally:
        del network
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _kept_bytes(network: nn.Module, image: torch.Tensor, settings: Train, device: torch.device) -> int:
    """Bytes that a forward pass keeps for the backward pass, which is run too; without the weights."""
    kept: dict[int, int] = {}
    weights = {parameter.untyped_storage()._cdata for parameter in network.parameters()}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        with autocast(settings.precision, device):
            logits = network(image)
        logits.float().mean().backward()
    return sum(kept.values())
