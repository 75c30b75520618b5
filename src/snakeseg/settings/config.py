"""The config as a whole, and the part of it that a command is given."""

import json
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

from snakeseg.errors import BadInput
from snakeseg.settings.keys import build, key
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

# What becomes part of the names of folders.
NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
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
    """The sections that experiments may set for themselves."""

    network: Network = field(default_factory=UNetSettings)
    loss: Loss = field(default_factory=Loss)
    train: Train = field(default_factory=Train)
    predict: Predict = field(default_factory=Predict)
    instances: Instances = field(default_factory=Instances)


@dataclass(frozen=True, kw_only=True)
class Experiment(Overridable):
    """The settings of one experiment, and the experiment whose weights it starts from."""

    start_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class Settings(Overridable):
    """The part of the config that commands are given."""

    spatial_dims: Literal[2, 3] = key(2, "number of spatial axes of the images: 2 or 3")
    folds: int = key(
        1,
        "folds of cross-validation; groups are dealt to them in the order of the sheet; 1 trains one model",
        minimum=1,
    )
    validation: list[str] = key(
        [], "with one fold: patterns (`*`, `?`, `[0-3]`) of sample names to hold out; by default every fifth group"
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
    """The keys that name and place a run, or make several trainings of one."""

    name: str = key(MISSING, "name of the run; results go to `results/NAME`", pattern=NAME)
    sheet: str = key(MISSING, "path of the sample sheet, from the working folder")
    data: str | None = key(None, "folder that relative paths in the sheet start from; by default the sheet's folder")
    model: str | None = key(
        None,
        "folder of a trained model: `snakemake predict` then labels the sheet's images, or those of `images`, and "
        "nothing is trained; see [docs/how-to/predict.md](../docs/how-to/predict.md)",
    )
    images: str | None = key(None, "with `model`, in place of a sheet: a folder of images, or a pattern")
    threads: Literal["auto"] | int = key(
        "auto",
        "compute threads of training and predicting; the same number gives the same bits, whatever `--cores` says; "
        "`auto`: this machine's cores, eight at most",
        minimum=1,
    )
    fold: Literal["all"] | int = key(
        "all", "the number, from 0, of the one fold to train and score; or `all`", minimum=0
    )
    seeds: list[int] = key(
        [],
        "seeds to repeat every experiment with, as `EXPERIMENT.seed-SEED`; the report shows their spread",
        uniqueItems=True, minimum=0,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Config(Settings, Run):
    """A whole config, its experiments as the overrides that they are written as."""

    simulate: Simulate | None = None
    experiments: dict[str, dict[str, Any] | None] = field(default_factory=dict)


def read_settings(text: str) -> Settings:
    """Read settings from JSON; what is left out takes its default.

    Raises
    ------
    BadInput
        If it is no JSON, a section or key is unknown, or a value does not fit its key.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        remedy = "pass the sections of a config as one JSON object"
        raise BadInput("settings", f"no JSON ({error})", "sections of the config", remedy) from error
    return _build_sections(Settings, values, "")


def read_config(values: dict[str, Any]) -> Config:
    """Make a config of a mapping; what is left out takes its default, errors as in `build`."""
    return _build_sections(Config, values, "")


def _build_sections(cls: type, values: Any, where: str):
    """Make an object of sections; `where` names the experiment, if it is one's."""
    if not isinstance(values, dict):
        raise BadInput(where or "settings", type(values).__name__, "sections with keys", "write it as a mapping")
    made = dict(values)
    for name in made.keys() & SECTIONS.keys():
        place = f"{where}.{name}" if where else name
        if name == "network":
            made[name] = network_settings(made[name], place)
        elif made[name] is not None or name != "simulate":
            made[name] = build(SECTIONS[name], made[name], place)
    if cls is Settings and isinstance(made.get("experiments"), dict):
        experiments = made["experiments"].items()
        made["experiments"] = {name: _build_sections(Experiment, of, f"experiments.{name}") for name, of in experiments}
    return build(cls, made, where or "settings")
