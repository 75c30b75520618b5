"""Networks as files that run without this package, TorchScript and ONNX; each is compared with the network."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from snakeseg.errors import BadInput
from snakeseg.networks.geometry import Geometry

# Largest difference of a probability that is let pass.
ALIKE = 1e-4
OPSET = 17
AXES = {2: ("y", "x"), 3: ("z", "y", "x")}
INPUT, OUTPUT = "image", "probabilities"


class Probabilities(nn.Module):
    """A network with a softmax over classes behind it."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, *spatial) to (batch, classes, *spatial), of sizes that the network takes."""
        return torch.softmax(self.network(x), dim=1)


class Whole(nn.Module):
    """Probabilities for all pixels of an image of any size: mirrored as in `arrays.read_mirrored`, and cropped."""

    def __init__(self, network: nn.Module, geometry: Geometry):
        super().__init__()
        self.network = network
        self.halo, self.multiple, self.remainder = map(list, (geometry.halo, geometry.multiple, geometry.remainder))
        self.first = self.halo if geometry.padded else [0] * geometry.dims

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, *spatial) to (batch, classes, *spatial)."""
        seen = x
        for axis in range(x.dim() - 2):
            halo, size = self.halo[axis], x.size(axis + 2)
            surplus = (self.remainder[axis] - 2 * halo - size) % self.multiple[axis]
            period = max(2 * (size - 1), 1)
            places = torch.arange(-halo, size + halo + surplus, device=x.device) % period
            seen = seen.index_select(axis + 2, torch.minimum(places, period - places))
        found = self.network(seen)
        for axis in range(x.dim() - 2):
            found = found.narrow(axis + 2, self.first[axis], x.size(axis + 2))
        return found


def write_torchscript(path: Path, model: nn.Module, inputs: Sequence[Tensor]) -> torch.jit.ScriptModule:
    """Trace a model and save it.

    Parameters
    ----------
    path : path
    model : Module
        In evaluation mode, on the CPU.
    inputs : sequence of tensor
        It is traced with the first, and compared on all, which are of different shapes.

    Raises
    ------
    BadInput
        If the file answers otherwise than the model.
    """
    traced = trace(model, inputs[0])
    traced.save(str(path))
    loaded = torch.jit.load(str(path))
    compare(path, model, lambda x: loaded(x).numpy(), inputs)
    return traced


def trace(model: nn.Module, seen: Tensor) -> torch.jit.ScriptModule:
    """A model's operations on an input; sizes stay variables."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # it warns of every size that is looked at; the result is compared
        return torch.jit.trace(model, seen, check_trace=False)


def write_whole(path: Path, traced: torch.jit.ScriptModule, geometry: Geometry, seen: Tensor) -> Whole:
    """Save a traced model so that it answers for images of any size; errors as in `write_torchscript`."""
    whole = Whole(traced, geometry)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript will not be developed further
        scripted = torch.jit.script(whole)
    scripted.save(str(path))
    loaded = torch.jit.load(str(path))
    compare(path, whole, lambda x: loaded(x).numpy(), [seen, seen[..., :-1]])
    return whole


def write_onnx(
    path: Path, traced: torch.jit.ScriptModule, model: nn.Module, inputs: Sequence[Tensor], notes: dict[str, str]
) -> None:
    """Save a traced model as ONNX, with variable batch and sides, and notes as its metadata.

    Raises
    ------
    BadInput
        If ONNX Runtime answers otherwise than the model.
    """
    import onnx
    import onnxruntime

    seen = inputs[0]
    axes = dict(enumerate(("batch", "channel", *AXES[seen.dim() - 2])))
    del axes[1]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traced, (seen,), str(path), opset_version=OPSET, input_names=[INPUT], output_names=[OUTPUT],
            dynamic_axes={INPUT: axes, OUTPUT: {axis: f"{name}_out" for axis, name in axes.items()}}, dynamo=False,
        )  # fmt: skip
    made = onnx.load(path)
    onnx.helper.set_model_props(made, notes)
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    compare(path, model, lambda x: session.run([OUTPUT], {INPUT: x.numpy()})[0], inputs)


def compare(path: Path, model: nn.Module, run: Callable[[Tensor], np.ndarray], inputs: Sequence[Tensor]) -> None:
    """Let a model and the file that was made of it answer to the same.

    Raises
    ------
    BadInput
        If the answers are of other shapes, or further apart than `ALIKE`.
    """
    for seen in inputs:
        with torch.inference_mode():
            expected, found = model(seen).numpy(), run(seen)
        shape = "x".join(map(str, seen.shape))
        if found.shape != expected.shape:
            raise BadInput(path, f"an answer of shape {found.shape} to {shape}", f"{expected.shape}", "report it")
        worst = float(np.abs(found - expected).max())
        if not worst <= ALIKE:
            raise BadInput(path, f"answers to {shape} that differ by {worst:.2g}", f"at most {ALIKE:g}", "report it")
