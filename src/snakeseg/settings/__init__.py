"""Sections of the config as frozen dataclasses: the source of all keys, types, defaults, limits and descriptions.

`python docs/generate.py` derives the workflow's schema and the tables of `config/README.md` from them.
"""

from snakeseg.settings.config import (
    EXPERIMENT_SECTIONS,
    SECTIONS,
    Config,
    Experiment,
    Run,
    Settings,
    read_config,
    read_settings,
)
from snakeseg.settings.keys import build_section, describe_kind, is_valid
from snakeseg.settings.networks import (
    NETWORK_SETTINGS,
    ContextSettings,
    DynUNetSettings,
    FCNSettings,
    Network,
    SegResNetSettings,
    UNetSettings,
    network_settings,
)
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
from snakeseg.settings.training import Loss, Train, patch_sides

__all__ = [
    "EXPERIMENT_SECTIONS",
    "NETWORK_SETTINGS",
    "SECTIONS",
    "Augment",
    "Config",
    "ContextSettings",
    "DynUNetSettings",
    "Experiment",
    "Export",
    "FCNSettings",
    "Instances",
    "Labels",
    "Loss",
    "Network",
    "Predict",
    "Prepare",
    "Run",
    "SegResNetSettings",
    "Settings",
    "Simulate",
    "Train",
    "UNetSettings",
    "Weigh",
    "build_section",
    "describe_kind",
    "is_valid",
    "network_settings",
    "patch_sides",
    "read_config",
    "read_settings",
]
