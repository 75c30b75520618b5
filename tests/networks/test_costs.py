"""The cost model against the counts of PyTorch, for every registered network."""

from dataclasses import asdict
from math import prod

import pytest
import torch

from snakeseg.models.description import Description
from snakeseg.networks import costs
from snakeseg.networks.measures import count_operations
from snakeseg.networks.registry import NETWORKS, geometry_of, make_network
from snakeseg.settings import (
    NETWORK_SETTINGS,
    ContextSettings,
    FCNSettings,
    Labels,
    Predict,
    Prepare,
    Train,
    UNetSettings,
)
from snakeseg.training.auto_size import step_memory

PATCH = {2: (256, 256), 3: (64, 64, 64)}
DEFAULTS = [
    (dims, settings_class(name=name)) for name, settings_class in NETWORK_SETTINGS.items() for dims in (2, 3)
    if dims == 2 or not name.startswith("fcn")
]  # fmt: skip
OTHERS = [
    (2, UNetSettings(depth=3, decoder="bilinear")),
    (3, UNetSettings(width=16, depth=3, padded=True, normalisation="batch", decoder="nearest")),
    (2, UNetSettings(skips="sum")),
    (3, UNetSettings(width=16, padded=True, slices=0)),
    (3, UNetSettings(width=16, depth=2, slices=2)),
    (3, FCNSettings(name="fcn8s", width=16, slices=1)),
    (2, ContextSettings(width=16, dilations=[1, 2, 4])),
]
for_every_network = pytest.mark.parametrize(
    ("dims", "settings"), [*DEFAULTS, *OTHERS], ids=lambda v: getattr(v, "name", str(v))
)


def test_the_costs_of_every_network_are_tested():
    assert {settings.name for _, settings in DEFAULTS} == set(NETWORKS)


@for_every_network
def test_estimated_operations_are_close_to_the_count(dims, settings):
    """The estimate differs from the count by at most 35 %."""
    size = geometry_of(dims, settings).training.input_size(PATCH[dims])
    counted = costs.PASSES_PER_STEP * count_operations(lambda: make_network(dims, 1, 2, settings), 1, size)
    estimated = costs.step_operations(dims, asdict(settings), PATCH[dims], 1)
    assert 1 / 1.35 < estimated / counted < 1.35


@for_every_network
def test_estimated_memory_is_sufficient_and_at_most_four_times_the_count(dims, settings):
    """The estimate is between one and four times the count of `auto_size` for float32 on a CPU."""
    description = Description(dims, 1, Labels(), settings, Prepare(), Predict(), None)
    counted = step_memory(description, list(PATCH[dims]), 1, Train(precision="float32"), torch.device("cpu"))
    estimated = costs.step_bytes(dims, asdict(settings), PATCH[dims], 1)
    assert 1 < estimated / counted < 4


def test_costs_are_proportional_to_batch_pixels_and_squared_width():
    """Costs are proportional to batch, pixels and the square of the width; a prediction reads overlapping tiles."""
    padded, wider = (asdict(UNetSettings(width=width, padded=True)) for width in (16, 32))
    operations = costs.step_operations(2, padded, (64, 64), 1)
    assert costs.step_operations(2, padded, (64, 128), 3) == pytest.approx(6 * operations)
    assert costs.step_operations(2, wider, (64, 64), 1) == pytest.approx(4 * operations)
    pixels = prod((64, 64))
    assert costs.prediction_operations(2, padded, pixels) == pytest.approx(
        costs.TILE_OVERLAP * operations / costs.PASSES_PER_STEP
    )
