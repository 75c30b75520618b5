"""Batch normalisation folded into the preceding convolutions."""

import copy

import pytest
import torch
from narrow import NARROW, name_of, random_network
from torch import nn

from snakeseg.networks.folding import fold_normalisation
from snakeseg.networks.registry import geometry_of
from snakeseg.settings import DynUNetSettings, UNetSettings

NORMALISED = [UNetSettings(width=4, depth=2, normalisation="batch", padded=p) for p in (False, True)]
WITH_BATCH_NORMALISATION = [(2, s) for s in NORMALISED] + [(3, NORMALISED[0]), (2, DynUNetSettings(width=4, depth=2))]
NORMALISATION_LAYERS = (nn.BatchNorm2d, nn.BatchNorm3d)


def count_normalisation_layers(network):
    return sum(isinstance(module, NORMALISATION_LAYERS) for module in network.modules())


@pytest.mark.parametrize(("dims", "settings"), [*WITH_BATCH_NORMALISATION, *NARROW], ids=name_of)
def test_a_folded_network_gives_the_same_output(dims, settings):
    network = random_network(dims, settings)
    geometry = geometry_of(dims, settings)
    size = geometry.input_size([2 * step for step in geometry.multiple])
    image = torch.rand(1, 1, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = network(image)
    folded = fold_normalisation(copy.deepcopy(network))
    torch.testing.assert_close(folded(image), expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))
    if isinstance(settings, UNetSettings):
        assert count_normalisation_layers(folded) == 0


def test_memory_format_is_kept_and_other_layers_stay():
    network = random_network(2, NORMALISED[0]).to(memory_format=torch.channels_last)
    assert count_normalisation_layers(network) > 0
    folded = fold_normalisation(network)
    assert folded.encoder.levels[1][0].weight.is_contiguous(memory_format=torch.channels_last)
    unrelated = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)).eval()
    assert count_normalisation_layers(fold_normalisation(unrelated)) == 1
