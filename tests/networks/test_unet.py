"""The U-Net against the numbers of its paper."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from snakeseg.networks.blocks import crop_to
from snakeseg.networks.unet import UNet, unet_geometry
from snakeseg.settings import UNetSettings

CONVOLUTIONS = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


@pytest.fixture(scope="module")
def paper():
    """Return the network of figure 1."""
    return UNet(2, 1, 2, UNetSettings())


@pytest.fixture(scope="module")
def sizes():
    """Return spatial sizes after every convolution, up-convolution and pooling of a narrow network, for input 572."""
    network = UNet(2, 1, 2, UNetSettings(width=1)).eval()
    recorded = {"encoder": [], "up": [], "decoder": [], "head": [], "pool": []}

    def record(layer):
        return lambda module, inputs, output: recorded[layer].append(output.shape[-1])

    for layer, modules in (("encoder", network.encoder.levels), ("decoder", network.decoder.levels)):
        for module in modules.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(record(layer))
    for module in network.decoder.up:
        module.register_forward_hook(record("up"))
    network.head.register_forward_hook(record("head"))
    network.encoder.pool.register_forward_hook(record("pool"))
    with torch.inference_mode():
        network(torch.zeros(1, 1, 572, 572))
    return recorded


def test_parameters_and_layers_are_those_of_the_paper(paper):
    assert sum(p.numel() for p in paper.parameters()) == 31_030_658
    assert sum(isinstance(m, CONVOLUTIONS) for m in paper.modules()) == 23


def test_channels_are_those_of_the_paper(paper):
    widths = [(b[0].in_channels, b[0].out_channels, b[2].out_channels) for b in paper.encoder.levels]
    assert widths == [(1, 64, 64), (64, 128, 128), (128, 256, 256), (256, 512, 512), (512, 1024, 1024)]
    assert [(u.in_channels, u.out_channels) for u in paper.decoder.up] == [
        (1024, 512),
        (512, 256),
        (256, 128),
        (128, 64),
    ]
    widths = [(b[0].in_channels, b[0].out_channels, b[2].out_channels) for b in paper.decoder.levels]
    assert widths == [(1024, 512, 512), (512, 256, 256), (256, 128, 128), (128, 64, 64)]
    assert (paper.head.in_channels, paper.head.out_channels, paper.head.kernel_size) == (64, 2, (1, 1))


def test_intermediate_sizes_are_those_of_the_paper(sizes):
    assert sizes["encoder"] == [570, 568, 282, 280, 138, 136, 66, 64, 30, 28]
    assert sizes["pool"] == [284, 140, 68, 32]
    assert sizes["up"] == [56, 104, 200, 392]
    assert sizes["decoder"] == [54, 52, 102, 100, 198, 196, 390, 388]
    assert sizes["head"] == [388]


def test_crops_of_skips_are_those_of_the_paper(sizes):
    skips = sizes["encoder"][1::2][:4][::-1]
    assert [(skip - up) // 2 for skip, up in zip(skips, sizes["up"], strict=True)] == [4, 16, 40, 88]
    assert all((skip - up) % 2 == 0 for skip, up in zip(skips, sizes["up"], strict=True))


def test_crop_is_central():
    x = torch.arange(10.0).reshape(1, 1, 10).expand(1, 1, 10)
    assert crop_to(x, [4]).flatten().tolist() == [3, 4, 5, 6]
    grid = torch.arange(24.0).reshape(1, 1, 4, 6)
    assert crop_to(grid, [2, 4]).flatten().tolist() == [7, 8, 9, 10, 13, 14, 15, 16]


def valid_output_size(size, depth):
    """Return the output size, or None if the input of a pooling has an odd size or nothing is left."""
    for _ in range(depth):
        size -= 4
        if size <= 0 or size % 2:
            return None
        size //= 2
    size -= 4
    for _ in range(depth):
        size = 2 * size - 4
    return size if size > 0 else None


@pytest.mark.parametrize("depth", range(1, 7))
def test_geometry_states_the_valid_inputs(depth):
    """At depth 4, valid inputs are 16 k + 12 with k >= 11, and output = input - 184."""
    geometry = unet_geometry(1, UNetSettings(depth=depth))
    (halo,), (multiple,), (remainder,) = geometry.halo, geometry.multiple, geometry.remainder
    for size in range(1, 1200):
        valid = size % multiple == remainder and size > 2 * halo
        assert valid_output_size(size, depth) == (size - 2 * halo if valid else None)
    if depth == 4:
        assert (halo, multiple, remainder) == (92, 16, 12)
        assert min(n for n in range(1200) if valid_output_size(n, 4)) == 16 * 11 + 12


@pytest.mark.parametrize(("dims", "depth"), [(1, 1), (1, 5), (2, 2), (2, 4), (3, 1), (3, 2)])
@pytest.mark.parametrize("size", [1, 7])
def test_output_sizes_are_those_of_the_geometry(dims, depth, size):
    """Images of the input size that the geometry states give outputs of the size that it states, along every axis."""
    settings = UNetSettings(width=1, depth=depth)
    geometry = unet_geometry(dims, settings)
    sides = [size + axis * 5 for axis in range(dims)]
    with torch.inference_mode():
        out = UNet(dims, 3, 4, settings).eval()(torch.zeros(2, 3, *geometry.input_size(sides)))
    assert out.shape == (2, 4, *geometry.output_size(sides))


def dependencies(settings):
    """Return whether an output (column) depends on an input (row), in 1D, by the response to every single impulse.

    With positive weights and a constant image, nothing cancels and no maximum hides an increase, so the response shows
    every dependency.
    """
    geometry = unet_geometry(1, settings)
    network = UNet(1, 1, 1, settings).eval().double()
    with torch.no_grad():
        for value in network.parameters():
            value.fill_(1 / value[0].numel() if value.ndim > 1 else 0)
        (size,) = geometry.input_size(3 * geometry.multiple[0])
        base = torch.ones(1, 1, size, dtype=torch.float64)
        impulses = torch.eye(size, dtype=torch.float64)[:, None]
        return (network(base + impulses) - network(base))[:, 0].numpy() > 0


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_receptive_field_fits_the_halo(depth):
    """The output of a tile depends on exactly the input that the geometry states.

    The receptive field of a single pixel exceeds the halo by up to 2**depth - 1 pixels to one side, depending on its
    position in the pooling window. Therefore tiles start at multiples of 2**depth.
    """
    settings = UNetSettings(width=1, depth=depth)
    geometry = unet_geometry(1, settings)
    (halo,), (multiple,), (smallest,) = geometry.halo, geometry.multiple, geometry.output_size(1)
    depends = dependencies(settings)
    for start in range(0, 2 * multiple, multiple):
        stop = start + smallest
        sources = np.flatnonzero(depends[:, start:stop].any(axis=1))
        assert (sources[0], sources[-1] + 1) == (start, stop + 2 * halo)
    inputs, outputs = np.nonzero(depends)
    assert np.abs(inputs - (outputs + halo)).max() == halo + multiple - 1


@pytest.mark.parametrize("normalisation", ["none", "batch"])
def test_gradient_stays_within_the_tile(normalisation):
    """In 2D with random weights, the gradient of a tile of a larger image is zero outside the tile's input."""
    torch.manual_seed(0)
    settings = UNetSettings(width=4, depth=2, normalisation=normalisation)
    geometry = unet_geometry(2, settings)
    network = UNet(2, 1, 2, settings).eval().double()
    image = torch.randn(1, 1, *geometry.input_size(16), dtype=torch.float64, requires_grad=True)
    network(image)[0, :, 4:8, 8:12].sum().backward()
    rows, columns = np.nonzero(image.grad[0, 0].numpy())
    for indices, start, size, halo in zip((rows, columns), (4, 8), geometry.input_size(4), geometry.halo, strict=True):
        assert start <= indices.min()
        assert indices.max() < start + size
        assert np.ptp(indices) > halo


def test_initial_weights_have_the_variance_of_he(paper):
    """Weights are N(0, sqrt(2 / N)), N the incoming nodes of one neuron; up-convolutions have one input per output."""
    layers = [m for m in paper.modules() if isinstance(m, CONVOLUTIONS)]
    for layer in layers:
        incoming = layer.in_channels * (9 if layer.kernel_size == (3, 3) else 1)
        tolerance = 4 / math.sqrt(layer.weight.numel())
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / incoming), rel=max(tolerance, 0.01))
        assert abs(layer.weight.mean().item()) < tolerance * math.sqrt(2 / incoming)
        assert not layer.bias.any()
    assert layers[1].weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 64)), rel=0.02)


def test_initial_logits_of_white_noise_are_of_order_one():
    """With He's initialisation, logits of a deep network on white noise are of order one."""
    torch.manual_seed(0)
    settings = UNetSettings(width=16, depth=3)
    with torch.inference_mode():
        out = UNet(2, 1, 8, settings).eval()(torch.randn(1, 1, *unet_geometry(2, settings).input_size(32)))
    assert 0.1 < out.std().item() < 10


def test_dropout_acts_at_the_end_of_the_contracting_path():
    """Dropout acts on the last two levels, in training only."""
    network = UNet(2, 1, 2, UNetSettings(width=2, depth=3, dropout=0.5))
    widths = []
    network.encoder.dropout.register_forward_hook(lambda module, inputs, output: widths.append(output.shape[1]))
    image = torch.randn(1, 1, 92, 92)
    with torch.no_grad():
        assert not torch.equal(network.train()(image), network(image))
        assert torch.equal(network.eval()(image), network(image))
    assert widths == [8, 16] * 4


def test_batch_normalisation_follows_every_3_wide_convolution():
    network = UNet(2, 1, 2, UNetSettings(width=2, depth=2, normalisation="batch"))
    assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 10
    for block in [*network.encoder.levels, *network.decoder.levels]:
        assert [type(m) for m in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 2


def test_tiles_of_instance_and_group_normalisation_are_not_exact():
    assert unet_geometry(2, UNetSettings(normalisation="batch")).tile_exact
    for name in ("instance", "group"):
        assert not unet_geometry(2, UNetSettings(normalisation=name)).tile_exact


def test_summed_skips_add_no_channels():
    """The first convolution of each level of the decoder has half as many input channels."""
    concat, total = (UNet(2, 1, 2, UNetSettings(width=4, depth=2, skips=s)) for s in ("concat", "sum"))
    assert [b[0].in_channels for b in concat.decoder.levels] == [16, 8]
    assert [b[0].in_channels for b in total.decoder.levels] == [8, 4]
    image = torch.rand(1, 1, 44, 44)
    with torch.no_grad():
        total.decoder.up[-1].weight.zero_()
        skip = crop_to(total.encoder(image)[1][0][0], [8, 8])
        expected = total.head(total.decoder.levels[-1](skip))
        torch.testing.assert_close(total.eval()(image), expected)
