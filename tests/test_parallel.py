"""Processes that share a batch do what one process does with all of it."""

import numpy as np
import pytest
import torch
from team_training import SETTINGS, WORLD, make_items, train

from snakeseg.parallel import ALONE, run_together
from snakeseg.patches import PatchPlan, draw_batch
from snakeseg.settings import Augment, Train
from snakeseg.tiling import Geometry

pytestmark = pytest.mark.slow


def test_two_processes_match_one(tmp_path):
    """In float64 over 20 steps with gloo: the same losses to 1e-5, and the same weights."""
    run_together(1, 0, train, tmp_path / "one", None)
    run_together(WORLD, 0, train, tmp_path / "two", None)
    one, two = (torch.load(tmp_path / name / "rank-0.pt", weights_only=True) for name in ("one", "two"))
    assert len(one["losses"]) == 20
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0, atol=1e-5)
    for name, tensor in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], tensor, rtol=0, atol=1e-6)
    other = torch.load(tmp_path / "two" / "rank-1.pt", weights_only=True)
    assert other["losses"] == two["losses"]
    assert all(torch.equal(other["weights"][name], tensor) for name, tensor in two["weights"].items())


@pytest.mark.parametrize("size", [1, 2, 4])
def test_shares_are_the_batch(size):
    """All patches of the batch are drawn, none twice, whatever the number of processes."""
    items, plan = make_items(), PatchPlan(SETTINGS, Augment(), Geometry(halo=0, multiple=1))
    for step in range(3):
        shares = [draw_batch(items, plan, step, rank, size) for rank in range(size)]
        whole = draw_batch(items, plan, step)
        for parts, expected in zip(zip(*shares, strict=True), whole, strict=True):
            np.testing.assert_array_equal(np.concatenate(parts), expected)
    different = {draw_batch(items, plan, step).image.tobytes() for step in range(3)}
    assert len(different) == 3


def test_an_error_in_one_ends_all(tmp_path):
    with pytest.raises(Exception, match="rank 1 fails"):
        run_together(WORLD, 0, train, tmp_path, 1)


def test_alone_needs_no_processes():
    seen = []
    run_together(1, 0, lambda *given: seen.append(given), "x")
    assert seen == [("x", ALONE)]
    assert Train().processes == 1
