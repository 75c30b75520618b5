"""Other ways of sites to request a GPU, and one training on several nodes (docs/how-to/cluster.md)."""

import re
import shutil

import pytest
from slurm_cluster import wait_until
from slurm_site import site_profile
from slurm_training import CHANGES, MODEL, SECONDS, WEIGHTS, training_processes


@pytest.mark.parametrize(
    ("gpu_job", "expected"),
    [
        ({"slurm_partition": "gpu", "gpu": 0, "gres": "gpu:1"}, "TresPerNode=gres:gpu:1"),
        ({"slurm_partition": "gpu", "gpu": 0, "constraint": "a100"}, "Features=a100"),
    ],
    ids=["gres", "constraint"],
)
def test_a_gpu_is_requested_by_the_names_of_the_site(
    gpu_job, expected, untrained, submit, cluster, repository, tmp_path
):
    """The job starts, and its command may use a GPU."""
    process = submit(untrained, WEIGHTS, profile=site_profile(repository, tmp_path / "site", gpu_job=gpu_job))
    processes = []
    wait_until(
        lambda: processes.extend(training_processes(untrained)) or processes or process.poll() is not None, SECONDS
    )
    job = cluster.run("scontrol", "show", "job", processes[0].environ()["SLURM_JOB_ID"])
    assert set(re.findall(r"TresPer\w+=\S+|Features=a100", job)) == {expected}
    assert "--gpus 1" in " ".join(processes[0].info["cmdline"])


def test_a_training_on_two_nodes_gives_the_same_bytes(
    untrained, submit, cluster, repository, snakemake, write_small, tmp_path
):
    """Two CPU tasks, started by srun, give the bytes of two processes on this machine."""
    write_small(untrained, CHANGES | {"train": {"patch": 40, "steps": 20, "batch": 2, "processes": 2}})
    done = snakemake(untrained, WEIGHTS, "--configfile", "config.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout
    expected = (untrained / WEIGHTS).read_bytes()
    shutil.rmtree(untrained / MODEL)
    requests = {"train": {"nodes": 2, "tasks": 2, "tasks_per_gpu": 0, "mpi": "srun"}}
    process = submit(untrained, WEIGHTS, profile=site_profile(repository, tmp_path / "site", of_rule=requests))
    jobs = []
    wait_until(lambda: jobs.extend(cluster.jobs("train")) or jobs or process.poll() is not None, SECONDS)
    assert "NumNodes=2 " in cluster.run("scontrol", "show", "job", jobs[0])
    assert process.wait(SECONDS) == 0, (untrained / "snakemake.log").read_text(encoding="utf-8")
    assert (untrained / WEIGHTS).read_bytes() == expected
