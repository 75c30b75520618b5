"""Ways back up: transposed convolution, interpolation and convolution, unpooling; and the bilinear kernel."""

import warnings

import torch
from torch import nn
from torch.nn import functional

from snakeseg.networks.blocks import CONVOLUTION, TRANSPOSED, crop_border

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}
DECODERS = ("transposed", "nearest", "bilinear", "unpool")


def bilinear_kernel(size: int, dims: int = 2) -> torch.Tensor:
    """Weights that interpolate linearly, shape (size,) * dims.

    Per axis ``1 - |i - c| / f`` with ``f = (size + 1) // 2`` and c = f - 1 for odd sizes, f - 0.5 for even ones
    (reference implementation of Long et al. 2015, `surgery.upsample_filt`).
    """
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    axis = 1 - (torch.arange(size, dtype=torch.float32) - centre).abs() / factor
    kernel = axis
    for _ in range(dims - 1):
        kernel = kernel[..., None] * axis
    return kernel


def transposed_convolution(dims: int, inputs: int, outputs: int, kernel: int, stride: int, bias=True) -> nn.Module:
    """A transposed convolution; warns when its kernel overlaps unevenly, which shows as a checkerboard."""
    if kernel % stride:
        warnings.warn(
            f"transposed convolution with kernel {kernel} and stride {stride}: pixels overlap unevenly and make a "
            f"checkerboard; take a kernel that {stride} divides",
            stacklevel=2,
        )
    return TRANSPOSED[dims](inputs, outputs, kernel, stride=stride, bias=bias)


def bilinear_deconvolution(dims: int, channels: int, kernel: int, stride: int, learned: bool) -> nn.Module:
    """A transposed convolution that starts as linear interpolation of every channel by itself; no bias, no padding."""
    layer = transposed_convolution(dims, channels, channels, kernel, stride, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        for channel in range(channels):
            layer.weight[channel, channel] = bilinear_kernel(kernel, dims)
    layer.weight.requires_grad_(learned)
    return layer


class UpConvolution(nn.Module):
    """Twice the size by nearest or linear interpolation, then a 3-wide convolution to `outputs` channels.

    Unpadded, what the interpolation made up beyond the border is cropped, so that tiles stay exact.
    """

    def __init__(self, dims: int, inputs: int, outputs: int, mode: str, padded: bool):
        super().__init__()
        self.mode = MODES[dims] if mode == "bilinear" else mode
        self.crop = 0 if padded or mode == "nearest" else 1
        self.convolution = CONVOLUTION[dims](inputs, outputs, 3, padding=int(padded))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (batch, outputs, *spatial): 2 n padded; unpadded 2 n - 2 (nearest) or 2 n - 4 (linear)."""
        align = None if self.mode == "nearest" else False
        x = functional.interpolate(x, scale_factor=2, mode=self.mode, align_corners=align)
        return self.convolution(crop_border(x, self.crop))


def pool_with_places(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """2-wide max pooling, and where in `x` the maxima were: 1 there, 0 elsewhere.

    Returns
    -------
    pooled : tensor, shape (batch, channels, *(spatial / 2))
    places : tensor, shape of `x`
        One 1 in every window.
    """
    dims = x.ndim - 2
    pool = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}[dims]
    pooled, indices = pool(x, 2, return_indices=True)
    flat = torch.zeros_like(x).flatten(2)
    return pooled, flat.scatter(2, indices.flatten(2), 1.0).view_as(x)


def unpool(x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Put every value where its window's maximum was, zeros elsewhere (arg-max unpooling).

    Written as interpolation times a mask, so that `places` may be cropped to the centre like any skip connection.

    Parameters
    ----------
    x : tensor, shape (batch, channels, *spatial)
    places : tensor, shape (batch, channels, *(2 * spatial))
        From `pool_with_places`.
    """
    return functional.interpolate(x, scale_factor=2, mode="nearest") * places
