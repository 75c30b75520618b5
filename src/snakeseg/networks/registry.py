"""The one list of networks: how each is built and what it asks of its input."""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from snakeseg.networks.unet import UNet, unet_geometry
from snakeseg.settings import Network, did_you_mean
from snakeseg.tiling import Geometry


class Entry(NamedTuple):
    """`build(dims, channels, classes, settings)` makes the network, `geometry(settings)` tells its halo."""

    build: Callable[[int, int, int, Network], nn.Module]
    geometry: Callable[[Network], Geometry]


NETWORKS = {
    "unet": Entry(UNet, unet_geometry),
}


def entry(settings: Network) -> Entry:
    """The registered network of this name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if settings.name not in NETWORKS:
        raise ValueError(
            f"network.name {settings.name!r}; expected one of {list(NETWORKS)}; {did_you_mean(settings.name, NETWORKS)}"
        )
    return NETWORKS[settings.name]
