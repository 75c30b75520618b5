"""`snakeseg doctor --submit`, as a user would say it before the first run (docs/how-to/cluster.md)."""

import os
import re
import subprocess
import sys
from pathlib import Path

from slurm_site import site_profile


def doctor(cluster, profile: Path, folder: Path) -> tuple[int, str]:
    """Exit code of the command in a folder, and the last line that it says."""
    command = [sys.executable, "-m", "snakeseg", "doctor", "--profile", profile, "--submit"]
    done = subprocess.run(command, cwd=folder, env=cluster.environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1]


def test_it_says_what_came_back(cluster, repository, tmp_path):
    """Of a job that asked for what a training is given, for five minutes; torch cannot use the pretended GPU."""
    code, told = doctor(cluster, site_profile(repository, tmp_path / "site", status_command="squeue"), tmp_path)
    assert code == 0, told
    found = re.fullmatch(
        r"warning  test job: (\S+): .+, [\d.]+ GB, \d+ cores, Slurm job (\d+); torch finds no GPU there;"
        " map gpu=1 in the profile to the GPUs of this site, .+",
        told,
    )
    assert found, told
    assert found[1] == os.uname().nodename
    job = cluster.run("scontrol", "show", "job", found[2])
    assert set(re.findall(r"(?:Partition|TresPerJob|TimeLimit|JobState)=(\S+)", job)) == {
        "COMPLETED", "gpu", "gres:gpu:1", "00:05:00",
    }  # fmt: skip


def test_it_says_why_slurm_refused(cluster, repository, tmp_path):
    """A site that asks for more GPUs than any node has."""
    asked = {"slurm_partition": "gpu", "gpu": 0, "gres": "gpu:9"}
    profile = site_profile(repository, tmp_path / "site", status_command="squeue", gpu_job=asked)
    code, told = doctor(cluster, profile, tmp_path)
    assert code == 1, told
    assert told.startswith("problem  test job: failed: not submitted: ")
    assert "Requested node configuration is not available" in told
    assert told.endswith("correct partition, account or resources in the profile, then run snakemake again")
