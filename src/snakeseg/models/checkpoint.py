"""Trained models as folders: weights as safetensors, everything else as JSON; nothing is unpickled."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from snakeseg import __version__
from snakeseg.errors import BadInput
from snakeseg.io.files import atomic_file, require_kind, write_text
from snakeseg.models.description import DESCRIPTION, WEIGHTS, Description, load_description
from snakeseg.networks.blocks import lay_out


def save_model(folder: Path, network: torch.nn.Module, description: Description, provenance: dict) -> None:
    """Write weights and description, each atomically."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in own_tensors(network).items()}
    try:
        with atomic_file(folder / WEIGHTS) as beside:
            save_file(state, beside)
    except SafetensorError as error:  # a full disk
        raise BadInput(folder / WEIGHTS, str(error), "space for the weights", "free some and run again") from error
    text = {"snakeseg": __version__, **asdict(description), "provenance": provenance}
    write_text(folder / DESCRIPTION, json.dumps(text, indent=1) + "\n")


def is_finished(folder: Path, digest: str) -> bool:
    """Whether a model folder holds the weights of the training of this digest."""
    try:
        noted = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["provenance"]["digest"]
    except (OSError, KeyError, TypeError, ValueError):
        return False
    return noted == digest and (folder / WEIGHTS).is_file() and (folder / "history.tsv").is_file()


def own_tensors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers, each under its first name only: MONAI's networks know some layers by two."""
    state = network.state_dict()
    names = [name for name, _ in [*network.named_parameters(), *network.named_buffers()]]
    return {name: state[name] for name in names if name in state}


def load_model(folder: Path, device: torch.device) -> tuple[torch.nn.Module, Description]:
    """A model ready to predict, and its description; errors as in `load_description`, and for unfit weights."""
    description = load_description(folder)
    path, expected = folder / WEIGHTS, "the weights that model.json describes"
    require_kind(path, False, expected, "train it again")
    try:
        state = load_file(path)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadInput(path, " ".join(str(error).split())[:200], expected, "train it again") from error
    try:
        with torch.device("meta"):  # costs nothing, whatever size it says
            wanted = own_tensors(description.make_network())
    except (ValueError, TypeError, KeyError, RuntimeError, OverflowError) as error:
        cause = " ".join(str(error).split())[:200]
        raise BadInput(folder / DESCRIPTION, cause, "settings of a network", "train it again") from error
    if set(state) != set(wanted):
        names = sorted(set(state) ^ set(wanted))
        raise BadInput(path, f"tensors {', '.join(names[:3])} on one side only", expected, "train it again")
    for name, tensor in wanted.items():
        if state[name].shape != tensor.shape:
            found = f"{name} of shape {tuple(state[name].shape)}, not {tuple(tensor.shape)}"
            raise BadInput(path, found, expected, "train it again")
    for name, tensor in state.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise BadInput(path, f"NaN or infinite numbers in {name}", expected, "train it again")
    network = description.make_network()
    network.load_state_dict(state, strict=False)
    return lay_out(network.eval(), device), description
