"""Batch normalisation folded into the preceding convolutions, for prediction."""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from snakeseg.networks.blocks import BATCH_NORM, CONVOLUTION

_CONVOLUTIONS, _BATCH_NORMS = tuple(CONVOLUTION.values()), tuple(BATCH_NORM.values())


def fold_normalisation(network: nn.Module) -> nn.Module:
    """Fold batch normalisation into the convolution before it, in place, wherever both follow in a `Sequential`.

    Parameters
    ----------
    network : Module
        In evaluation mode, with its weights. The names of its layers change.

    Returns
    -------
    Module
        The same network.
    """
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for index in range(len(block) - 2, -1, -1):
            first, second = block[index], block[index + 1]
            if isinstance(first, _CONVOLUTIONS) and isinstance(second, _BATCH_NORMS):
                block[index] = fuse_conv_bn_eval(first, second)
                del block[index + 1]
    return network
