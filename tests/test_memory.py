"""Patch and batch by memory."""

from dataclasses import replace

import pytest
import torch

from snakeseg import memory
from snakeseg.checkpoint import Description
from snakeseg.errors import BadInput
from snakeseg.settings import Labels, Predict, Prepare, Train, UNetSettings

CPU = torch.device("cpu")
NETWORK = UNetSettings(width=4, depth=2, normalisation="batch")
AUTO = Train(patch="auto", batch="auto", precision="float32")
GB = 2**30


def description(network=NETWORK, dims=2):
    return Description(dims, 1, Labels(), network, Prepare(), Predict(), None)


def settle(monkeypatch, settings=AUTO, total=8 * GB, shapes=((300, 400),), network=NETWORK):
    monkeypatch.setattr(memory, "total_memory", lambda device: total)
    return memory.settle(settings, description(network), shapes, CPU)


def test_what_is_given_stays_as_it_is(monkeypatch):
    assert settle(monkeypatch, Train(patch=100, batch=3)) == (Train(patch=100, batch=3), "")
    settled, _ = settle(monkeypatch, replace(AUTO, patch=100))
    assert settled.patch == 100
    settled, _ = settle(monkeypatch, replace(AUTO, batch=3))
    assert settled.batch == 3


def test_the_patch_is_the_middle_image_where_memory_allows(monkeypatch):
    settled, told = settle(monkeypatch, shapes=[(100, 90), (300, 200), (2000, 3000)])
    assert settled.patch == description().geometry.training.output_size(200)
    assert settled.batch == 4  # on a CPU no more pixels than one large patch
    assert f"patch {settled.patch}, batch 4" in told
    settled, _ = settle(monkeypatch, shapes=[(5000, 6000)])
    assert settled.patch == description().geometry.training.output_size(512)
    assert settled.batch == 1


def test_less_memory_smaller_patch_and_a_margin_is_left(monkeypatch):
    sizes = []
    for megabytes in (4000, 20, 5):
        settled, _ = settle(monkeypatch, total=megabytes * 2**20)
        network, geometry = description().make_network(), description().geometry.training
        used = memory.step_bytes(network, 1, geometry, 2, settled.patch, settled.batch, settled, CPU)
        assert used <= memory.MARGIN * megabytes * 2**20
        sizes.append(settled.patch)
    assert sizes[0] > sizes[1] > sizes[2]


def test_too_little_memory_says_so(monkeypatch):
    with pytest.raises(BadInput, match=r"found a step of .* GB; expected at most"):
        settle(monkeypatch, total=2**18)


def test_the_estimate_is_near_what_a_step_keeps():
    """Counted on a large patch directly, and extrapolated from a small one."""
    network = description(replace(NETWORK, padded=True)).make_network().train()
    image = torch.zeros(2, 1, 128, 128)
    kept = memory._kept_bytes(network, image, AUTO, CPU)
    weights = sum(p.numel() * 4 for p in network.parameters())
    geometry = description(replace(NETWORK, padded=True)).geometry.training
    estimate = memory.step_bytes(network, 1, geometry, 2, 128, 2, AUTO, CPU)
    assert estimate == pytest.approx(memory.OVERHEAD * (kept + 4 * weights), rel=0.15)


def test_total_memory_is_the_machines_or_less():
    assert GB / 4 < memory.total_memory(CPU) < 2**45


def test_a_team_shares_the_batch_and_a_cpus_memory(monkeypatch):
    settled, _ = settle(monkeypatch, replace(AUTO, patch=100, processes=3))
    assert settled.batch % 3 == 0
    small, _ = settle(monkeypatch, replace(AUTO, batch=4, processes=4), total=10 * 2**20)
    alone, _ = settle(monkeypatch, replace(AUTO, batch=1), total=10 * 2**20)
    assert small.patch < alone.patch
