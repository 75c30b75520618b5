"""Narrow variants of every registered network, for tests of all networks."""

import torch
from torch import nn

from snakeseg.networks.registry import make_network
from snakeseg.settings import ContextSettings, DynUNetSettings, FCNSettings, SegResNetSettings, UNetSettings

# Spatial dimensions and settings.
NARROW = [
    *[(2, UNetSettings(width=4, depth=2, decoder=d, padded=p)) for d in ("transposed", "nearest", "bilinear", "unpool")
      for p in (False, True)],
    (2, UNetSettings(width=2, depth=4)),
    (2, UNetSettings(width=2, depth=4, padded=True)),
    (2, UNetSettings(width=2, depth=4, padded=True, decoder="bilinear")),
    (2, UNetSettings(width=4, depth=2, skips="sum", normalisation="batch")),
    (3, UNetSettings(width=2, depth=1)),
    (3, UNetSettings(width=2, depth=1, padded=True, decoder="nearest")),
    *[(2, FCNSettings(name=name, width=1)) for name in ("fcn32s", "fcn16s", "fcn8s")],
    (2, ContextSettings(width=4)),
    (3, ContextSettings(width=2, dilations=[1, 2, 1])),
    (3, UNetSettings(width=2, depth=1, slices=2)),
    (3, UNetSettings(width=2, depth=1, padded=True, decoder="nearest", slices=1)),
    (2, DynUNetSettings(width=4, depth=3)),
    (3, DynUNetSettings(width=2, depth=2)),
    (2, SegResNetSettings(width=4, depth=2)),
    (3, SegResNetSettings(width=2, depth=1)),
]  # fmt: skip


def name_of(value):
    """Return the test id of a parameter."""
    return f"{value.name}-{getattr(value, 'decoder', '')}" if hasattr(value, "name") else str(value)


def random_network(dims, settings, channels=1, classes=2):
    """Make a network with random weights, in float64 and evaluation mode.

    No layer is zero, and biases keep most units above the threshold of the activation.
    """
    torch.manual_seed(0)
    network = make_network(dims, channels, classes, settings).double().eval()
    with torch.no_grad():
        for name, value in [*network.named_parameters(), *network.named_buffers()]:
            if name.endswith(("bias", "running_mean")):
                value.uniform_(-0.2, 0.5)
            elif name.endswith("running_var") or (value.ndim == 1 and value.is_floating_point()):
                value.uniform_(0.5, 1.5)
            elif value.is_floating_point() and not value.any():
                nn.init.normal_(value)
    return network
