"""`snakeseg doctor --submit` before the first run on a cluster (docs/how-to/cluster.md)."""

import os
import re
import subprocess
import sys
from pathlib import Path

from slurm_site import site_profile


def run_doctor(cluster, profile: Path, folder: Path) -> tuple[int, str]:
    """Run the command in a folder; return its exit code and the last line of its output."""
    command = [sys.executable, "-m", "snakeseg", "doctor", "--profile", profile, "--submit"]
    done = subprocess.run(command, cwd=folder, env=cluster.environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1]


def test_doctor_reports_the_result_of_the_test_job(cluster, repository, tmp_path):
    """The job requests the resources of a training for five minutes; torch cannot use the simulated GPU."""
    code, line = run_doctor(cluster, site_profile(repository, tmp_path / "site", status_command="squeue"), tmp_path)
    assert code == 0, line
    match = re.fullmatch(
        r"warning  test job: (\S+): .+, [\d.]+ GB, \d+ cores, Slurm job (\d+); torch finds no GPU there;"
        " map gpu=1 in the profile to the GPUs of this site, .+",
        line,
    )
    assert match, line
    assert match[1] == os.uname().nodename
    job = cluster.run("scontrol", "show", "job", match[2])
    assert set(re.findall(r"(?:Partition|TresPerJob|TimeLimit|JobState)=(\S+)", job)) == {
        "COMPLETED", "gpu", "gres:gpu:1", "00:05:00",
    }  # fmt: skip


def test_doctor_reports_why_slurm_refused_the_test_job(cluster, repository, tmp_path):
    """The site requests more GPUs than any node has."""
    requests = {"slurm_partition": "gpu", "gpu": 0, "gres": "gpu:9"}
    profile = site_profile(repository, tmp_path / "site", status_command="squeue", gpu_job=requests)
    code, line = run_doctor(cluster, profile, tmp_path)
    assert code == 1, line
    assert line.startswith("problem  test job: failed: not submitted: ")
    assert "Requested node configuration is not available" in line
    assert line.endswith("correct partition, account or resources in the profile, then run snakemake again")
