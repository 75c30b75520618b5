"""The golden check: a test input and its class probabilities, stored with the weights and compared on loading."""

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

# Maximum difference of a probability. Libraries and processors round differently; accelerators also multiply in lower
# precision (TF32).
GOLDEN_TOLERANCE, ACCELERATOR_PROBABILITY_TOLERANCE = 1e-3, 2e-2
# Minimum side length of the output, in pixels, of a network without padding.
MIN_OUTPUT_PIXELS = 4


class Golden(NamedTuple):
    """A test input and its output, both float32.

    Parameters
    ----------
    input : array, shape (channels, *spatial)
        Normalised image.
    output : array, shape (classes, *output spatial)
        Class probabilities; without padding, the output is smaller than the input.
    """

    input: np.ndarray
    output: np.ndarray


def golden_size(geometry: Geometry) -> tuple[int, ...]:
    """Return the side lengths, in pixels, of a small input that uses all levels of the network.

    With padding, the input has two pixels per axis at the deepest level; without, the output has at least
    `MIN_OUTPUT_PIXELS` per axis.
    """
    return tuple(2 * step for step in geometry.multiple) if geometry.padded else geometry.input_size(MIN_OUTPUT_PIXELS)


def make_golden(network: nn.Module, description: Description, image: np.ndarray | None = None) -> Golden:
    """Compute the class probabilities of the middle of an image.

    The network runs in float32 on the CPU with a single thread: the result does not depend on the number of threads.

    Parameters
    ----------
    network : Module
        In evaluation mode; it is moved to the CPU and back.
    description : Description
    image : float array, shape (channels, *spatial), optional
        Normalised image; seeded noise by default.

    Returns
    -------
    Golden
    """
    size = golden_size(description.geometry)
    patch = _noise(description.channels, size) if image is None else _middle(image, size)
    threads, device = torch.get_num_threads(), next(network.parameters()).device
    try:
        torch.set_num_threads(1)
        return Golden(patch, compute_probabilities(network.to("cpu"), patch))
    finally:
        torch.set_num_threads(threads)
        network.to(device)


def compute_probabilities(network: nn.Module, patch: np.ndarray) -> np.ndarray:
    """Compute the class probabilities of a patch on the network's device.

    Parameters
    ----------
    network : Module
        In evaluation mode.
    patch : float32 array, shape (channels, *spatial)

    Returns
    -------
    float32 array, shape (classes, *output spatial)
    """
    with torch.inference_mode():
        batch = torch.from_numpy(patch)[None].to(next(network.parameters()).device)
        logits = network(batch.contiguous(memory_format=LAYOUT[patch.ndim - 1]))
        return torch.softmax(logits.float(), dim=1)[0].cpu().contiguous().numpy()


def _middle(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Crop the centre of an image to a size; along axes where it is smaller, pad by reflection."""
    start = [(side - length) // 2 for side, length in zip(image.shape[1:], size, strict=True)]
    return np.ascontiguousarray(read_mirrored(image, start, size), dtype=np.float32)


def _noise(channels: int, size: Sequence[int]) -> np.ndarray:
    return np.random.default_rng(0).random((channels, *size), dtype=np.float32)


def write_golden(folder: Path, golden: Golden) -> None:
    """Write test input and output beside the weights, to golden.safetensors."""
    with atomic_file(folder / GOLDEN) as partial:
        save_file(golden._asdict(), partial)


def read_golden(folder: Path) -> Golden | None:
    """Read the test input and output of a model folder; None if it has no golden.safetensors (early versions).

    Raises
    ------
    BadInput
        If the file is damaged.
    """
    path = folder / GOLDEN
    if not path.is_file():
        return None
    try:
        tensors = load_file(path)
        return Golden(tensors["input"], tensors["output"])
    except (OSError, SafetensorError, KeyError) as error:
        cause = " ".join(str(error).split())[:200]
        remedy = "copy the model folder again, or delete this file to skip the golden check"
        raise BadInput(path, cause, "the tensors input and output", remedy) from error


def check_golden(folder: Path, network: nn.Module, golden: Golden) -> None:
    """Check that a network still computes the stored class probabilities, in float32 on its present device.

    Parameters
    ----------
    folder : path
        Model folder, for error messages.
    network : Module
        In evaluation mode.
    golden : Golden

    Raises
    ------
    BadInput
        If the probabilities have another shape, or differ by more than the tolerance.
    """
    device = next(network.parameters()).device
    tolerance = GOLDEN_TOLERANCE if device.type == "cpu" else ACCELERATOR_PROBABILITY_TOLERANCE
    try:
        probabilities = compute_probabilities(network, golden.input)
        is_same_shape = probabilities.shape == golden.output.shape
    except (RuntimeError, ValueError, IndexError):  # the network does not take an input of this shape
        is_same_shape = False
    if not is_same_shape:
        remedy = "copy the model folder again, or train it again: snakemake -R train"
        raise BadInput(folder / GOLDEN, "arrays that do not fit the network", "arrays made with this network", remedy)
    difference = float(np.abs(probabilities - golden.output).max())
    if not difference <= tolerance:
        raise BadInput(
            folder, f"probabilities on {device} that differ by up to {difference:.2g} from those in golden.safetensors",
            f"a difference of at most {tolerance:g}",
            "copy the model folder again, or, if no file has changed, try --gpus 0, another version of PyTorch, or "
            "--skip-golden",
        )  # fmt: skip
