"""The settings that an experiment used: those of its model, and the rest of the config with its overrides."""

import re
from dataclasses import asdict, dataclass

from snakeseg.evaluation.comparison import SEEDED
from snakeseg.models.description import Description
from snakeseg.settings import Config, Loss, Network, Predict, Train, build_section, network_settings
from snakeseg.transforms.flips import Symmetry, any_symmetry


@dataclass(frozen=True)
class UsedSettings:
    """Settings that an experiment used, for texts about it.

    Attributes
    ----------
    config : Config
        The config of the run; experiments cannot override the sections `labels`, `prepare`, `augment` and `weigh`.
    network, loss, train, predict : Network, Loss, Train, Predict
        Sections with the experiment's overrides; `train.patch` and `train.batch` are the numbers chosen for "auto".
    start : str or None
        Experiment whose weights the training started from.
    spacing : list of float or None
        Pixel size of the training images along each axis, in the unit of their files.
    drawn, averaged : Symmetry
        Flips and exchanges of axes drawn in training, and those that predictions are averaged over.
    """

    config: Config
    network: Network
    loss: Loss
    train: Train
    predict: Predict
    start: str | None
    spacing: list[float] | None
    drawn: Symmetry
    averaged: Symmetry

    @property
    def has_copies(self) -> bool:
        """True if elastically deformed copies of the training images were made."""
        return self.config.augment.copies > 0 and self.config.augment.std > 0

    @property
    def is_deformed_online(self) -> bool:
        """True if each patch was deformed elastically."""
        return self.train.elastic == "online" and self.config.augment.std > 0

    @property
    def has_weight_maps(self) -> bool:
        """True if the loss is weighted by the maps of `weigh`."""
        return self.loss.name in ("border", "dice")

    @property
    def is_weighted_by_class(self) -> bool:
        """True if the loss depends on the frequencies of the classes."""
        is_map_balanced = self.has_weight_maps and self.config.weigh.classes == "balanced"
        return is_map_balanced or self.loss.name == "balanced"

    @property
    def is_weighted_towards_borders(self) -> bool:
        """True if the loss has the border term of the weight map."""
        return self.has_weight_maps and self.config.weigh.w0 > 0


def used_settings(experiment: str, model: dict, config: Config) -> UsedSettings:
    """Return the settings that an experiment used.

    Parameters
    ----------
    experiment : str
        Name of the experiment, with the suffix of its seed if there are several.
    model : dict
        Content of model.json of a model of the experiment. Missing keys have their defaults.
    config : Config
        The config of the run.
    """
    overrides = config.experiments.get(re.sub(SEEDED, "", experiment)) or {}
    network = network_settings(model["network"])
    predict = build_section(Predict, model["predict"])
    symmetry = model.get("symmetry")
    symmetry = symmetry and Symmetry(tuple(symmetry["flips"]), symmetry["plane"] and tuple(symmetry["plane"]))
    spacing = model.get("spacing")
    description = Description(
        config.spatial_dims, model.get("channels", 1), config.labels, network, config.prepare, predict, None, spacing,
        symmetry,
    )  # fmt: skip
    return UsedSettings(
        config, network, Loss(**{**asdict(config.loss), **(overrides.get("loss") or {})}),
        build_section(Train, model["provenance"]["train"]), predict, overrides.get("start_from"), spacing,
        symmetry or any_symmetry(config.spatial_dims), description.averaged,
    )  # fmt: skip
