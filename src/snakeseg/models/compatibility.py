"""Whether networks fit the images, before any of them is trained."""

from pathlib import Path

import pandas as pd
import torch

from snakeseg.errors import BadInput, collect
from snakeseg.models.pretrained import matching, read_state
from snakeseg.networks.geometry import along_axes
from snakeseg.networks.registry import geometry_of, make_network
from snakeseg.settings import Experiment, Labels, Network


def check_networks(experiments: dict[str, Experiment], facts: pd.DataFrame, dims: int, labels: Labels) -> list[str]:
    """Return the problems of the experiments' networks: settings, depth for the images, weights to start from.

    Parameters
    ----------
    experiments : dict
        By name.
    facts : DataFrame
        From `inspect`.
    dims : int
    labels : Labels
    """
    problems: list[str] = []
    made: dict[str, torch.nn.Module] = {}
    for name, experiment in experiments.items():
        where = f"experiment {name}, network"
        network = collect(problems, lambda s=experiment.network, w=where: _make(s, w, facts, dims, labels))
        if network is not None:
            made[name] = network
    for name, network in made.items():
        settings, start = experiments[name].network, experiments[name].start_from
        where = f"experiment {name}, network"
        collect(problems, lambda s=settings, w=where: _require_depth(s, facts, w))
        if start in made:
            given, where = made[start].state_dict(), f"experiment {name}, start_from {start}"
            collect(problems, lambda n=network, g=given, w=where: matching(n.state_dict(), g, w))
        elif settings.pretrained:
            path = Path(settings.pretrained)
            collect(problems, lambda n=network, p=path: matching(n.state_dict(), read_state(p), p))
    return problems


def _make(settings: Network, where: str, facts: pd.DataFrame, dims: int, labels: Labels) -> torch.nn.Module:
    """Make the network without its numbers, so that even the largest costs nothing."""
    channels = facts.get("channels", pd.Series(dtype=float)).dropna()
    if settings.border and labels.kind == "semantic":
        raise BadInput(where, "border with semantic labels", "instance or binary labels", "set network.border to 0")
    classes = len(labels.classes) + (settings.border > 0)
    try:
        with torch.device("meta"):
            return make_network(dims, int(channels.iloc[0]) if len(channels) else 1, classes, settings)
    except ValueError as error:
        found, _, expected = str(error).partition("; expected ")
        raise BadInput(where, found, expected or "settings that fit together", "correct the config") from error


def _require_depth(settings: Network, facts: pd.DataFrame, where: str) -> None:
    """Every image must leave a pixel at the deepest level."""
    for image in facts.dropna(subset="shape").itertuples() if "shape" in facts else ():
        shape = tuple(map(int, image.shape.split("x")))
        smallest = geometry_of(len(shape), settings).smallest
        if any(size < least for size, least in zip(shape, smallest, strict=True)):
            raise BadInput(
                where, f"an image of {image.shape} pixels ({image.path})",
                f"{along_axes(smallest)} or more along every axis at this depth", "lower network.depth",
            )  # fmt: skip
