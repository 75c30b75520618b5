"""Check before training that the networks of all experiments fit the images."""

from pathlib import Path

import pandas as pd
import torch

from snakeseg.errors import BadInput, collect
from snakeseg.models.pretrained import read_pretrained, select_matching
from snakeseg.networks.geometry import along_axes
from snakeseg.networks.registry import geometry_of, make_network
from snakeseg.settings import Experiment, Labels, Network


def check_networks(experiments: dict[str, Experiment], facts: pd.DataFrame, dims: int, labels: Labels) -> list[str]:
    """List the problems of the experiments' networks: settings, depth for the image sizes, initial weights.

    Parameters
    ----------
    experiments : dict of Experiment
        Experiments by name.
    facts : DataFrame
        One row per image, from `inspect_rows`: path, shape ("64x20", in pixels) and channels.
    dims : int
        Number of spatial axes.
    labels : Labels

    Returns
    -------
    list of str
        Error messages; empty if there are no problems.
    """
    problems: list[str] = []
    networks: dict[str, torch.nn.Module] = {}
    for name, experiment in experiments.items():
        where = f"experiment {name}, network"
        network = collect(problems, lambda s=experiment.network, w=where: _make_on_meta(s, w, facts, dims, labels))
        if network is not None:
            networks[name] = network
    for name, network in networks.items():
        settings, start = experiments[name].network, experiments[name].start_from
        where = f"experiment {name}, network"
        collect(problems, lambda s=settings, w=where: _require_depth(s, facts, w))
        if start in networks:
            weights, where = networks[start].state_dict(), f"experiment {name}, start_from {start}"
            collect(problems, lambda n=network, s=weights, w=where: select_matching(n.state_dict(), s, w))
        elif settings.pretrained:
            path = Path(settings.pretrained)
            collect(problems, lambda n=network, p=path: select_matching(n.state_dict(), read_pretrained(p), p))
    return problems


def _make_on_meta(settings: Network, where: str, facts: pd.DataFrame, dims: int, labels: Labels) -> torch.nn.Module:
    """Make the network on the meta device, which allocates no memory for its weights."""
    channels = facts.get("channels", pd.Series(dtype=float)).dropna()
    if settings.border and labels.kind == "semantic":
        raise BadInput(where, "border with semantic labels", "instance or binary labels", "set network.border to 0")
    classes = len(labels.classes) + (settings.border > 0)
    try:
        with torch.device("meta"):
            return make_network(dims, int(channels.iloc[0]) if len(channels) else 1, classes, settings)
    except ValueError as error:
        found, _, expected = str(error).partition("; expected ")
        remedy = "correct this key in the config"
        raise BadInput(where, found, expected or "settings that can be combined", remedy) from error


def _require_depth(settings: Network, facts: pd.DataFrame, where: str) -> None:
    """Raise BadInput if an image is too small for the network: no pixel would remain at the deepest level."""
    for image in facts.dropna(subset="shape").itertuples() if "shape" in facts else ():
        shape = tuple(map(int, image.shape.split("x")))
        smallest = geometry_of(len(shape), settings).smallest
        if any(size < minimum for size, minimum in zip(shape, smallest, strict=True)):
            raise BadInput(
                where, f"an image of {image.shape} pixels ({image.path})",
                f"{along_axes(smallest)} or more along every axis at this depth", "lower network.depth",
            )  # fmt: skip
