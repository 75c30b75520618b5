"""Registry of networks: for each name, the functions that make the network and its geometry."""

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


class RegisteredNetwork(NamedTuple):
    """Functions of a registered network.

    Parameters
    ----------
    build : function
        ``build(dims, channels, classes, settings)`` makes the network.
    geometry : function
        ``geometry(dims, settings)`` returns its geometry.
    """

    build: Callable[..., nn.Module]
    geometry: Callable[..., Geometry]


# The settings class of each network is in `snakeseg.settings.NETWORK_SETTINGS`.
NETWORKS = {
    "unet": RegisteredNetwork(UNet, unet_geometry),
    "fcn32s": RegisteredNetwork(FCN, fcn_geometry),
    "fcn16s": RegisteredNetwork(FCN, fcn_geometry),
    "fcn8s": RegisteredNetwork(FCN, fcn_geometry),
    "context": RegisteredNetwork(ContextNetwork, context_geometry),
    "dynunet": RegisteredNetwork(dynunet, dynunet_geometry),
    "segresnet": RegisteredNetwork(segresnet, segresnet_geometry),
}


def make_network(dims: int, channels: int, classes: int, settings: Network) -> nn.Module:
    """Make a freshly initialised network.

    Parameters
    ----------
    dims : int
        Number of spatial dimensions of the images.
    channels, classes : int
        Number of channels of the image and of the logits.
    settings : Network
        Settings of a registered network.

    Returns
    -------
    Module
        Network from images (batch, channels, *spatial) to logits (batch, classes, *spatial).

    Raises
    ------
    ValueError
        If a setting has an unknown value, the network does not support `dims`, or `settings.slices` is set for planes.
    """
    build = NETWORKS[settings.name].build
    if settings.slices is None:
        return build(dims, channels, classes, settings)
    if dims != 3:
        raise ValueError(f"network.slices {settings.slices} in {dims}D; expected axis 0, 1 or 2 of volumes")
    return SliceWise(build(2, channels, classes, settings), settings.slices, geometry_of(dims, settings))


def geometry_of(dims: int, settings: Network) -> Geometry:
    """Return the geometry of a registered network for images of `dims` spatial axes."""
    return NETWORKS[settings.name].geometry(dims, settings)
