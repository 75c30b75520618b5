"""Requirements on every registered network: halo, sizes, exact tiles. A new network needs a line in `NARROW`."""

import re

import numpy as np
import pytest
import torch
from narrow import NARROW, name_of, random_network
from torch import nn

from snakeseg.networks.context import ContextNetwork
from snakeseg.networks.geometry import uniform
from snakeseg.networks.measures import count_operations, count_parameters, network_checkerboard, receptive_field
from snakeseg.networks.registry import NETWORKS, geometry_of, make_network
from snakeseg.prediction.overlap_tile import predict_logits
from snakeseg.settings import NETWORK_SETTINGS, ContextSettings, UNetSettings


def test_every_network_is_tested_and_has_settings():
    assert list(NETWORKS) == list(NETWORK_SETTINGS)
    assert {settings.name for _, settings in NARROW} == set(NETWORKS)
    for name, settings_class in NETWORK_SETTINGS.items():
        assert geometry_of(2, settings_class(name=name)).dims == 2


@pytest.mark.parametrize(("dims", "settings"), NARROW, ids=name_of)
def test_receptive_field_fits_the_halo(dims, settings):
    """The receptive field is within the declared halo, and more than 70 % of it."""
    geometry = geometry_of(dims, settings)
    lower, higher = receptive_field(random_network(dims, settings), 1, geometry)
    assert max(lower, higher) <= geometry.halo[0]
    assert max(lower, higher) > 0.7 * geometry.halo[0]


def test_a_halo_that_is_too_small_is_detected():
    settings = UNetSettings(width=4, depth=2, padded=True)
    small = uniform(2, halo=16, multiple=4, padded=True)
    assert max(receptive_field(random_network(2, settings), 1, small)) > 16


@pytest.mark.parametrize(("dims", "settings"), NARROW, ids=name_of)
def test_outputs_have_the_sizes_that_the_geometry_states(dims, settings):
    """Inputs of the size that the geometry states give outputs of the size that it states, also in training."""
    network = random_network(dims, settings, channels=3, classes=4)
    for geometry in (geometry_of(dims, settings), geometry_of(dims, settings).training):
        sides = [1 + 5 * axis for axis in range(dims)]
        size = geometry.input_size(sides)
        expected = size if geometry.padded else tuple(n - 2 * h for n, h in zip(size, geometry.halo, strict=True))
        with torch.inference_mode():
            out = network(torch.zeros(2, 3, *size, dtype=torch.float64))
        assert out.shape == (2, 4, *expected)
        if not any(geometry.halo) or not geometry.padded:
            assert expected == geometry.output_size(sides)


@pytest.mark.parametrize(("dims", "settings"), NARROW, ids=name_of)
def test_tiles_equal_the_whole(dims, settings):
    """They agree to 1e-9 in float64 at three tile sizes, padded or not; the whole is one tile."""
    geometry = geometry_of(dims, settings)
    assert geometry.tile_exact
    network = random_network(dims, settings)
    step = geometry.multiple[0]
    shape = (2 * step + 5, 3 * step) if dims == 2 else (2 * step + 1, step, step + 3)
    image = np.random.default_rng(0).normal(size=(1, *shape))
    expected = predict_logits(network, image, geometry, 10 * step)
    assert expected.std() > 1e-6
    for tile in (step, 2 * step, 3 * step):
        logits = predict_logits(network, image, geometry, tile)
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-9 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("padded", [False, True])
def test_slices_are_independent(axis, padded):
    """A network of planes gives each slice of a volume the logits of the plane."""
    settings = UNetSettings(width=4, depth=1, padded=padded, slices=axis)
    geometry, plane_geometry = geometry_of(3, settings), geometry_of(2, settings)
    network = random_network(3, settings)
    image = np.random.default_rng(0).normal(size=(1, 6, 8, 10))
    logits = predict_logits(network, image, geometry, 4)
    for index in range(image.shape[axis + 1]):
        expected = predict_logits(network.network, image.take(index, axis + 1), plane_geometry, 100)
        np.testing.assert_allclose(logits.take(index, axis + 1), expected, atol=1e-9 * np.abs(expected).max())


def test_slices_of_a_2d_network_are_an_error():
    with pytest.raises(ValueError, match=r"network.slices 0 in 2D"):
        make_network(2, 1, 2, UNetSettings(slices=0))


def test_padding_changes_only_the_border_of_the_image():
    """Tiles of a padded network equal one pass over the mirrored whole, cropped by the halo."""
    settings = UNetSettings(width=4, depth=2, padded=True)
    geometry = geometry_of(2, settings)
    network = random_network(2, settings)
    image = np.random.default_rng(0).normal(size=(1, 28, 32))
    framed = np.pad(image, [(0, 0), *((halo, halo) for halo in geometry.halo)], mode="reflect")
    with torch.inference_mode():
        whole = network(torch.from_numpy(framed)[None])[0].numpy()
    inner = (slice(None), *(slice(halo, -halo) for halo in geometry.halo))
    np.testing.assert_allclose(predict_logits(network, image, geometry, 8), whole[inner], rtol=0, atol=1e-9)


@pytest.mark.parametrize("decoder", ["nearest", "bilinear"])
def test_interpolating_unets_have_no_checkerboard(decoder):
    settings = UNetSettings(width=4, depth=2, decoder=decoder)
    assert network_checkerboard(random_network(2, settings), 1, geometry_of(2, settings)) < 1e-12
    transposed = UNetSettings(width=4, depth=2)
    assert network_checkerboard(random_network(2, transposed), 1, geometry_of(2, transposed)) > 1e-3


def test_operations_are_counted_without_computing():
    """A 3 x 3 convolution takes 2 x 9 x inputs x outputs operations per pixel."""
    assert count_operations(lambda: nn.Conv2d(3, 5, 3, padding=1), 3, (10, 10)) == 2 * 9 * 3 * 5 * 100
    # The U-Net of the paper, layer by layer: inputs, outputs, side of the output.
    convolutions = [
        (1, 64, 570), (64, 64, 568), (64, 128, 282), (128, 128, 280), (128, 256, 138), (256, 256, 136),
             (256, 512, 66), (512, 512, 64), (512, 1024, 30), (1024, 1024, 28), (1024, 512, 54), (512, 512, 52),
             (512, 256, 102), (256, 256, 100), (256, 128, 198), (128, 128, 196), (128, 64, 390), (64, 64, 388),
    ]  # fmt: skip
    up = [(1024, 512, 56), (512, 256, 104), (256, 128, 200), (128, 64, 392)]
    expected = sum(2 * 9 * i * o * n**2 for i, o, n in convolutions) + sum(2 * i * o * n**2 for i, o, n in up)
    expected += 2 * 64 * 2 * 388**2
    assert count_operations(lambda: make_network(2, 1, 2, UNetSettings()), 1, (572, 572)) == expected


def test_the_unet_has_as_many_parameters_as_in_the_paper():
    with torch.device("meta"):
        assert count_parameters(make_network(2, 1, 2, UNetSettings())) == 31_030_658


@pytest.mark.parametrize("name", ["dynunet", "segresnet"])
def test_baselines_need_a_normalisation(name):
    settings = NETWORK_SETTINGS[name](normalisation="none")
    with pytest.raises(
        ValueError, match=r"network.normalisation 'none'; expected one of \['batch', 'instance', 'group'\]"
    ):
        make_network(2, 1, 2, settings)
    assert not geometry_of(2, NETWORK_SETTINGS[name](normalisation="instance")).tile_exact


def test_context_network_dilates():
    """With weights of 1 per tap, the output is the sum over taps at the distance of the dilation."""
    network = ContextNetwork(1, 1, 1, ContextSettings(width=1, dilations=[3]))
    with torch.no_grad():
        for value in network.parameters():
            value.fill_(value.ndim > 1)
        assert network(torch.arange(10.0)[None, None]).tolist() == [[[9, 12, 15, 18]]]


def test_the_page_on_adding_a_network_quotes_the_sources(repository):
    """Its code blocks are verbatim parts of the sources; the network has under 60 lines and its test under 10."""
    page = (repository / "docs/how-to/add-a-network.md").read_text(encoding="utf-8")
    package = "src/snakeseg"
    files = [f"{package}/networks/context.py", f"{package}/settings/networks.py", f"{package}/networks/registry.py",
             "tests/helpers/narrow.py", "tests/networks/test_networks.py"]  # fmt: skip
    blocks = re.findall(r"```(?:python|text)\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == len(files)
    for block, file in zip(blocks, files, strict=True):
        assert block in (repository / file).read_text(encoding="utf-8"), file
    assert [blocks[0].count("\n") < 60, blocks[4].count("\n") < 10] == [True, True]
