"""The whole config, and the part of it that is passed to commands as JSON."""

import json
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

from snakeseg.errors import BadInput
from snakeseg.settings.keys import build_section, key
from snakeseg.settings.networks import Network, UNetSettings, network_settings
from snakeseg.settings.sections import (
    Augment,
    Export,
    Instances,
    Labels,
    Predict,
    Prepare,
    Simulate,
    Weigh,
)
from snakeseg.settings.training import Loss, Train

# Pattern of names that become parts of folder names.
RUN_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
SECTIONS: dict[str, type] = {
    "labels": Labels,
    "simulate": Simulate,
    "prepare": Prepare,
    "augment": Augment,
    "weigh": Weigh,
    "network": Network,
    "loss": Loss,
    "train": Train,
    "predict": Predict,
    "instances": Instances,
    "export": Export,
}
# Sections that an experiment can override.
EXPERIMENT_SECTIONS = ("network", "loss", "train", "predict", "instances")


@dataclass(frozen=True, kw_only=True)
class Overridable:
    """Sections that an experiment can override."""

    network: Network = field(default_factory=UNetSettings)
    loss: Loss = field(default_factory=Loss)
    train: Train = field(default_factory=Train)
    predict: Predict = field(default_factory=Predict)
    instances: Instances = field(default_factory=Instances)


@dataclass(frozen=True, kw_only=True)
class Experiment(Overridable):
    """Settings of an experiment, and the name of the experiment whose weights it starts from."""

    start_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class Settings(Overridable):
    """The part of the config that is passed to commands."""

    spatial_dims: Literal[2, 3] = key(2, "number of spatial axes of the images: 2 or 3")
    folds: int = key(
        1,
        "number of cross-validation folds; groups are dealt to them in the order of the sheet; 1 trains a single model",
        minimum=1,
    )
    validation: list[str] = key(
        [], "with a single fold: patterns (`*`, `?`, `[0-3]`) of sample names to hold out; by default every fifth group"
    )
    labels: Labels = field(default_factory=Labels)
    simulate: Simulate = field(default_factory=Simulate)
    prepare: Prepare = field(default_factory=Prepare)
    augment: Augment = field(default_factory=Augment)
    weigh: Weigh = field(default_factory=Weigh)
    export: Export = field(default_factory=Export)
    experiments: dict[str, Experiment] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Keys on the run as a whole: its name, inputs, threads, folds and seeds."""

    name: str = key(MISSING, "name of the run; results go to `results/NAME`", pattern=RUN_NAME)
    sheet: str = key(MISSING, "path of the sample sheet, from the working folder")
    data: str | None = key(None, "folder that relative paths in the sheet start from; by default the sheet's folder")
    model: str | None = key(
        None,
        "folder of a trained model: `snakemake predict` labels the sheet's images, or those of `images`, with it, and "
        "nothing is trained; see [docs/how-to/predict.md](../docs/how-to/predict.md)",
    )
    images: str | None = key(None, "with `model`, in place of a sheet: a folder of images, or a pattern of paths")
    threads: Literal["auto"] | int = key(
        "auto",
        "number of compute threads in training and prediction; the same number gives bitwise equal results, whatever "
        "`--cores` is; `auto`: the cores of this machine, at most eight",
        minimum=1,
    )
    fold: Literal["all"] | int = key("all", "number (from 0) of the only fold to train and score, or `all`", minimum=0)
    seeds: list[int] = key(
        [],
        "seeds to repeat each experiment with, as `EXPERIMENT.seed-SEED`; the report shows the spread of the scores",
        uniqueItems=True, minimum=0,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Config(Settings, Run):
    """The whole config; its experiments are the mappings of overrides in the file."""

    simulate: Simulate | None = None
    experiments: dict[str, dict[str, Any] | None] = field(default_factory=dict)


def read_settings(text: str) -> Settings:
    """Parse the settings of a command from JSON and fill in defaults.

    Raises
    ------
    BadInput
        If the text is not JSON, a section or key is unknown, or a value does not fit its key.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        remedy = "pass the sections of a config as one JSON object"
        raise BadInput("settings", f"no JSON ({error})", "sections of the config", remedy) from error
    return _build_sections(Settings, values, "")


def read_config(values: dict[str, Any]) -> Config:
    """Build a config from a mapping and fill in defaults; errors as in `build_section`."""
    return _build_sections(Config, values, "")


def _build_sections(cls: type, values: Any, where: str):
    """Build an object of type `cls` with its sections; `where` is the path of the experiment, or "" for the config."""
    if not isinstance(values, dict):
        raise BadInput(where or "settings", type(values).__name__, "sections with keys", "write it as a mapping")
    built = dict(values)
    for name in built.keys() & SECTIONS.keys():
        path = f"{where}.{name}" if where else name
        if name == "network":
            built[name] = network_settings(built[name], path)
        elif built[name] is not None or name != "simulate":
            built[name] = build_section(SECTIONS[name], built[name], path)
    if cls is Settings and isinstance(built.get("experiments"), dict):
        built["experiments"] = {
            name: _build_sections(Experiment, overrides, f"experiments.{name}")
            for name, overrides in built["experiments"].items()
        }
    return build_section(cls, built, where or "settings")
