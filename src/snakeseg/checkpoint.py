"""Trained models as folders: weights as safetensors, everything else as JSON; nothing is unpickled."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from snakeseg import __version__
from snakeseg.errors import BadInput
from snakeseg.instances import Parameters
from snakeseg.io.files import atomic_file, write_text
from snakeseg.networks.blocks import LAYOUT
from snakeseg.networks.registry import geometry_of, make_network
from snakeseg.settings import Labels, Network, Predict, Prepare, build, network_settings
from snakeseg.tiling import Geometry

WEIGHTS, DESCRIPTION, PARAMETERS = "model.safetensors", "model.json", "instances.json"


@dataclass(frozen=True)
class Description:
    """All that a model needs besides weights to predict a raw image."""

    dims: int
    channels: int
    labels: Labels
    network: Network
    prepare: Prepare
    predict: Predict
    statistics: dict | None
    spacing: list[float] | None = None

    @property
    def geometry(self) -> Geometry:
        """Halo and stride multiple of the network."""
        return geometry_of(self.network)

    @property
    def classes(self) -> int:
        """Channels of the logits."""
        return len(self.labels.classes) + (self.network.border > 0)

    def make_network(self) -> torch.nn.Module:
        """The network, freshly initialised."""
        return make_network(self.dims, self.channels, self.classes, self.network)


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


def load_description(folder: Path) -> Description:
    """The description of a model folder.

    Raises
    ------
    BadInput
        If there is none, or it is not understood.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise BadInput(path, "no such file", "a model folder with model.json", "give the folder of a trained model")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        parts = {"labels": Labels, "prepare": Prepare, "predict": Predict}
        made = {key: build(cls, values[key], f"{path}, {key}") for key, cls in parts.items()}
        made["network"] = network_settings(values["network"], f"{path}, network")
        noted = {"statistics": values["statistics"], "spacing": values.get("spacing")}
        return Description(values["dims"], values["channels"], **noted, **made)
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(path, f"{type(error).__name__} {error}", "a model's description", "train it again") from error


def load_model(folder: Path, device: torch.device) -> tuple[torch.nn.Module, Description]:
    """A model ready to predict, and its description; errors as in `load_description`, and for unfit weights."""
    description = load_description(folder)
    network = description.make_network()
    path = folder / WEIGHTS
    try:
        state = load_file(path)
        if set(state) != set(own_tensors(network)):
            names = sorted(set(state) ^ set(own_tensors(network)))
            raise RuntimeError(f"tensors {', '.join(names[:3])} on one side only")
        network.load_state_dict(state, strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        cause = " ".join(str(error).split())[:200]
        raise BadInput(path, cause, "the weights that model.json describes", "train it again") from error
    return network.eval().to(device, memory_format=LAYOUT[description.dims]), description


def model_folders(folder: Path) -> list[Path]:
    """The folder itself, or its fold-* folders if it holds an experiment's models."""
    folds = sorted(folder.glob("fold-*"), key=lambda path: int(path.name.removeprefix("fold-")))
    folds = [path for path in folds if (path / DESCRIPTION).exists()]
    return folds if folds and not (folder / DESCRIPTION).exists() else [folder]


def load_parameters(folder: Path) -> Parameters | None:
    """How the model's probabilities are cut into objects; None if that was never chosen."""
    path = folder / PARAMETERS
    if not path.is_file():
        return None
    try:
        return build(Parameters, json.loads(path.read_text(encoding="utf-8"))["chosen"], str(path))
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(path, f"{type(error).__name__} {error}", "object parameters", "tune it again") from error
