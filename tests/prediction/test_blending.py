"""Blending of tiles: weights add up to one, and steps between tiles vanish."""

from functools import partial

import narrow
import numpy as np
import pytest
import torch

from snakeseg.arrays import grid_regions
from snakeseg.networks.geometry import uniform
from snakeseg.networks.registry import geometry_of
from snakeseg.prediction.blending import run_blended
from snakeseg.prediction.overlap_tile import assemble, make_tile_function, run_tiles
from snakeseg.prediction.tiles import is_blended, tiles_of_part
from snakeseg.settings import UNetSettings

random_network = partial(narrow.random_network, classes=3)


@pytest.mark.parametrize(
    ("shape", "stride"), [((37, 50), (16, 12)), ((5, 90), (8, 8)), ((20, 13, 9), (8, 8, 12)), ((16, 16), (16, 16))]
)
def test_blending_does_not_change_output_that_is_independent_of_the_tile(shape, stride):
    """The weights of all windows add up to one in every pixel, including the image's border."""
    geometry = uniform(len(shape), halo=3, multiple=4, tile_exact=False)
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)

    def identity(tile_input):
        return tile_input[(slice(None), *(slice(3, -3) for _ in shape))]

    blended = assemble(run_blended(identity, image, geometry, stride), shape)
    assert blended.dtype == np.float32
    np.testing.assert_allclose(blended, image, atol=1e-6)


def test_blending_removes_steps_between_tiles():
    """A ramp minus the mean of the tile has steps between adjacent tiles, and none between blended tiles."""
    image = np.broadcast_to(np.arange(160, dtype=np.float32), (1, 64, 160))
    geometry, stride = uniform(2, halo=4, multiple=4, tile_exact=False), (32, 32)

    def compute_tile(tile_input):
        return (tile_input - tile_input.mean())[:, 4:-4, 4:-4]

    plain, blended = (
        assemble(run(compute_tile, image, geometry, stride), (64, 160)) for run in (run_tiles, run_blended)
    )
    assert np.abs(np.diff(plain[0, 0])).max() > 20
    assert np.abs(np.diff(blended[0, 0])).max() < 1.1


def test_parts_of_a_blended_image_equal_the_whole_bitwise():
    settings = UNetSettings(width=2, depth=2, normalisation="group")
    geometry, shape, stride = geometry_of(2, settings), (90, 50), (16, 24)
    compute_tile = make_tile_function(random_network(2, settings).float(), geometry)
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    whole = assemble(run_blended(compute_tile, image, geometry, stride), shape)
    parts = [
        run_blended(compute_tile, image, geometry, stride, tiles=tiles_of_part(shape, stride, i, 3)) for i in range(3)
    ]
    np.testing.assert_array_equal(assemble((piece for part in parts for piece in part), shape), whole)
    assert len(list(run_blended(compute_tile, image, geometry, stride))) == len(list(grid_regions(shape, stride)))


def test_a_single_tile_is_not_blended():
    exact, other = uniform(2, 3, 4), uniform(2, 3, 4, tile_exact=False)
    assert is_blended((30, 20), (16, 20), other)
    assert not is_blended((30, 20), (32, 20), other)
    assert not is_blended((30, 20), (16, 20), exact)


def test_windows_are_on_the_requested_device():
    devices = []

    def compute_tile(tile_input):
        devices.append(tile_input.device.type)
        return tile_input

    image = np.random.default_rng(0).normal(size=(1, 8, 8)).astype(np.float32)
    list(run_blended(compute_tile, image, uniform(2, 0, 4, tile_exact=False), (4, 4), "cpu"))
    assert devices == ["cpu"] * 9
    assert torch.is_inference_mode_enabled() is False
