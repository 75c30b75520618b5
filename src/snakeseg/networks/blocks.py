"""Building blocks of networks, in one, two or three spatial dimensions."""

import math
from collections.abc import Sequence

import torch
from torch import nn

# Layer classes by the number of spatial dimensions.
CONVOLUTION = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLING = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE_NORM = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
# Memory formats by the number of spatial dimensions; in 3D with bfloat16, channels last is more than twice as fast.
LAYOUT = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d}
NORMALISATION_LAYERS = ("none", "batch", "instance", "group")
# Normalisations by statistics of the tile: their tiles differ from one pass over the whole image.
TILE_STATISTICS = ("instance", "group")
# Running statistics must average over many patches: PyTorch's 0.1 averages about ten, too few at batch size 1.
BATCH_NORM_MOMENTUM = 0.02


def to_device_layout(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to a device, in place, with the weights of its convolutions in the memory format `LAYOUT`.

    Parameters
    ----------
    network : Module
    device : torch.device

    Returns
    -------
    Module
        The same network.
    """
    network.to(device)
    for weight in network.parameters():
        if weight.ndim - 2 in LAYOUT:
            weight.data = weight.data.contiguous(memory_format=LAYOUT[weight.ndim - 2])
    return network


def normalisation_layers(dims: int, channels: int, normalisation: str) -> list[nn.Module]:
    """Return the layers that normalise a feature map; an empty list for "none".

    Parameters
    ----------
    dims : {1, 2, 3}
        Number of spatial dimensions.
    channels : int
        Number of channels of the feature map.
    normalisation : {"none", "batch", "instance", "group"}

    Raises
    ------
    ValueError
        If `normalisation` is not one of `NORMALISATION_LAYERS`.
    """
    if normalisation not in NORMALISATION_LAYERS:
        raise ValueError(f"network.normalisation {normalisation!r}; expected one of {NORMALISATION_LAYERS}")
    if normalisation == "batch":
        return [BATCH_NORM[dims](channels, momentum=BATCH_NORM_MOMENTUM)]
    if normalisation == "instance":
        return [INSTANCE_NORM[dims](channels, affine=True)]
    if normalisation == "group":
        return [nn.GroupNorm(math.gcd(8, channels), channels)]
    return []


def convolution(dims: int, inputs: int, outputs: int, normalisation: str, padding: int = 0, dilation: int = 1) -> list:
    """Return the layers of a 3-wide convolution: convolution, normalisation, ReLU.

    Parameters
    ----------
    dims : {1, 2, 3}
        Number of spatial dimensions.
    inputs, outputs : int
        Number of channels before and after the convolution.
    normalisation : str
        One of `NORMALISATION_LAYERS`.
    padding : int
        Pixels of zeros on each side.
    dilation : int
        Distance of the kernel's taps, in pixels.
    """
    layer = CONVOLUTION[dims](inputs, outputs, 3, padding=padding, dilation=dilation)
    return [layer, *normalisation_layers(dims, outputs, normalisation), nn.ReLU(inplace=True)]


def double_convolution(dims: int, inputs: int, outputs: int, normalisation: str, padded: bool = False) -> nn.Sequential:
    """Return two 3-wide convolutions, each followed by normalisation and ReLU.

    Parameters
    ----------
    dims : {1, 2, 3}
        Number of spatial dimensions.
    inputs, outputs : int
        Number of channels before and after the block.
    normalisation : str
        One of `NORMALISATION_LAYERS`.
    padded : bool
        Whether zeros pad each convolution, so that sizes stay; otherwise the output is 4 pixels shorter per axis.
    """
    first = convolution(dims, inputs, outputs, normalisation, int(padded))
    return nn.Sequential(*first, *convolution(dims, outputs, outputs, normalisation, int(padded)))


def crop_to(x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Crop the spatial centre of a tensor.

    Parameters
    ----------
    x : tensor, shape (batch, channels, *spatial)
    shape : sequence of int
        Spatial shape of the crop.

    Returns
    -------
    tensor, shape (batch, channels, *shape)
    """
    centre = [slice(None), slice(None)]
    for size, cropped in zip(x.shape[2:], shape, strict=True):
        start = (size - cropped) // 2
        centre.append(slice(start, start + cropped))
    return x[tuple(centre)]


def crop_border(x: torch.Tensor, width: int) -> torch.Tensor:
    """Remove the outermost `width` pixels on every side of a tensor (batch, channels, *spatial)."""
    return x[(..., *[slice(width, -width or None)] * (x.ndim - 2))]


def initialise_he(module: nn.Module) -> None:
    """Initialise the convolutions of a module in place: weights from N(0, sqrt(2 / N)), biases 0.

    N is the number of incoming nodes of one neuron (Ronneberger et al. 2015, section 3). In a transposed convolution
    whose stride equals its kernel, each output pixel depends on one input pixel.
    """
    for layer in module.modules():
        if isinstance(layer, tuple(CONVOLUTION.values())):
            incoming = layer.in_channels * math.prod(layer.kernel_size)
        elif isinstance(layer, tuple(TRANSPOSED.values())):
            incoming = layer.in_channels * math.prod(layer.kernel_size) // math.prod(layer.stride)
        else:
            continue
        if layer.weight.is_meta:  # a meta tensor has no values, and drawing them would take seconds
            continue
        nn.init.normal_(layer.weight, std=math.sqrt(2 / incoming))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
