"""What a model folder says of its model; torch only where the network is asked for: objects are cut without it."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from snakeseg.errors import BadInput
from snakeseg.io import file_names
from snakeseg.io.archives import extract
from snakeseg.networks.geometry import Geometry
from snakeseg.settings import Labels, Network, Predict, Prepare, build, fits, in_words, network_settings
from snakeseg.transforms.flips import Symmetry, any_symmetry

WEIGHTS, DESCRIPTION, PARAMETERS = "model.safetensors", "model.json", "instances.json"
GOLDEN = "golden.safetensors"
# What the description holds besides settings, and numbers beyond which it would ask for more than any machine has.
KINDS = {
    "dims": Literal[2, 3],
    "channels": int,
    "network": dict[str, Any],
    "statistics": dict[str, Any] | None,
    "spacing": list[float] | None,
    "symmetry": dict[str, list[int] | None] | None,
}
LIMITS = {
    "channels": (1, 10**4), "width": (1, 10**4), "depth": (1, 6), "border": (0, 10**4), "slices": (0, 2),
    "dilations": (1, 10**4), "flips": (0, 2), "plane": (0, 2), "scales": (1, 2), "spacing": (1e-12, 1e12),
}  # fmt: skip
MAX_ENTRIES = 100


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

        return geometry_of(self.dims, self.network)

    @property
    def classes(self) -> int:
        """Channels of the logits."""
        return len(self.labels.classes) + (self.network.border > 0)

    @property
    def averaged(self) -> Symmetry:
        """The flips and turns that probabilities are averaged over."""
        if not self.predict.average:
            return Symmetry()
        symmetry = self.symmetry or any_symmetry(self.dims)
        turns = symmetry.plane and self.geometry.exchangeable(*symmetry.plane)
        return symmetry if turns else replace(symmetry, plane=None)

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
        _require_kinds(path, values)
        parts = {"labels": Labels, "prepare": Prepare, "predict": Predict}
        made = {key: build(cls, values[key], f"{path}, {key}") for key, cls in parts.items()}
        made["network"] = network_settings(values["network"], f"{path}, network")
        dims = values["dims"]
        symmetry = values.get("symmetry")
        symmetry = symmetry and Symmetry(tuple(symmetry["flips"]), symmetry["plane"] and tuple(symmetry["plane"]))
        noted = {"statistics": values["statistics"], "spacing": values.get("spacing"), "symmetry": symmetry}
        numbers = {key: values[key] for key in ("channels", "spacing") if values.get(key) is not None}
        numbers |= values["network"] | (values.get("symmetry") or {}) | {"scales": made["predict"].scales}
        _require_limits(path, numbers)
        return Description(dims, values["channels"], **noted, **made)
    except BadInput:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadInput(path, f"{type(error).__name__} {error}", "a model's description", "train it again") from error


def _require_kinds(path: Path, values: dict) -> None:
    """Raise BadInput if what no settings hold is not of its type."""
    values = {"spacing": None, "symmetry": None, **values}
    for key, kind in KINDS.items():
        if not fits(values[key], kind):
            raise BadInput(
                f"{path}, {key}", f"{values[key]!r:.100}", in_words(kind), "get the model again, or train it again"
            )


def _require_limits(path: Path, numbers: dict) -> None:
    """Raise BadInput if a number is beyond what a model could have."""
    for key, (least, most) in LIMITS.items():
        found = numbers.get(key)
        numbers_of_key = found if isinstance(found, list) else [] if found is None else [found]
        if len(numbers_of_key) > MAX_ENTRIES or (
            key in ("flips", "plane") and len(set(found or [])) < len(found or [])
        ):
            raise BadInput(
                f"{path}, {key}", f"{found!r:.100}", f"at most {MAX_ENTRIES} numbers, and no axis twice",
                "get the model again, or train it again",
            )  # fmt: skip
        for number in numbers_of_key:
            if not least <= number <= most:
                raise BadInput(
                    f"{path}, {key}", f"{number!r:.100}", f"{least} to {most}", "get the model again, or train it again"
                )


def model_folders(folder: Path, numbers: Sequence[int] | None = None) -> list[Path]:
    """Return the folder itself, or its fold-* folders (all, or those of these numbers) if it holds an experiment's."""
    if numbers is not None:
        return [folder / f"fold-{number}" for number in numbers]
    return file_names.model_folders(folder)


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
