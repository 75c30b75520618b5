"""The one list of networks: how each is built, and its geometry."""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from snakeseg.networks.context import ContextNetwork, context_geometry
from snakeseg.networks.fcn import FCN, fcn_geometry
from snakeseg.networks.geometry import Geometry
from snakeseg.networks.monai_networks import dynunet, dynunet_geometry, segresnet, segresnet_geometry
from snakeseg.networks.slicewise import SliceWise
from snakeseg.networks.unet import UNet, unet_geometry
from snakeseg.settings import Network


class Entry(NamedTuple):
    """`build(dims, channels, classes, settings)` makes the network, `geometry(dims, settings)` its geometry."""

    build: Callable[..., nn.Module]
    geometry: Callable[..., Geometry]


# The settings of each are named in `snakeseg.settings.NETWORK_SETTINGS`.
NETWORKS = {
    "unet": Entry(UNet, unet_geometry),
    "fcn32s": Entry(FCN, fcn_geometry),
    "fcn16s": Entry(FCN, fcn_geometry),
    "fcn8s": Entry(FCN, fcn_geometry),
    "context": Entry(ContextNetwork, context_geometry),
    "dynunet": Entry(dynunet, dynunet_geometry),
    "segresnet": Entry(segresnet, segresnet_geometry),
}


def make_network(dims: int, channels: int, classes: int, settings: Network) -> nn.Module:
    """The network, freshly initialised; errors as in its own description, and if slices are wanted of planes."""
    build = NETWORKS[settings.name].build
    if settings.slices is None:
        return build(dims, channels, classes, settings)
    if dims != 3:
        raise ValueError(f"network.slices {settings.slices} in {dims}D; expected axis 0, 1 or 2 of volumes")
    return SliceWise(build(2, channels, classes, settings), settings.slices, geometry_of(dims, settings))


def geometry_of(dims: int, settings: Network) -> Geometry:
    """The geometry of a network of `dims` spatial axes."""
    return NETWORKS[settings.name].geometry(dims, settings)
