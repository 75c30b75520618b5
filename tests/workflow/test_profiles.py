"""Resources that jobs request, and the names of a site for them."""

import re
from dataclasses import asdict

import pytest
import yaml
from slurm_site import site_profile

from snakeseg.networks.costs import step_bytes
from snakeseg.settings import UNetSettings

pytestmark = pytest.mark.slow


@pytest.fixture
def requested(snakemake, write_run, tmp_path):
    """Return a function that gives the resources of a rule's first job in a dry run."""

    def request(rule: str, *options: str, changes: dict | None = None) -> dict[str, str]:
        write_run(tmp_path, changes)
        done = snakemake(tmp_path, "--dry-run", "--configfile", "config.yaml", *options)
        assert done.returncode == 0, done.stdout
        text = re.search(rf"rule {rule}:.*?resources: (.*?)\n", done.stdout, re.DOTALL)[1]
        return dict(part.split("=", 1) for part in text.split(", "))

    return request


def test_all_profiles_refuse_executable_configs_by_the_same_lines(repository):
    """Profiles cannot share a file: the lines that refuse `__use_yte__` in a config are the same in each."""
    profiles = [path.read_text(encoding="utf-8") for path in repository.glob("profiles/*/config.yaml")]
    guards = [
        re.search(r"  - from snakemake\.common.*configfile\._load_configfile = load_data\n", t, re.DOTALL)
        for t in profiles
    ]
    assert len(guards) == 3
    assert len({guard[0] for guard in guards}) == 1


def test_the_profile_lists_every_gpu_rule(repository):
    text = "".join(path.read_text(encoding="utf-8") for path in (repository / "workflow/rules").glob("*.smk"))
    rules = dict(re.findall(r"^rule (\w+):\n(.*?)^    shell:", text, re.MULTILINE | re.DOTALL))
    gpu_rules = {
        name for name, body in rules.items() if re.search(r"^        (gpu=|\*\*ON_DEVICE)", body, re.MULTILINE)
    }
    gpu_rules |= set(re.findall(r"^use rule train as (\w+)", text, re.MULTILINE))
    profile = yaml.safe_load((repository / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    assert gpu_rules == set(profile["__variables__"]["gpu_rules"])


@pytest.mark.parametrize(
    ("gpu_job", "expected"),
    [
        ({"slurm_partition": "big"}, {"gpu": "1", "slurm_partition": "big"}),
        ({"gpu": 0, "gres": "gpu:1"}, {"gpu": "0", "gres": "gpu:1", "slurm_partition": "cpu"}),
        ({"gpu": 0, "constraint": "a100"}, {"gpu": "0", "constraint": "a100"}),
    ],
)
def test_sites_request_a_gpu_by_their_own_names(gpu_job, expected, requested, repository, tmp_path):
    """The command may still use the GPU, and the profile adds further resources of a rule."""
    profile = site_profile(repository, tmp_path / "site", gpu_job=gpu_job, of_rule={"train": {"runtime": 7}})
    resources = requested("train", "--workflow-profile", str(profile))
    assert (expected | {"compute_gpus": "1", "runtime": "7"}).items() <= resources.items()


def test_without_gpus_commands_use_none(requested):
    assert requested("train", "--resources", "gpu=0")["compute_gpus"] == "0"
    assert requested("train", "--resources", "gpu=1")["compute_gpus"] == "1"


def test_later_attempts_request_more(requested):
    first, second = (requested("train", "--attempt", attempt) for attempt in "12")
    for name in ("mem_mb", "runtime"):
        assert int(second[name]) == 2 * int(first[name])


def test_requests_follow_sizes_and_settings(requested):
    """Without a GPU, a wider network needs memory and time in proportion; larger images need memory."""
    cpu = ["--resources", "gpu=0"]
    base = requested("train", *cpu, changes={"train": {"steps": 10**6, "patch": 40}})
    wide = requested(
        "train", *cpu, changes={"train": {"steps": 10**6, "patch": 40}, "network": {"width": 40, "depth": 2}}
    )
    # The memory of a step by the cost model, on top of 2000 MB and 1 MB for the images.
    for resources, width in ((base, 4), (wide, 40)):
        network = asdict(UNetSettings(width=width, depth=2))
        assert int(resources["mem_mb"]) == pytest.approx(2000 + step_bytes(2, network, (40, 40), 1) / 1e6, abs=2)
    assert (int(wide["runtime"]) - 30) / (int(base["runtime"]) - 30) == pytest.approx(100, rel=0.02)
    small, large = (
        requested("prepare", changes={"simulate": {"images": 9, "size": size, "cells": 12}}) for size in (64, 4096)
    )
    assert int(large["mem_mb"]) - int(small["mem_mb"]) == pytest.approx(80 * 4096**2 / 1e6, abs=2)


def test_a_workstation_has_as_many_slots_as_gpus(repository, monkeypatch):
    from snakemake.profiles import ProfileConfigFileParser

    for visible, expected in (("0,1", {"gpu": 2}), ("", None)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with (repository / "profiles/default/config.yaml").open() as file:
            assert dict(ProfileConfigFileParser().parse(file)).get("resources") == (expected and ["gpu=2"])
