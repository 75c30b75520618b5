"""Upsampling against its formulas, and its checkerboard artefacts."""

import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional

from snakeseg.networks.blocks import CONVOLUTION
from snakeseg.networks.fcn import FCN
from snakeseg.networks.measures import checkerboard
from snakeseg.networks.upsampling import (
    UpConvolution,
    bilinear_deconvolution,
    bilinear_kernel,
    pool_with_maxima,
    transposed_convolution,
    unpool,
)
from snakeseg.settings import FCNSettings


def reference_kernel(size):
    """Compute `surgery.upsample_filt` of the reference implementation, as published."""
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 == 1 else factor - 0.5
    rows, columns = np.ogrid[:size, :size]
    return (1 - abs(rows - center) / factor) * (1 - abs(columns - center) / factor)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16, 32, 64])
def test_bilinear_kernels_equal_the_reference(size):
    np.testing.assert_allclose(bilinear_kernel(size).numpy(), reference_kernel(size), atol=1e-6)


def test_bilinear_kernels_are_products_along_the_axes():
    line = bilinear_kernel(4, 1)
    assert line.tolist() == [0.25, 0.75, 0.75, 0.25]
    torch.testing.assert_close(bilinear_kernel(4, 3), line[:, None, None] * line[:, None] * line)


@pytest.mark.parametrize("stride", [2, 8, 16, 32])
def test_bilinear_deconvolution_interpolates(stride):
    """Away from the border, it equals interpolation; channels do not mix."""
    layer = bilinear_deconvolution(2, 2, 2 * stride, stride, learned=False)
    image = torch.rand(1, 2, 6, 6)
    expected = functional.interpolate(image, scale_factor=stride, mode="bilinear", align_corners=False)
    upsampled = layer(image)[:, :, stride // 2 : -(stride // 2), stride // 2 : -(stride // 2)]
    torch.testing.assert_close(
        upsampled[:, :, stride:-stride, stride:-stride], expected[:, :, stride:-stride, stride:-stride]
    )
    assert layer.bias is None


def test_uneven_kernels_cause_a_warning():
    with pytest.warns(UserWarning, match="kernel 3 and stride 2: pixels overlap unevenly and make a checkerboard"):
        transposed_convolution(2, 1, 1, 3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transposed_convolution(2, 1, 1, 4, 2)


@pytest.mark.parametrize("shape", [(8,), (6, 8), (4, 6, 4)])
def test_unpooling_keeps_pooled_values_at_the_maxima(shape):
    """Each window of the unpooled map holds its pooled value and zeros."""
    torch.manual_seed(0)
    x = torch.randn(2, 3, *shape)
    pooled, maxima = pool_with_maxima(x)
    torch.testing.assert_close(
        pooled, {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}[len(shape)](x, 2)
    )
    torch.testing.assert_close((x * maxima).sum(), pooled.sum())
    other = torch.randn_like(pooled)
    up = unpool(other, maxima)
    windows = up
    for axis in range(2, x.ndim):
        windows = windows.unfold(axis, 2, 2)
    values = windows.flatten(x.ndim)
    torch.testing.assert_close(values.sum(-1), other)
    assert ((values != 0).sum(-1) == 1).all()


def test_unpooling_equals_that_of_pytorch():
    x = torch.randn(1, 2, 8, 8)
    pooled, indices = functional.max_pool2d(x, 2, return_indices=True)
    torch.testing.assert_close(unpool(pooled, pool_with_maxima(x)[1]), functional.max_unpool2d(pooled, indices, 2))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("mode", "crop"), [("nearest", 2), ("bilinear", 4)])
def test_unpadded_up_convolution_is_independent_of_the_border(dims, mode, crop):
    """The output of a crop equals the crop of the output."""
    torch.manual_seed(0)
    up = UpConvolution(dims, 2, 3, mode, padded=False)
    x = torch.rand(1, 2, *[10] * dims)
    out = up(x)
    assert out.shape == (1, 3, *[20 - crop] * dims)
    inner = (..., *[slice(2, 8)] * dims)
    torch.testing.assert_close(up(x[inner]), out[(..., *[slice(4, 20 - crop - 4)] * dims)])


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_a_padded_up_convolution_doubles_the_size(dims, mode):
    assert UpConvolution(dims, 2, 3, mode, padded=True)(torch.rand(1, 2, *[5] * dims)).shape == (1, 3, *[10] * dims)


CONSTANT = torch.full((1, 1, 24, 24), 0.7)


def decoder_checkerboard(layer, margin):
    return checkerboard(layer, (2, 2), (margin, margin), CONSTANT)


def test_a_transposed_convolution_with_an_uneven_kernel_makes_a_checkerboard():
    """With random weights, kernel 3 and stride 2, the artefact has more than 1 % of the energy."""
    for seed in range(5):
        torch.manual_seed(seed)
        with pytest.warns(UserWarning, match="checkerboard"):
            layer = transposed_convolution(2, 1, 4, 3, 2)
        torch.nn.init.normal_(layer.weight)
        assert decoder_checkerboard(layer, 8) > 1e-2


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_interpolation_and_convolution_make_no_checkerboard(mode):
    for seed in range(5):
        torch.manual_seed(seed)
        assert decoder_checkerboard(UpConvolution(2, 1, 4, mode, padded=True), 8) < 1e-6


@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s"])
def test_bilinear_fcn_decoders_keep_a_constant(name):
    """With initial weights, the output of constant features is constant away from the border."""
    network = FCN(2, 1, 2, FCNSettings(name=name, width=1))
    layers = [m for m in network.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    out = torch.full((1, 2, 12, 12), 0.3)
    with torch.inference_mode():
        for layer in layers:
            out = layer(out)
    margin = 4 * 32
    inner = out[:, :, margin:-margin, margin:-margin]
    torch.testing.assert_close(inner, torch.full_like(inner, 0.3))
    assert checkerboard(lambda image: out, (network.stride,) * 2, (margin, margin), CONSTANT) < 1e-6


def test_the_checkerboard_of_known_patterns_is_measured():
    """1 + a (-1)^(x + y) has energy 1 + a^2, of which a^2 is the checkerboard; a longer period is measured as well."""
    y, x = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    for a in (0.0, 0.1, 1.0):
        pattern = 1 + a * (1 - 2 * ((x + y) % 2)).double()
        share = checkerboard(lambda image, p=pattern: p[None, None], (4, 4), (3, 3), CONSTANT)
        assert share == pytest.approx(a**2 / (1 + a**2), abs=1e-12)
    stripes = 1 + 0.5 * (x % 4 == 0)
    assert checkerboard(lambda image: stripes[None, None].double(), (4, 4), (0, 0), CONSTANT) > 1e-2
    assert checkerboard(torch.zeros_like, (4, 4), (0, 0), CONSTANT) == 0


def test_a_convolution_of_width_one_makes_no_checkerboard():
    assert checkerboard(CONVOLUTION[2](1, 3, 1), (2, 2), (2, 2), CONSTANT) < 1e-9
