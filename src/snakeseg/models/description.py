"""Read the description of a model, model.json, and find model folders; torch is imported only to make the network."""

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
from snakeseg.settings import (
    Labels,
    Network,
    Predict,
    Prepare,
    build_section,
    describe_kind,
    is_valid,
    network_settings,
)
from snakeseg.transforms.flips import Symmetry, any_symmetry

WEIGHTS, DESCRIPTION, PARAMETERS = "model.safetensors", "model.json", "instances.json"
GOLDEN = "golden.safetensors"
DESCRIPTION_REMEDY = "copy the model folder again, or train it again: snakemake -R train"
# Type of each key of the description that is not a section of the settings.
KEY_TYPES = {
    "dims": Literal[2, 3],
    "channels": int,
    "network": dict[str, Any],
    "statistics": dict[str, Any] | None,
    "spacing": list[float] | None,
    "symmetry": dict[str, list[int] | None] | None,
}
# Minimum and maximum of each number; larger ones would exhaust the memory of any machine.
LIMITS = {
    "channels": (1, 10**4), "width": (1, 10**4), "depth": (1, 6), "border": (0, 10**4), "slices": (0, 2),
    "dilations": (1, 10**4), "flips": (0, 2), "plane": (0, 2), "scales": (1, 2), "spacing": (1e-12, 1e12),
}  # fmt: skip
# Maximum length of a list of numbers.
MAX_ENTRIES = 100


@dataclass(frozen=True)
class Description:
    """All that a model needs, besides its weights, to predict an image file.

    Parameters
    ----------
    dims : int
        Number of spatial axes, 2 or 3.
    channels : int
        Number of channels of the images.
    labels, network, prepare, predict : Labels, Network, Prepare, Predict
        Settings of the training run.
    statistics : dict or None
        Intensity statistics of the training images, for `prepare.scope: dataset`.
    spacing : list of float or None
        Pixel size of the training images along each axis, in the unit of their files.
    symmetry : Symmetry or None
        Flips and turns of the augmentation; None, meaning any, in models of early versions.
    """

    dims: int
    channels: int
    labels: Labels
    network: Network
    prepare: Prepare
    predict: Predict
    statistics: dict | None
    spacing: list[float] | None = None
    symmetry: Symmetry | None = None

    @property
    def geometry(self) -> Geometry:
        """Geometry of the network: halo, stride multiple, input sizes."""
        from snakeseg.networks.registry import geometry_of

        return geometry_of(self.dims, self.network)

    @property
    def classes(self) -> int:
        """Number of channels of the logits."""
        return len(self.labels.classes) + (self.network.border > 0)

    @property
    def averaged(self) -> Symmetry:
        """Flips and turns over which test-time augmentation averages probabilities."""
        if not self.predict.average:
            return Symmetry()
        symmetry = self.symmetry or any_symmetry(self.dims)
        can_turn = symmetry.plane and self.geometry.exchangeable(*symmetry.plane)
        return symmetry if can_turn else replace(symmetry, plane=None)

    def make_network(self):
        """Make the network with random initial weights."""
        from snakeseg.networks.registry import make_network

        return make_network(self.dims, self.channels, self.classes, self.network)


def load_description(folder: Path) -> Description:
    """Read and validate the description of a model folder.

    Raises
    ------
    BadInput
        If model.json is missing or invalid.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        remedy = "name the folder of a trained model: results/NAME/models/EXPERIMENT"
        raise BadInput(path, "no such file", "a model folder with model.json", remedy)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        _require_types(path, values)
        sections = {"labels": Labels, "prepare": Prepare, "predict": Predict}
        settings = {key: build_section(cls, values[key], f"{path}, {key}") for key, cls in sections.items()}
        settings["network"] = network_settings(values["network"], f"{path}, network")
        dims = values["dims"]
        symmetry = values.get("symmetry")
        symmetry = symmetry and Symmetry(tuple(symmetry["flips"]), symmetry["plane"] and tuple(symmetry["plane"]))
        others = {"statistics": values["statistics"], "spacing": values.get("spacing"), "symmetry": symmetry}
        numbers = {key: values[key] for key in ("channels", "spacing") if values.get(key) is not None}
        numbers |= values["network"] | (values.get("symmetry") or {}) | {"scales": settings["predict"].scales}
        _require_limits(path, numbers)
        return Description(dims, values["channels"], **others, **settings)
    except BadInput:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadInput(
            path, f"{type(error).__name__} {error}", "the description of a model", DESCRIPTION_REMEDY
        ) from error


def _require_types(path: Path, values: dict) -> None:
    """Raise BadInput if a key outside the sections of settings has a wrong type."""
    values = {"spacing": None, "symmetry": None, **values}
    for key, key_type in KEY_TYPES.items():
        if not is_valid(values[key], key_type):
            raise BadInput(f"{path}, {key}", f"{values[key]!r:.100}", describe_kind(key_type), DESCRIPTION_REMEDY)


def _require_limits(path: Path, numbers: dict) -> None:
    """Raise BadInput if a number is out of its range, a list is too long, or an axis is repeated."""
    for key, (minimum, maximum) in LIMITS.items():
        value = numbers.get(key)
        entries = value if isinstance(value, list) else [] if value is None else [value]
        if len(entries) > MAX_ENTRIES or (key in ("flips", "plane") and len(set(value or [])) < len(value or [])):
            expected = f"at most {MAX_ENTRIES} numbers, and no axis twice"
            raise BadInput(f"{path}, {key}", f"{value!r:.100}", expected, DESCRIPTION_REMEDY)
        for number in entries:
            if not minimum <= number <= maximum:
                raise BadInput(f"{path}, {key}", f"{number!r:.100}", f"{minimum} to {maximum}", DESCRIPTION_REMEDY)


def model_folders(folder: Path, numbers: Sequence[int] | None = None) -> list[Path]:
    """List the model folders of an experiment, or return the folder itself if it is a model folder.

    Parameters
    ----------
    folder : path
        A model folder, or the folder of an experiment with fold-* folders.
    numbers : sequence of int, optional
        Folds of the experiment to list; all by default.

    Returns
    -------
    list of path
    """
    if numbers is not None:
        return [folder / f"fold-{number}" for number in numbers]
    return file_names.list_fold_folders(folder)


@contextmanager
def model_at(path: Path) -> Iterator[Path]:
    """Provide a model folder; an exported package is extracted to a temporary folder for the `with` block.

    Parameters
    ----------
    path : path
        A model folder, or a package from `snakeseg export --format bioimageio`.

    Raises
    ------
    BadInput
        If a file is not such a package.
    """
    if not path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="snakeseg-") as scratch:
        folder = Path(scratch, path.name)  # error messages show this name
        folder.mkdir()
        extract(path, (DESCRIPTION, WEIGHTS, GOLDEN, PARAMETERS), (DESCRIPTION, WEIGHTS), folder)
        yield folder
