"""Read and write model folders: weights as safetensors, all else as JSON; nothing is unpickled."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from snakeseg import __version__
from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_file, write_text
from snakeseg.io.input_checks import require_kind
from snakeseg.models.description import DESCRIPTION, WEIGHTS, Description, load_description
from snakeseg.networks.blocks import to_device_layout

WEIGHTS_REMEDY = "copy the model folder again, or train it again: snakemake -R train"


def save_model(folder: Path, network: torch.nn.Module, description: Description, provenance: dict) -> None:
    """Write weights and description to a model folder, each atomically.

    Parameters
    ----------
    folder : path
    network : Module
    description : Description
    provenance : dict
        Origin of the model, in JSON types: settings, fold, digest.

    Raises
    ------
    BadInput
        If the disk is full.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in own_tensors(network).items()}
    try:
        with atomic_file(folder / WEIGHTS) as partial:
            save_file(state, partial)
    except SafetensorError as error:  # a full disk
        remedy = "free disk space, and run the same command again"
        raise BadInput(folder / WEIGHTS, str(error), "disk space for the weights", remedy) from error
    content = {"snakeseg": __version__, **asdict(description), "provenance": provenance}
    write_text(folder / DESCRIPTION, json.dumps(content, indent=1) + "\n")


def is_finished(folder: Path, digest: str) -> bool:
    """Return True if a model folder holds the complete results of the training with this digest."""
    try:
        stored = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["provenance"]["digest"]
    except (OSError, KeyError, TypeError, ValueError):
        return False
    return stored == digest and (folder / WEIGHTS).is_file() and (folder / "history.tsv").is_file()


def own_tensors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return parameters and buffers, each under its first name only: MONAI's networks register some layers twice."""
    state = network.state_dict()
    names = [name for name, _ in [*network.named_parameters(), *network.named_buffers()]]
    return {name: state[name] for name in names if name in state}


def load_model(folder: Path, device: torch.device) -> tuple[torch.nn.Module, Description]:
    """Load a model for prediction.

    Parameters
    ----------
    folder : path
        Model folder.
    device : torch.device
        Device of the network.

    Returns
    -------
    network : Module
        In evaluation mode, on `device`.
    description : Description

    Raises
    ------
    BadInput
        If the description is missing or invalid, or the weights are missing, damaged, not finite, or of another
        network than the description.
    """
    description = load_description(folder)
    path, expected = folder / WEIGHTS, "the weights that model.json describes"
    require_kind(path, False, expected, WEIGHTS_REMEDY)
    try:
        state = load_file(path)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadInput(path, " ".join(str(error).split())[:200], expected, WEIGHTS_REMEDY) from error
    try:
        with torch.device("meta"):  # allocates no memory, whatever size the settings state
            described = own_tensors(description.make_network())
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError) as error:
        cause = " ".join(str(error).split())[:200]
        raise BadInput(folder / DESCRIPTION, cause, "valid settings of a network", WEIGHTS_REMEDY) from error
    _require_equal_tensors(path, state, described, expected)
    network = description.make_network()
    network.load_state_dict(state, strict=False)
    return to_device_layout(network.eval(), device), description


def _require_equal_tensors(path: Path, state: dict, described: dict, expected: str) -> None:
    """Raise BadInput unless the stored tensors are finite and have the names and shapes of the described network."""
    if set(state) != set(described):
        names = sorted(set(state) ^ set(described))
        found = f"tensors {', '.join(names[:3])} only in one of model.safetensors and model.json"
        raise BadInput(path, found, expected, WEIGHTS_REMEDY)
    for name, tensor in described.items():
        if state[name].shape != tensor.shape:
            found = f"{name} of shape {tuple(state[name].shape)}, not {tuple(tensor.shape)}"
            raise BadInput(path, found, expected, WEIGHTS_REMEDY)
    for name, tensor in state.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise BadInput(path, f"NaN or infinite numbers in {name}", expected, WEIGHTS_REMEDY)
