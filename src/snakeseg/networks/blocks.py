"""Pieces that networks are composed of, in one, two or three dimensions."""

import math
from collections.abc import Sequence

import torch
from torch import nn

CONVOLUTION = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLING = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE_NORM = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
# Layouts in memory, by spatial dimensions; in 3D with bfloat16 more than twice as fast as the usual one.
LAYOUT = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d}
NORMALISATIONS = ("none", "batch", "instance", "group")
# These take statistics of the tile, so that tiles no longer equal one pass over the whole.
TILE_STATISTICS = ("instance", "group")
# Running statistics must average over many patches: PyTorch's 0.1 is a mean of the last ten, too few at batch 1.
BATCH_NORM_MOMENTUM = 0.02


def lay_out(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on a device, the weights of its convolutions in the layout for their dimensions."""
    network.to(device)
    for weight in network.parameters():
        if weight.ndim - 2 in LAYOUT:
            weight.data = weight.data.contiguous(memory_format=LAYOUT[weight.ndim - 2])
    return network


def normalise(dims: int, channels: int, normalisation: str) -> list[nn.Module]:
    """The layers that normalise so many channels; none for "none".

    Raises
    ------
    ValueError
        If `normalisation` is not one of `NORMALISATIONS`.
    """
    if normalisation not in NORMALISATIONS:
        raise ValueError(f"network.normalisation {normalisation!r}; expected one of {NORMALISATIONS}")
    if normalisation == "batch":
        return [BATCH_NORM[dims](channels, momentum=BATCH_NORM_MOMENTUM)]
    if normalisation == "instance":
        return [INSTANCE_NORM[dims](channels, affine=True)]
    if normalisation == "group":
        return [nn.GroupNorm(math.gcd(8, channels), channels)]
    return []


def convolution(dims: int, inputs: int, outputs: int, normalisation: str, padding: int = 0, dilation: int = 1) -> list:
    """A 3-wide convolution, its normalisation and ReLU."""
    layer = CONVOLUTION[dims](inputs, outputs, 3, padding=padding, dilation=dilation)
    return [layer, *normalise(dims, outputs, normalisation), nn.ReLU(inplace=True)]


def double_convolution(dims: int, inputs: int, outputs: int, normalisation: str, padded: bool = False) -> nn.Sequential:
    """Two 3-wide convolutions, each followed by (normalisation and) ReLU."""
    first = convolution(dims, inputs, outputs, normalisation, int(padded))
    return nn.Sequential(*first, *convolution(dims, outputs, outputs, normalisation, int(padded)))


def crop_to(x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """The centre of `x`, of this spatial shape."""
    centre = [slice(None), slice(None)]
    for have, want in zip(x.shape[2:], shape, strict=True):
        start = (have - want) // 2
        centre.append(slice(start, start + want))
    return x[tuple(centre)]


def crop_border(x: torch.Tensor, width: int) -> torch.Tensor:
    """`x` without its outermost `width` pixels."""
    return x[(..., *[slice(width, -width or None)] * (x.ndim - 2))]


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
        if layer.weight.is_meta:  # no numbers to draw; PyTorch would take seconds to find that out
            continue
        nn.init.normal_(layer.weight, std=math.sqrt(2 / incoming))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
