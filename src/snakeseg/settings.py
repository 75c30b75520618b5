"""Settings of every step as frozen dataclasses; the same defaults stand in `workflow/schemas/config.schema.yaml`."""

import json
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal, get_type_hints

from snakeseg.errors import BadInput
from snakeseg.kinds import fits, in_words


@dataclass(frozen=True)
class Labels:
    """What label files mean; see `config/README.md`."""

    kind: Literal["semantic", "instance", "binary"] = "instance"
    values: dict[str, int] = field(default_factory=lambda: {"background": 0, "foreground": 1})
    ignore: int | None = None

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the network's outputs."""
        return list(self.values) if self.kind == "semantic" else ["background", "foreground"]


@dataclass(frozen=True)
class Simulate:
    images: int = 24
    size: int = 256
    cells: int = 40
    seed: int = 0


@dataclass(frozen=True)
class Prepare:
    normalise: Literal["percentile", "zscore", "none"] = "percentile"
    scope: Literal["image", "dataset"] = "image"
    low: float = 1.0
    high: float = 99.8
    spacing: list[float] | str | None = None
    crop: bool = False


@dataclass(frozen=True)
class Augment:
    copies: int = 4
    grid: int = 3
    std: float = 10.0
    seed: int = 0


@dataclass(frozen=True)
class Weigh:
    w0: float = 10.0
    sigma: float = 5.0
    classes: str = "balanced"


@dataclass(frozen=True, kw_only=True)
class Network:
    """What every network has; each adds settings of its own."""

    name: str
    border: int = 0
    pretrained: str | None = None
    slices: int | None = None


@dataclass(frozen=True, kw_only=True)
class UNetSettings(Network):
    name: str = "unet"
    width: int = 64
    depth: int = 4
    padded: bool = False
    decoder: str = "transposed"
    skips: str = "concat"
    normalisation: str = "none"
    dropout: float = 0.5


@dataclass(frozen=True, kw_only=True)
class FCNSettings(Network):
    name: str = "fcn8s"
    width: int = 64
    deconvolutions: str = "paper"
    at_once: bool = False
    normalisation: str = "none"
    dropout: float = 0.5


@dataclass(frozen=True, kw_only=True)
class ContextSettings(Network):
    name: str = "context"
    width: int = 32
    dilations: list[int] = field(default_factory=lambda: [1, 1, 2, 4, 8, 16, 1])
    normalisation: str = "none"


@dataclass(frozen=True, kw_only=True)
class DynUNetSettings(Network):
    name: str = "dynunet"
    width: int = 32
    depth: int = 4
    normalisation: str = "batch"
    dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SegResNetSettings(Network):
    name: str = "segresnet"
    width: int = 16
    depth: int = 3
    normalisation: str = "batch"
    dropout: float = 0.0


NETWORK_SETTINGS: dict[str, type[Network]] = {
    "unet": UNetSettings,
    "fcn32s": FCNSettings,
    "fcn16s": FCNSettings,
    "fcn8s": FCNSettings,
    "context": ContextSettings,
    "dynunet": DynUNetSettings,
    "segresnet": SegResNetSettings,
}


@dataclass(frozen=True)
class Loss:
    name: str = "border"


@dataclass(frozen=True)
class Train:
    steps: int = 2000
    minutes: float | None = None
    batch: int | str = 1
    patch: int | list[int] | str = 388
    optimiser: str = "sgd"
    learning_rate: float = 0.001
    momentum: float = 0.99
    weight_decay: float = 0.0
    schedule: str = "poly"
    clip: float = 0.0
    accumulate: int = 1
    processes: int = 1
    select: str = "last"
    state_seconds: float = 60.0
    precision: str = "auto"
    compile: bool = False
    cache_gb: float | None = None
    tensorboard: bool = False
    foreground: float = 0.0
    balanced: bool = False
    elastic: str = "copies"
    flips: bool | list[int] = True
    turns: bool = True
    brightness: float = 0.1
    contrast: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class Predict:
    average: bool = True
    scales: list[float] = field(default_factory=lambda: [1.0])
    tile: int | str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    spacing: Literal["refuse", "resample", "ignore"] = "refuse"
    keep_probabilities: bool = False
    uncertainty: bool = False


@dataclass(frozen=True)
class Instances:
    select_by: str = "ap_0.50"
    thresholds: list[float] = field(default_factory=lambda: [0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    cores: list[float] = field(default_factory=lambda: [0.7, 0.8, 0.9, 0.95])
    depths: list[float] = field(default_factory=lambda: [1.0, 2.0, 4.0])
    smallest: list[int] = field(default_factory=lambda: [0, 10, 20, 40, 80])
    fill_holes: bool = False
    drop_at_edge: bool = False


@dataclass(frozen=True)
class Export:
    """What an exported model says of itself beyond what is known of its training."""

    title: str | None = None
    description: str | None = None
    licence: str | None = None
    authors: list[str] = field(default_factory=list)
    cite: list[str] = field(default_factory=list)


def sides(patch: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """Of a patch, along each axis.

    Raises
    ------
    BadInput
        If there are others than one, or one per axis.
    """
    if isinstance(patch, int):
        return (patch,) * dims
    if len(patch) != dims:
        raise BadInput("train.patch", f"{len(patch)} numbers", f"one, or {dims}, one per axis", "correct it")
    return tuple(patch)


def build(cls: type, values: dict[str, Any], where: str = "settings"):
    """A settings object from a mapping.

    Raises
    ------
    BadInput
        If a key is unknown, a required one is missing, or a value of another type than the key's.
    """
    if not isinstance(values, dict):
        raise BadInput(where, type(values).__name__, "keys with values", "correct it")
    known = {f.name: f for f in fields(cls)}
    for key in values:
        if key not in known:
            raise BadInput(where, f"unknown key '{key}'", f"one of {', '.join(known)}", did_you_mean(key, known))
    missing = [k for k, f in known.items() if f.default is MISSING and f.default_factory is MISSING and k not in values]
    if missing:
        raise BadInput(where, f"no {', '.join(missing)}", f"{cls.__name__} settings", "add the missing keys")
    kinds = get_type_hints(cls)
    for key, value in values.items():
        if not fits(value, kinds[key]):
            raise BadInput(f"{where}, {key}", f"{value!r:.100}", in_words(kinds[key]), "correct the value of this key")
    return cls(**values)


def network_settings(values: dict[str, Any], where: str = "network") -> Network:
    """The settings of the network of this name; errors as in `build`, and for an unknown name."""
    name = values.get("name", "unet") if isinstance(values, dict) else "unet"
    if name not in list(NETWORK_SETTINGS):
        known = list(NETWORK_SETTINGS)
        raise BadInput(f"{where}.name", f"'{name}'", f"one of {', '.join(known)}", did_you_mean(name, known))
    return build(NETWORK_SETTINGS[name], values, where)


def did_you_mean(word: str, known) -> str:
    """A remedy for a misspelt word."""
    close = get_close_matches(str(word), [str(k) for k in known], n=1)
    return f"did you mean '{close[0]}'?" if close else "remove it"


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


PLAIN: dict[str, Any] = {"spatial_dims": 2, "folds": 1, "validation": [], "networks": {}, "starts": {}, "plans": {}}


def read_sections(text: str) -> dict[str, Any]:
    """Sections of the config as JSON text, each as its settings object; what is left out takes its default.

    Raises
    ------
    BadInput
        If a section or a key in it is unknown.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise BadInput("settings", f"no JSON ({error})", "sections of the config", "correct it") from error
    if not isinstance(values, dict):
        raise BadInput("settings", type(values).__name__, "sections of the config", "correct it")
    for key in values:
        if key not in SECTIONS and key not in PLAIN:
            raise BadInput("settings", f"unknown section '{key}'", ", ".join([*SECTIONS, *PLAIN]), "remove it")
    sections = {
        key: network_settings(values.get(key, {})) if cls is Network else build(cls, values.get(key, {}), key)
        for key, cls in SECTIONS.items()
    }
    return {**sections, **PLAIN, **{key: value for key, value in values.items() if key in PLAIN}}
