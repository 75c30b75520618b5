"""Choice of patch and batch by memory."""

from dataclasses import replace

import pytest
import torch

from snakeseg.devices import group_limits
from snakeseg.errors import BadInput
from snakeseg.models.description import Description
from snakeseg.settings import ContextSettings, FCNSettings, Labels, Predict, Prepare, Train, UNetSettings
from snakeseg.training import auto_size

CPU = torch.device("cpu")
NETWORK = UNetSettings(width=4, depth=2, normalisation="batch")
AUTO = Train(patch="auto", batch="auto", precision="float32")
GB = 2**30


def description(network=NETWORK, dims=2):
    return Description(dims, 1, Labels(), network, Prepare(), Predict(), None)


def choose_patch_and_batch(monkeypatch, settings=AUTO, total=8 * GB, shapes=((300, 400),), network=NETWORK):
    monkeypatch.setattr(auto_size, "total_memory", lambda device: total)
    return auto_size.choose_patch_and_batch(settings, description(network), shapes, CPU)


def test_numbers_of_the_config_are_kept(monkeypatch):
    assert choose_patch_and_batch(monkeypatch, Train(patch=100, batch=3)) == (Train(patch=100, batch=3), "")
    chosen, _ = choose_patch_and_batch(monkeypatch, replace(AUTO, patch=100))
    assert chosen.patch == 100
    chosen, _ = choose_patch_and_batch(monkeypatch, replace(AUTO, batch=3))
    assert chosen.batch == 3


def test_the_patch_is_the_median_image_if_memory_allows(monkeypatch):
    chosen, message = choose_patch_and_batch(monkeypatch, shapes=[(100, 90), (300, 200), (2000, 3000)])
    assert (chosen.patch, chosen.patch) == description().geometry.training.output_size(200)
    assert chosen.batch == 4  # on a CPU, a batch has at most as many pixels as one large patch
    assert f"patch {chosen.patch}, batch 4" in message
    chosen, _ = choose_patch_and_batch(monkeypatch, shapes=[(5000, 6000)])
    assert (chosen.patch, chosen.patch) == description().geometry.training.output_size(512)
    assert chosen.batch == 1


def test_less_memory_gives_a_smaller_patch_within_the_memory_share(monkeypatch):
    sizes = []
    for megabytes in (4000, 20, 5):
        chosen, _ = choose_patch_and_batch(monkeypatch, total=megabytes * 2**20)
        used = auto_size.step_memory(description(), chosen.patch, chosen.batch, chosen, CPU)
        assert used <= auto_size.MEMORY_SHARE * megabytes * 2**20
        sizes.append(chosen.patch)
    assert sizes[0] > sizes[1] > sizes[2]


def test_too_little_memory_is_an_error(monkeypatch):
    with pytest.raises(BadInput, match=r"found a training step of .* GB; expected at most"):
        choose_patch_and_batch(monkeypatch, total=2**18)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "network",
    [UNetSettings(width=4), replace(NETWORK, padded=True), ContextSettings(width=8), FCNSettings(width=2)],
    ids=lambda n: n.name,
)
def test_counted_bytes_equal_those_that_a_step_keeps(network, precision):
    """Fake tensors give the same count as a real step."""
    untrained = description(network).make_network().train()
    geometry, settings = description(network).geometry.training, replace(AUTO, precision=precision)
    kept = auto_size._kept_bytes(untrained, torch.zeros(2, 1, *geometry.input_size(100)), settings, CPU)
    weights = sum(p.numel() * 4 for p in untrained.parameters())
    estimate = auto_size.step_memory(description(network), 100, 2, settings, CPU)
    assert estimate == pytest.approx(auto_size.MEMORY_OVERHEAD * (kept + 4 * weights), rel=0.01)


def test_the_smallest_patch_is_chosen_if_no_other_fits():
    network = UNetSettings(width=2, depth=4)
    smallest, _ = description(network).geometry.training.output_size(1)
    need = auto_size.step_memory(description(network), smallest, 1, AUTO, CPU)
    with pytest.MonkeyPatch.context() as patched:
        chosen, _ = choose_patch_and_batch(
            patched, replace(AUTO, batch=1), total=need / auto_size.MEMORY_SHARE, network=network
        )
    assert chosen.patch == smallest


def test_memory_of_images_is_subtracted(monkeypatch):
    monkeypatch.setattr(auto_size, "total_memory", lambda device: 40 * 2**20)
    sizes = [
        auto_size.choose_patch_and_batch(AUTO, description(), [(300, 400)], CPU, image_bytes)[0].patch
        for image_bytes in (0, 30 * 2**20)
    ]
    assert sizes[1] < sizes[0]


def test_total_memory_is_plausible():
    assert GB / 4 < auto_size.total_memory(CPU) < 2**45


def test_a_team_shares_the_batch_and_the_memory_of_a_cpu(monkeypatch):
    chosen, _ = choose_patch_and_batch(monkeypatch, replace(AUTO, patch=100, processes=3))
    assert chosen.batch % 3 == 0
    small, _ = choose_patch_and_batch(monkeypatch, replace(AUTO, batch=4, processes=4), total=10 * 2**20)
    alone, _ = choose_patch_and_batch(monkeypatch, replace(AUTO, batch=1), total=10 * 2**20)
    assert small.patch < alone.patch


def test_limits_of_a_job_are_read(tmp_path):
    """Control groups of version 2, nested as by Slurm; "max" is no limit."""
    groups = tmp_path / "sys/fs/cgroup/system.slice/slurmd/job_7"
    (groups / "step_0").mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/system.slice/slurmd/job_7/step_0\n", encoding="utf-8")
    (groups / "memory.max").write_text("16000000000\n", encoding="utf-8")
    (groups / "step_0/memory.max").write_text("max\n", encoding="utf-8")
    assert list(group_limits(tmp_path)) == [16_000_000_000]


def test_limits_of_version_1_are_read(tmp_path):
    (tmp_path / "sys/fs/cgroup/memory/slurm/job_7").mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("3:cpu,cpuacct:/x\n4:memory:/slurm/job_7\n", encoding="utf-8")
    (tmp_path / "sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes").write_text("5000\n", encoding="utf-8")
    assert list(group_limits(tmp_path)) == [5000]
