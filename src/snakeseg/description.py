"""What a model folder says of its model; torch only where the network is asked for: objects are cut without it."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.instances import Parameters
from snakeseg.io.packages import extract
from snakeseg.pruning import Kept
from snakeseg.settings import Labels, Network, Predict, Prepare, build, network_settings
from snakeseg.symmetry import Symmetry, any_symmetry
from snakeseg.tiling import Geometry

WEIGHTS, DESCRIPTION, PARAMETERS = "model.safetensors", "model.json", "instances.json"
GOLDEN = "golden.safetensors"


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
    symmetry: Symmetry | None = None  # any, of models from before this was noted

    @property
    def geometry(self) -> Geometry:
        """Halo and stride multiple of the network."""
        from snakeseg.networks.registry import geometry_of

        return geometry_of(self.network)

    @property
    def classes(self) -> int:
        """Channels of the logits."""
        return len(self.labels.classes) + (self.network.border > 0)

    @property
    def averaged(self) -> Symmetry:
        """The flips and turns that probabilities are averaged over."""
        return (self.symmetry or any_symmetry(self.dims)) if self.predict.average else Symmetry()

    def make_network(self):
        """The network, freshly initialised."""
        from snakeseg.networks.registry import make_network

        return make_network(self.dims, self.channels, self.classes, self.network)


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
        dims = values["dims"]
        symmetry = values.get("symmetry")
        symmetry = symmetry and Symmetry(tuple(symmetry["flips"]), symmetry["plane"] and tuple(symmetry["plane"]))
        noted = {"statistics": values["statistics"], "spacing": values.get("spacing"), "symmetry": symmetry}
        return Description(dims, values["channels"], **noted, **made)
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(path, f"{type(error).__name__} {error}", "a model's description", "train it again") from error


def model_folders(folder: Path, numbers: Sequence[int] | None = None) -> list[Path]:
    """The folder itself, or its fold-* folders (all, or those of these numbers) if it holds an experiment's models."""
    if numbers is not None:
        return [folder / f"fold-{number}" for number in numbers]
    folds = sorted(folder.glob("fold-*"), key=lambda path: int(path.name.removeprefix("fold-")))
    folds = [path for path in folds if (path / DESCRIPTION).exists()]
    return folds if folds and not (folder / DESCRIPTION).exists() else [folder]


@contextmanager
def model_at(path: Path) -> Iterator[Path]:
    """The folder of a model; of a package that was exported, one that lasts as long as the block.

    Raises
    ------
    BadInput
        If the file is no such package.
    """
    if not path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="snakeseg-") as scratch:
        folder = Path(scratch, path.name)  # messages name it
        folder.mkdir()
        extract(path, (DESCRIPTION, WEIGHTS, GOLDEN, PARAMETERS), (DESCRIPTION, WEIGHTS), folder)
        yield folder


def load_parameters(folder: Path, labels: Labels) -> Parameters | dict[str, Kept]:
    """How the model's probabilities are cut into objects, or what is kept of each class; defaults if never chosen."""
    path = folder / PARAMETERS
    semantic = labels.kind == "semantic"
    if not path.is_file():
        return {} if semantic else Parameters()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not semantic:
            return build(Parameters, found["chosen"], str(path))
        return {name: build(Kept, found["classes"][name]["chosen"], str(path)) for name in found.get("classes", {})}
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(path, f"{type(error).__name__} {error}", "object parameters", "tune it again") from error
