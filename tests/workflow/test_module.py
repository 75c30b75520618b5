"""Another workflow that uses this one as a module: from a folder beside it, and from a repository."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

pytestmark = pytest.mark.slow

# Another workflow's own: a rule before, and one after, with a prefix and a name of its own for the config's section.
OTHER = """
configfile: "other.yaml"


rule all:
    input:
        "counted.txt",


module seg:
    snakefile:
        {snakefile}
    config:
        config["segmentation"]


use rule * from seg as seg_*


rule count:
    input:
        rules.seg_{rule}.output[0],
    output:
        "counted.txt",
    shell:
        "wc -l < {{input}} > {{output}}"
"""


@pytest.fixture
def other(tmp_path, write_run, small_config):
    """Write the other workflow and its config; what it takes from ours is the output of one rule."""

    def write(snakefile: str, rule: str):
        write_run(tmp_path)
        section = {"sheet": "samples.tsv", **small_config, "simulate": {"images": 9, "size": 64, "cells": 12}}
        (tmp_path / "other.yaml").write_text(
            yaml.safe_dump({"name": "mine", "segmentation": section}), encoding="utf-8"
        )
        (tmp_path / "Snakefile").write_text(OTHER.format(snakefile=snakefile, rule=rule), encoding="utf-8")
        return tmp_path

    return write


def jobs(done) -> dict[str, int]:
    assert done.returncode == 0, done.stdout
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)}


def test_its_rules_are_planned_under_a_prefix(other, snakemake, repository):
    folder = other(json.dumps(f"{repository}/workflow/Snakefile"), "summarise")
    planned = jobs(snakemake(folder, "--dry-run", snakefile=folder / "Snakefile"))
    assert (planned["seg_train"], planned["seg_prepare"], planned["count"], planned["all"]) == (2, 1, 1, 1)
    assert {name for name in planned if not name.startswith("seg_")} == {"count", "all", "total"}


def test_its_rules_run_from_another_folder(other, snakemake, repository):
    """With the package beside the module's Snakefile; the default target stays the other workflow's own."""
    folder = other(json.dumps(f"{repository}/Snakefile"), "check")
    done = snakemake(folder, "--cores", "1", snakefile=folder / "Snakefile")
    assert jobs(done)["seg_check"] == 1
    assert (folder / "results/small/check.tsv").is_file()
    for told in (
        "training plain: 1 x 8 steps of 1 patches of 40 x 40 pixels",
        "memory: up to ",
        "disk: about ",
        "time: ",
    ):
        assert told in done.stdout
        assert told in (folder / "logs/small/check.log").read_text(encoding="utf-8")
    assert (folder / "counted.txt").read_text(encoding="utf-8").strip() == "10"


def test_from_a_repository(other, snakemake, repository, tmp_path):
    """As `github("someone/snakeseg", path=..., tag=...)`, which needs a network, a repository on this machine."""
    bare = tmp_path / "published"
    for name in ("workflow", "src"):
        shutil.copytree(repository / name, bare / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(repository / "environment.yml", bare)
    git = ["git", "-C", str(bare), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "x"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True)
    folder = other(f'gitfile({str(bare)!r}, path="workflow/Snakefile", tag="v1")', "check")
    done = snakemake(folder, "--cores", "1", snakefile=folder / "Snakefile")
    assert jobs(done)["seg_check"] == 1
    assert (folder / "counted.txt").read_text(encoding="utf-8").strip() == "10"
