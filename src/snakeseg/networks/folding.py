"""Networks for prediction: batch normalisation folded into the convolutions before it."""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from snakeseg.networks.blocks import BATCH_NORM, CONVOLUTION

_CONVOLUTIONS, _NORMS = tuple(CONVOLUTION.values()), tuple(BATCH_NORM.values())


def fold_normalisation(network: nn.Module) -> nn.Module:
    """In place: convolutions that batch normalisation follows in a sequence (as in our own networks) do both at once.

    Parameters
    ----------
    network : Module
        In evaluation mode, with its weights; its names of layers change.

    Returns
    -------
    Module
        The same.
    """
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for index in range(len(block) - 2, -1, -1):
            first, second = block[index], block[index + 1]
            if isinstance(first, _CONVOLUTIONS) and isinstance(second, _NORMS):
                block[index] = fuse_conv_bn_eval(first, second)
                del block[index + 1]
    return network
