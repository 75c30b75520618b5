"""The golden check: an input and what the network answered to it, kept with the weights, compared on loading."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import nn

from snakeseg.arrays import read_mirrored
from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_file
from snakeseg.models.description import GOLDEN, Description
from snakeseg.networks.blocks import LAYOUT
from snakeseg.networks.geometry import Geometry

# Largest difference of a probability that is let pass. Libraries and processors round differently; accelerators also
# multiply in fewer bits (TF32).
TOLERANCE, TOLERANCE_OF_ACCELERATORS = 1e-3, 2e-2
# Pixels of the answer along each axis, at least, of a network whose answer is smaller than its input.
ANSWERED = 4


class Golden(NamedTuple):
    """An input, shape (channels, *spatial), normalised; and class probabilities, shape (classes, *spatial); float32."""

    input: np.ndarray
    output: np.ndarray


def golden_size(geometry: Geometry) -> tuple[int, ...]:
    """Sides of a small input that exercises the whole network.

    Of a padded network, which answers for all of its input, two pixels of the deepest level.
    """
    return tuple(2 * step for step in geometry.multiple) if geometry.padded else geometry.input_size(ANSWERED)


def make_golden(network: nn.Module, description: Description, image: np.ndarray | None = None) -> Golden:
    """The middle of an image, and the answer to it.

    In float32 on the CPU, by one thread, so that bits do not depend on how many there are.

    Parameters
    ----------
    network : Module
        In evaluation mode; afterwards where it was.
    description : Description
    image : float array, shape (channels, *spatial)
        Normalised; seeded noise without one.
    """
    size = golden_size(description.geometry)
    seen = _noise(description.channels, size) if image is None else _middle(image, size)
    threads, device = torch.get_num_threads(), next(network.parameters()).device
    try:
        torch.set_num_threads(1)
        return Golden(seen, answer(network.to("cpu"), seen))
    finally:
        torch.set_num_threads(threads)
        network.to(device)


def answer(network: nn.Module, seen: np.ndarray) -> np.ndarray:
    """Class probabilities of an input, on the network's device, float32."""
    with torch.inference_mode():
        given = torch.from_numpy(seen)[None].to(next(network.parameters()).device)
        logits = network(given.contiguous(memory_format=LAYOUT[seen.ndim - 1]))
        return torch.softmax(logits.float(), dim=1)[0].cpu().contiguous().numpy()


def _middle(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Mirrored where the image ends."""
    start = [(have - want) // 2 for have, want in zip(image.shape[1:], size, strict=True)]
    return np.ascontiguousarray(read_mirrored(image, start, size), dtype=np.float32)


def _noise(channels: int, size: Sequence[int]) -> np.ndarray:
    return np.random.default_rng(0).random((channels, *size), dtype=np.float32)


def write_golden(folder: Path, golden: Golden) -> None:
    """Beside the weights."""
    with atomic_file(folder / GOLDEN) as beside:
        save_file(golden._asdict(), beside)


def read_golden(folder: Path) -> Golden | None:
    """None of a model from before there was any.

    Raises
    ------
    BadInput
        If the file is damaged.
    """
    path = folder / GOLDEN
    if not path.is_file():
        return None
    try:
        found = load_file(path)
        return Golden(found["input"], found["output"])
    except (OSError, SafetensorError, KeyError) as error:
        cause = " ".join(str(error).split())[:200]
        raise BadInput(path, cause, "an input and an output", "take the model's own, or delete the file") from error


def check_golden(folder: Path, network: nn.Module, golden: Golden) -> None:
    """Let the network answer again, in float32, on the device that it is on.

    Raises
    ------
    BadInput
        If the answer is another one.
    """
    device = next(network.parameters()).device
    limit = TOLERANCE if device.type == "cpu" else TOLERANCE_OF_ACCELERATORS
    try:
        found = answer(network, golden.input)
        alike = found.shape == golden.output.shape
    except (RuntimeError, ValueError, IndexError):  # of another shape than the network takes
        alike = False
    if not alike:
        raise BadInput(folder / GOLDEN, "arrays that do not fit the network", "those made with it", "train it again")
    worst = float(np.abs(found - golden.output).max())
    if not worst <= limit:
        raise BadInput(
            folder, f"other answers on {device} than when it was trained, probabilities differing by up to {worst:.2g}",
            f"at most {limit:g}, as its golden.safetensors says",
            "take its own, unchanged files; if they are, try --gpus 0 or other versions of PyTorch, or --skip-golden",
        )  # fmt: skip
