"""The workflow outside a clone: as a module of another workflow, from a folder or a repository, and from a wheel."""

import json
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml

pytestmark = pytest.mark.slow

# Another workflow: it uses all rules with a prefix, its own section of the config, and one of our outputs.
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
    """Return a function that writes the other workflow, which uses the output of one of our rules, and its config."""

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


def test_rules_of_the_module_are_planned_under_a_prefix(other, snakemake, repository):
    folder = other(json.dumps(f"{repository}/workflow/Snakefile"), "summarise")
    planned = jobs(snakemake(folder, "--dry-run", snakefile=folder / "Snakefile"))
    assert (planned["seg_train"], planned["seg_prepare"], planned["count"], planned["all"]) == (2, 1, 1, 1)
    assert {name for name in planned if not name.startswith("seg_")} == {"count", "all", "total"}


def test_rules_of_the_module_run_from_another_folder(other, snakemake, repository):
    """The package lies beside the module's Snakefile; the default target is that of the other workflow."""
    folder = other(json.dumps(f"{repository}/Snakefile"), "check")
    done = snakemake(folder, "--cores", "1", snakefile=folder / "Snakefile")
    assert jobs(done)["seg_check"] == 1
    assert (folder / "results/small/check.tsv").is_file()
    for line in (
        "training plain: 1 x 8 steps of 1 patches of 40 x 40 pixels",
        "memory: up to ",
        "disk: about ",
        "time: ",
    ):
        assert line in done.stdout
        assert line in (folder / "logs/small/check.log").read_text(encoding="utf-8")
    assert (folder / "counted.txt").read_text(encoding="utf-8").strip() == "10"


def test_the_module_runs_from_a_repository(other, snakemake, repository, tmp_path):
    """`github("someone/snakeseg", ...)` needs a network; a repository on this machine stands in for it."""
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


def test_the_workflow_runs_from_a_wheel(snakemake, write_run, repository, tmp_path, monkeypatch):
    """The jobs import the package of the wheel, which contains workflow, config and profiles."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(repository)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    package = tmp_path / "site" / "snakeseg"
    for name in ("config/config.yaml", "profiles/slurm/config.yaml", "environment.yml"):
        assert (package / name).read_bytes() == (repository / name).read_bytes()
    main = package / "__main__.py"
    main.write_text('print("from the wheel")\n' + main.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    write_run(tmp_path / "run")
    done = snakemake(
        tmp_path / "run", "--configfile", "config.yaml", "--cores", "1", "check", snakefile=package / "Snakefile"
    )
    assert jobs(done)["check"] == 1
    assert "from the wheel" in (tmp_path / "run/logs/small/check.log").read_text(encoding="utf-8")
