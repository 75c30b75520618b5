"""Networks whose kernels and strides differ by axis: exact tiles, averages, magnified tiles, graphs, patches."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from snakeseg.models.description import Description
from snakeseg.models.export.graphs import trace, write_whole
from snakeseg.networks.geometry import Geometry, combine, magnified, uniform
from snakeseg.networks.measures import receptive_field
from snakeseg.networks.registry import NETWORKS
from snakeseg.prediction.blending import run_blended
from snakeseg.prediction.overlap_tile import (
    assemble,
    make_tile_function,
    predict_logits,
    run_tiles,
    tile_logits_at_scales,
    tile_probabilities,
)
from snakeseg.prediction.tiles import fixed_stride
from snakeseg.settings import Augment, Labels, Predict, Prepare, Train, UNetSettings
from snakeseg.training.patches import Item, PatchPlan, sample_patch
from snakeseg.transforms.flips import Symmetry


class Unpadded(nn.Module):
    """Network that convolves and pools within planes, and across slices at the coarse level only."""

    geometry = Geometry(halo=(1, 4, 4), multiple=(1, 2, 2), remainder=(0, 0, 0), smallest=(1, 2, 2))

    def __init__(self):
        super().__init__()
        self.fine, self.coarse = nn.Conv3d(1, 4, (1, 3, 3)), nn.Conv3d(4, 4, 3)
        self.up, self.head = nn.ConvTranspose3d(4, 4, (1, 2, 2), stride=(1, 2, 2)), nn.Conv3d(8, 2, (1, 3, 3))

    def forward(self, x):
        fine = self.fine(x).tanh()
        up = self.up(self.coarse(functional.max_pool3d(fine, (1, 2, 2))).tanh())
        return self.head(torch.cat([fine[:, :, 1:-1, 2:-2, 2:-2], up], dim=1))


class Padded(nn.Module):
    """Network with pooling by 4 within planes; the halo is a whole number of pooling windows."""

    geometry = Geometry(halo=(2, 8, 8), multiple=(1, 4, 4), remainder=(0, 0, 0), smallest=(1, 4, 4), padded=True)

    def __init__(self):
        super().__init__()
        self.fine, self.coarse = nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(4, 2, 3, padding=1)

    def forward(self, x):
        coarse = self.coarse(functional.max_pool3d(self.fine(x).tanh(), (1, 4, 4)))
        return functional.interpolate(coarse, scale_factor=(1, 4, 4), mode="nearest")


def make_network(network_class):
    torch.manual_seed(0)
    return network_class().double().eval()


def volume(*shape):
    return np.random.default_rng(0).normal(size=(1, *shape))


def assert_close(actual, expected):
    assert expected.std() > 1e-3
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)


for_both_networks = pytest.mark.parametrize("network_class", [Unpadded, Padded])


@for_both_networks
def test_the_declared_halo_fits_the_receptive_field_of_each_axis(network_class):
    for axis, halo in enumerate(network_class.geometry.halo):
        assert 0.5 * halo < max(receptive_field(make_network(network_class), 1, network_class.geometry, axis)) <= halo


@for_both_networks
@pytest.mark.parametrize("shape", [(7, 21, 30), (1, 9, 3)])
def test_tiles_equal_the_whole(network_class, shape):
    """Tiles equal one pass over the image that NumPy pads with its reflection, by the halo along each axis."""
    network, image, geometry = make_network(network_class), volume(*shape), network_class.geometry
    axes = zip(geometry.halo, geometry.input_size(shape), shape, strict=True)
    pad = [(halo, size - n - halo) for halo, size, n in axes]
    framed = np.pad(image, [(0, 0), *pad], mode="reflect")
    with torch.inference_mode():
        out = network(torch.from_numpy(framed)[None])[0].numpy()
    margin = geometry.halo if geometry.padded else (0, 0, 0)
    expected = out[(slice(None), *(slice(a, a + n) for a, n in zip(margin, shape, strict=True)))]
    for largest in (1, 8, 1000):
        assert_close(predict_logits(network, image, geometry, largest), expected)


def test_strides_are_multiples_of_the_period_of_each_axis():
    assert fixed_stride((7, 21, 30), Padded.geometry, 1) == (1, 4, 4)
    assert fixed_stride((7, 21, 30), Padded.geometry, 12) == (7, 12, 12)


@for_both_networks
def test_averages_do_not_depend_on_the_tiles(network_class):
    """Averages are over all flips, and over quarter turns of the plane whose axes have equal kernels."""
    network, image, geometry = make_network(network_class), volume(5, 10, 13), network_class.geometry
    compute_tile = tile_probabilities([make_tile_function(network, geometry)], Symmetry((0, 1, 2), (1, 2)))
    whole, *tiled = (
        assemble(run_tiles(compute_tile, image, geometry, fixed_stride((5, 10, 13), geometry, largest)), (5, 10, 13))
        for largest in (1000, 4, 8)
    )
    for average in tiled:
        assert_close(average, whole)


@for_both_networks
@pytest.mark.parametrize("scales", [[1.5], [1, 1.5, 2]])
def test_magnified_tiles_equal_the_whole(network_class, scales):
    shape, geometry = (5, 12, 18), network_class.geometry
    common = combine([magnified(geometry, scale) for scale in scales])
    compute_tile = tile_logits_at_scales(scales, make_network(network_class), geometry, common)
    whole, *tiled = (
        assemble(run_tiles(compute_tile, volume(*shape), common, fixed_stride(shape, common, largest)), shape)
        for largest in (1000, 4, 8)
    )
    for average in tiled:
        assert_close(average, whole)


def test_networks_of_different_halos_share_tiles():
    shape, common = (6, 13, 9), combine([Unpadded.geometry, Padded.geometry])
    for network_class in (Unpadded, Padded):
        expected = predict_logits(make_network(network_class), volume(*shape), network_class.geometry, 1000)
        compute_tile = make_tile_function(make_network(network_class), network_class.geometry, common.halo)
        for largest in (4, 1000):
            stride = fixed_stride(shape, common, largest)
            assert_close(assemble(run_tiles(compute_tile, volume(*shape), common, stride), shape), expected)


def test_weights_of_blended_tiles_add_up_to_one():
    geometry = Geometry((0, 2, 3), (1, 4, 4), (0, 0, 2), (1, 4, 4), tile_exact=False)
    image = volume(5, 21, 30)

    def identity(tile_input):
        return tile_input[:, :, 2:-2, 3:-3]

    blended = assemble(run_blended(identity, image, geometry, (2, 8, 4)), image.shape[1:])
    np.testing.assert_allclose(blended, image, atol=1e-6)


@for_both_networks
def test_an_exported_graph_takes_images_of_any_size(network_class, tmp_path):
    image = volume(4, 9, 11)
    batch = torch.from_numpy(image)[None]
    write_whole(
        tmp_path / "whole.ts",
        trace(make_network(network_class), torch.rand(1, 1, 9, 24, 24).double()),
        network_class.geometry,
        batch,
    )
    with torch.inference_mode():
        logits = torch.jit.load(tmp_path / "whole.ts")(batch)[0].numpy()
    assert_close(logits, predict_logits(make_network(network_class), image, network_class.geometry, 1000))


@for_both_networks
@pytest.mark.parametrize("elastic", ["off", "online"])
def test_patches_have_the_halo_of_each_axis(network_class, elastic):
    """The network's output for a patch is as large as its target."""
    geometry = network_class.geometry.training
    train = Train(patch=[3, 10, 12], elastic=elastic, flips=False, turns=False, contrast=0, brightness=0)
    plan = PatchPlan(train, Augment(std=1.0), geometry, (1.0,) * 3)
    image = volume(9, 20, 30).astype(np.float32)
    background = np.zeros((9, 20, 30), np.uint8)
    item = Item(image, background, np.ones((9, 20, 30), np.float32), background.astype(np.int32))
    patch = sample_patch([item], plan, 0)
    assert patch.image.shape == (1, *geometry.input_size(plan.output))
    with torch.inference_mode():
        assert (
            make_network(network_class).float()(torch.from_numpy(patch.image)[None]).shape[2:]
            == patch.target.shape
            == plan.output
        )


def test_axes_of_different_kernels_are_not_exchanged(monkeypatch):
    """This holds in training and in prediction; axes of equal kernels are exchanged."""
    train, spacing = Train(patch=8), (1.0, 1.0)
    other = Geometry((1, 2), (2, 2), (0, 0), (2, 2))
    assert PatchPlan(train, Augment(), uniform(2, 2, 2), spacing).symmetry.plane == (0, 1)
    assert PatchPlan(train, Augment(), other, spacing).symmetry == Symmetry((0, 1), None)
    description = Description(2, 1, Labels(), UNetSettings(), Prepare(), Predict(), None)
    assert description.averaged.plane == (0, 1)
    monkeypatch.setitem(NETWORKS, "unet", NETWORKS["unet"]._replace(geometry=lambda dims, settings: other))
    assert description.averaged == Symmetry((0, 1), None)
