"""Pieces that networks are composed of, in one, two or three dimensions."""

import math

import torch
from torch import nn

CONVOLUTION = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLING = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
NORMALISATIONS = ("none", "batch")
# Running statistics must average over many patches: PyTorch's 0.1 is a mean of the last ten, too few at batch 1.
BATCH_NORM_MOMENTUM = 0.02


def double_convolution(dims: int, inputs: int, outputs: int, normalisation: str) -> nn.Sequential:
    """Two unpadded 3-wide convolutions, each followed by (batch normalisation and) ReLU."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers.append(CONVOLUTION[dims](channels, outputs, 3))
        if normalisation == "batch":
            layers.append(BATCH_NORM[dims](outputs, momentum=BATCH_NORM_MOMENTUM))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def crop_to(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The centre of `x`, of the spatial shape of `like`."""
    centre = [slice(None), slice(None)]
    for have, want in zip(x.shape[2:], like.shape[2:], strict=True):
        start = (have - want) // 2
        centre.append(slice(start, start + want))
    return x[tuple(centre)]


def initialise_he(module: nn.Module) -> None:
    """Draw weights from N(0, sqrt(2 / N)), N the incoming nodes of one neuron (Ronneberger et al. 2015); biases 0.

    In a transposed convolution with stride equal to its kernel, one output pixel sees one input pixel.
    """
    for layer in module.modules():
        if isinstance(layer, tuple(CONVOLUTION.values())):
            incoming = layer.in_channels * math.prod(layer.kernel_size)
        elif isinstance(layer, tuple(TRANSPOSED.values())):
            incoming = layer.in_channels * math.prod(layer.kernel_size) // math.prod(layer.stride)
        else:
            continue
        nn.init.normal_(layer.weight, std=math.sqrt(2 / incoming))
        nn.init.zeros_(layer.bias)
