"""Write networks as TorchScript and ONNX, which run without this package, and compare each file with its network."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from snakeseg.errors import BadInput
from snakeseg.networks.geometry import Geometry

# Maximum difference of a probability between a network and its exported file.
EXPORT_TOLERANCE = 1e-4
# Version of the ONNX operator set.
OPSET = 17
# Names of the spatial axes, by their number.
DYNAMIC_AXES = {2: ("y", "x"), 3: ("z", "y", "x")}
# Names of the input and output tensors.
INPUT, OUTPUT = "image", "probabilities"


class ProbabilityModel(nn.Module):
    """A network followed by a softmax over classes.

    Parameters
    ----------
    network : Module
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Compute class probabilities.

        Parameters
        ----------
        x : tensor, shape (batch, channels, *spatial)
            Normalised images of a size that the network takes.

        Returns
        -------
        tensor, shape (batch, classes, *output spatial)
        """
        return torch.softmax(self.network(x), dim=1)


class WholeImageModel(nn.Module):
    """A network for images of any size: mirrors the input at its border (as `arrays.read_mirrored`), crops the output.

    Parameters
    ----------
    network : Module
        Computes class probabilities.
    geometry : Geometry
    """

    def __init__(self, network: nn.Module, geometry: Geometry):
        super().__init__()
        self.network = network
        self.halo, self.multiple, self.remainder = map(list, (geometry.halo, geometry.multiple, geometry.remainder))
        self.first = self.halo if geometry.padded else [0] * geometry.dims

    def forward(self, x: Tensor) -> Tensor:
        """Compute class probabilities of all pixels: (batch, channels, *spatial) to (batch, classes, *spatial)."""
        mirrored = x
        for axis in range(x.dim() - 2):
            halo, size = self.halo[axis], x.size(axis + 2)
            surplus = (self.remainder[axis] - 2 * halo - size) % self.multiple[axis]
            period = max(2 * (size - 1), 1)
            indices = torch.arange(-halo, size + halo + surplus, device=x.device) % period
            mirrored = mirrored.index_select(axis + 2, torch.minimum(indices, period - indices))
        output = self.network(mirrored)
        for axis in range(x.dim() - 2):
            output = output.narrow(axis + 2, self.first[axis], x.size(axis + 2))
        return output


def write_torchscript(path: Path, model: nn.Module, inputs: Sequence[Tensor]) -> torch.jit.ScriptModule:
    """Write a model as TorchScript.

    Parameters
    ----------
    path : path
        Output file.
    model : Module
        In evaluation mode, on the CPU.
    inputs : sequence of tensor, shape (batch, channels, *spatial)
        Inputs of different shapes: the first is traced, all are compared.

    Returns
    -------
    ScriptModule
        The traced model.

    Raises
    ------
    BadInput
        If the output of the file differs from that of the model.
    """
    traced = trace(model, inputs[0])
    traced.save(str(path))
    loaded = torch.jit.load(str(path))
    compare_outputs(path, model, lambda x: loaded(x).numpy(), inputs)
    return traced


def trace(model: nn.Module, example: Tensor) -> torch.jit.ScriptModule:
    """Trace a model on an example input, shape (batch, channels, *spatial); batch and spatial sizes stay variable."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # a warning for every size that is read; the files are compared instead
        return torch.jit.trace(model, example, check_trace=False)


def write_whole(path: Path, traced: torch.jit.ScriptModule, geometry: Geometry, example: Tensor) -> WholeImageModel:
    """Write a traced model as TorchScript that takes images of any size.

    Parameters
    ----------
    path : path
        Output file.
    traced : ScriptModule
        From `trace`.
    geometry : Geometry
    example : tensor, shape (batch, channels, *spatial)
        Input on which the file and the model are compared.

    Raises
    ------
    BadInput
        If the output of the file differs from that of the model.
    """
    whole = WholeImageModel(traced, geometry)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        scripted = torch.jit.script(whole)
    scripted.save(str(path))
    loaded = torch.jit.load(str(path))
    compare_outputs(path, whole, lambda x: loaded(x).numpy(), [example, example[..., :-1]])
    return whole


def write_onnx(
    path: Path, traced: torch.jit.ScriptModule, model: nn.Module, inputs: Sequence[Tensor], notes: dict[str, str]
) -> None:
    """Write a traced model as ONNX, with variable batch and spatial sizes.

    Parameters
    ----------
    path : path
        Output file.
    traced : ScriptModule
        From `trace`.
    model : Module
        The model that was traced, in evaluation mode, on the CPU.
    inputs : sequence of tensor, shape (batch, channels, *spatial)
        Inputs on which the file and the model are compared.
    notes : dict of str
        Metadata of the file.

    Raises
    ------
    BadInput
        If the output of ONNX Runtime differs from that of the model.
    """
    import onnx
    import onnxruntime

    example = inputs[0]
    axes = dict(enumerate(("batch", "channel", *DYNAMIC_AXES[example.dim() - 2])))
    del axes[1]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traced, (example,), str(path), opset_version=OPSET, input_names=[INPUT], output_names=[OUTPUT],
            dynamic_axes={INPUT: axes, OUTPUT: {axis: f"{name}_out" for axis, name in axes.items()}}, dynamo=False,
        )  # fmt: skip
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, notes)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    compare_outputs(path, model, lambda x: session.run([OUTPUT], {INPUT: x.numpy()})[0], inputs)


def compare_outputs(
    path: Path, model: nn.Module, run: Callable[[Tensor], np.ndarray], inputs: Sequence[Tensor]
) -> None:
    """Compare the class probabilities of a model with those of its exported file.

    Parameters
    ----------
    path : path
        The exported file, for error messages.
    model : Module
    run : function
        Runs the exported file on an input.
    inputs : sequence of tensor, shape (batch, channels, *spatial)

    Raises
    ------
    BadInput
        If the shapes differ, or a probability differs by more than `EXPORT_TOLERANCE`.
    """
    remedy = "export another format: --format, and report this error to the developers"
    for example in inputs:
        with torch.inference_mode():
            expected, output = model(example).numpy(), run(example)
        size = "x".join(map(str, example.shape))
        if output.shape != expected.shape:
            found = f"an output of shape {output.shape} for an input of {size}"
            raise BadInput(path, found, f"{expected.shape}", remedy)
        difference = float(np.abs(output - expected).max())
        if not difference <= EXPORT_TOLERANCE:
            found = f"probabilities for an input of {size} that differ by {difference:.2g}"
            raise BadInput(path, found, f"at most {EXPORT_TOLERANCE:g}, as the network computes", remedy)
