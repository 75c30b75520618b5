"""Upsampling: transposed convolution, interpolation with convolution, unpooling; and the bilinear kernel."""

import warnings

import torch
from torch import nn
from torch.nn import functional

from snakeseg.networks.blocks import CONVOLUTION, TRANSPOSED, crop_border

# Names of linear interpolation in PyTorch, by the number of spatial dimensions.
LINEAR_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
DECODERS = ("transposed", "nearest", "bilinear", "unpool")


def bilinear_kernel(size: int, dims: int = 2) -> torch.Tensor:
    """Return a kernel of linear interpolation, float32, shape (size,) * dims.

    The weight of tap i along an axis is ``1 - |i - c| / f`` with ``f = (size + 1) // 2`` and c = f - 1 for odd sizes,
    f - 0.5 for even sizes.

    References
    ----------
    `surgery.upsample_filt` in the reference implementation of Long et al. 2015.
    """
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    axis = 1 - (torch.arange(size, dtype=torch.float32) - centre).abs() / factor
    kernel = axis
    for _ in range(dims - 1):
        kernel = kernel[..., None] * axis
    return kernel


def transposed_convolution(dims: int, inputs: int, outputs: int, kernel: int, stride: int, bias=True) -> nn.Module:
    """Make a transposed convolution; warn if its kernel overlaps unevenly, which causes a checkerboard artefact.

    Parameters
    ----------
    dims : {1, 2, 3}
        Number of spatial dimensions.
    inputs, outputs : int
        Number of channels before and after the layer.
    kernel, stride : int
        Width of the kernel and stride, in pixels of the output, for all axes.
    bias : bool

    Warns
    -----
    UserWarning
        If `kernel` is not a multiple of `stride`.
    """
    if kernel % stride:
        warnings.warn(
            f"transposed convolution with kernel {kernel} and stride {stride}: pixels overlap unevenly and make a "
            f"checkerboard; set the kernel to a multiple of {stride}",
            stacklevel=2,
        )
    return TRANSPOSED[dims](inputs, outputs, kernel, stride=stride, bias=bias)


def bilinear_deconvolution(dims: int, channels: int, kernel: int, stride: int, learned: bool) -> nn.Module:
    """Make a transposed convolution that starts as linear interpolation of each channel, without bias or padding.

    Parameters
    ----------
    dims : {1, 2, 3}
        Number of spatial dimensions.
    channels : int
        Number of channels before and after the layer.
    kernel, stride : int
        Width of the kernel and stride, in pixels of the output, for all axes.
    learned : bool
        Whether training changes the weights.
    """
    layer = transposed_convolution(dims, channels, channels, kernel, stride, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        for channel in range(channels):
            layer.weight[channel, channel] = bilinear_kernel(kernel, dims)
    layer.weight.requires_grad_(learned)
    return layer


class UpConvolution(nn.Module):
    """Interpolation to twice the size, nearest or linear, followed by a 3-wide convolution.

    Without padding, the pixels that the interpolation extrapolates at the border are cropped, so that tiles stay exact.

    Parameters
    ----------
    dims : {1, 2, 3}
        Number of spatial dimensions.
    inputs, outputs : int
        Number of channels before and after the layer.
    mode : {"nearest", "bilinear"}
        Interpolation; "bilinear" is linear in any number of dimensions.
    padded : bool
        Whether the convolution pads with zeros.
    """

    def __init__(self, dims: int, inputs: int, outputs: int, mode: str, padded: bool):
        super().__init__()
        self.mode = LINEAR_MODES[dims] if mode == "bilinear" else mode
        self.crop = 0 if padded or mode == "nearest" else 1
        self.convolution = CONVOLUTION[dims](inputs, outputs, 3, padding=int(padded))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (batch, outputs, *spatial) of features (batch, inputs, *spatial).

        A side of n pixels becomes 2 n (padded), 2 n - 2 (nearest, unpadded) or 2 n - 4 (linear, unpadded).
        """
        align = None if self.mode == "nearest" else False
        x = functional.interpolate(x, scale_factor=2, mode=self.mode, align_corners=align)
        return self.convolution(crop_border(x, self.crop))


def pool_with_maxima(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply 2-wide max pooling, and mark the maxima.

    Parameters
    ----------
    x : tensor, shape (batch, channels, *spatial)

    Returns
    -------
    pooled : tensor, shape (batch, channels, *(spatial / 2))
    maxima : tensor, shape and dtype of `x`
        1 at the maximum of each pooling window, 0 elsewhere.
    """
    dims = x.ndim - 2
    pool = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}[dims]
    pooled, indices = pool(x, 2, return_indices=True)
    flat = torch.zeros_like(x).flatten(2)
    return pooled, flat.scatter(2, indices.flatten(2), 1.0).view_as(x)


def unpool(x: torch.Tensor, maxima: torch.Tensor) -> torch.Tensor:
    """Put each value at the maximum of its pooling window, and zeros elsewhere (arg-max unpooling).

    It is an interpolation times a mask, so that `maxima` can be cropped to its centre like any skip connection.

    Parameters
    ----------
    x : tensor, shape (batch, channels, *spatial)
    maxima : tensor, shape (batch, channels, *(2 * spatial))
        Mask from `pool_with_maxima`.

    Returns
    -------
    tensor, shape (batch, channels, *(2 * spatial))
    """
    return functional.interpolate(x, scale_factor=2, mode="nearest") * maxima
