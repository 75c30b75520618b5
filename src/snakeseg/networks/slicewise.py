"""Networks of planes on volumes: slice by slice."""

import torch
from torch import nn
from torch.nn import functional

from snakeseg.networks.geometry import Geometry


class SliceWise(nn.Module):
    """A network of two axes applied to every slice of a volume by itself.

    Parameters
    ----------
    network : Module
        From (batch, channels, *plane) to (batch, classes, *plane).
    axis : int
        Spatial axis across which slices are cut.
    geometry : Geometry
        Of the whole, for volumes.
    """

    def __init__(self, network: nn.Module, axis: int, geometry: Geometry):
        super().__init__()
        self.network, self.axis, self.geometry = network, axis + 2, geometry

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """(batch, channels, *spatial) to (batch, classes, *spatial), as the network's own along all three axes."""
        # Slices of the halo are not worked on; those of a padded network, which has none in training, become zeros.
        halo, size = self.geometry.halo[self.axis - 2], volume.shape[self.axis]
        if self.geometry.padded and (self.training or size <= 2 * halo):
            halo = 0
        inner = volume.narrow(self.axis, halo, size - 2 * halo).movedim(self.axis, 1)
        planes = inner.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        found = self.network(planes)
        found = found.reshape(*inner.shape[:2], *found.shape[1:])
        if self.geometry.padded:
            found = functional.pad(found, (0,) * 6 + (halo, halo))
        return found.movedim(1, self.axis)
