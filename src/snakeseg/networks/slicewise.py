"""Two-dimensional networks on volumes, slice by slice."""

import torch
from torch import nn
from torch.nn import functional

from snakeseg.networks.geometry import Geometry


class SliceWise(nn.Module):
    """Two-dimensional network that is applied to every slice of a volume independently.

    Parameters
    ----------
    network : Module
        Network from (batch, channels, *plane) to (batch, classes, *plane).
    axis : int
        Spatial axis across which the volume is sliced, counted from 0.
    geometry : Geometry
        Geometry for volumes, with three axes.
    """

    def __init__(self, network: nn.Module, axis: int, geometry: Geometry):
        super().__init__()
        self.network, self.axis, self.geometry = network, axis + 2, geometry

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        """Compute logits (batch, classes, *spatial) of a volume (batch, channels, *spatial).

        Sizes along all three axes are those that the geometry states.
        """
        # Slices of the halo are not computed. If the network pads, they become zeros; in training it has no halo.
        halo, size = self.geometry.halo[self.axis - 2], volume.shape[self.axis]
        if self.geometry.padded and (self.training or size <= 2 * halo):
            halo = 0
        inner = volume.narrow(self.axis, halo, size - 2 * halo).movedim(self.axis, 1)
        planes = inner.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        logits = self.network(planes)
        logits = logits.reshape(*inner.shape[:2], *logits.shape[1:])
        if self.geometry.padded:
            logits = functional.pad(logits, (0,) * 6 + (halo, halo))
        return logits.movedim(1, self.axis)
