"""Other ways in which sites ask for a GPU, and several nodes for one training (docs/how-to/cluster.md)."""

import re
import shutil

import pytest
from slurm_cluster import wait_until
from slurm_site import site_profile
from slurm_training import CHANGES, MODEL, SECONDS, WEIGHTS, training_processes


@pytest.mark.parametrize(
    ("gpu_job", "told"),
    [
        ({"slurm_partition": "gpu", "gpu": 0, "gres": "gpu:1"}, "TresPerNode=gres:gpu:1"),
        ({"slurm_partition": "gpu", "gpu": 0, "constraint": "a100"}, "Features=a100"),
    ],
    ids=["gres", "constraint"],
)
def test_a_gpu_is_asked_for_in_the_sites_words(gpu_job, told, untrained, submit, cluster, repository, tmp_path):
    """The job starts, and its command may use a GPU."""
    process = submit(untrained, WEIGHTS, profile=site_profile(repository, tmp_path / "site", gpu_job=gpu_job))
    found = []
    wait_until(lambda: found.extend(training_processes(untrained)) or found or process.poll() is not None, SECONDS)
    asked = cluster.run("scontrol", "show", "job", found[0].environ()["SLURM_JOB_ID"])
    assert set(re.findall(r"TresPer\w+=\S+|Features=a100", asked)) == {told}
    assert "--gpus 1" in " ".join(found[0].info["cmdline"])


def test_one_training_on_two_nodes(untrained, submit, cluster, repository, snakemake, write_small, tmp_path):
    """Two tasks on CPUs, started by srun, make the bytes of two processes here."""
    write_small(untrained, CHANGES | {"train": {"patch": 40, "steps": 20, "batch": 2, "processes": 2}})
    done = snakemake(untrained, WEIGHTS, "--configfile", "config.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout
    expected = (untrained / WEIGHTS).read_bytes()
    shutil.rmtree(untrained / MODEL)
    more = {"train": {"nodes": 2, "tasks": 2, "tasks_per_gpu": 0, "mpi": "srun"}}
    process = submit(untrained, WEIGHTS, profile=site_profile(repository, tmp_path / "site", of_rule=more))
    jobs = []
    wait_until(lambda: jobs.extend(cluster.jobs("train")) or jobs or process.poll() is not None, SECONDS)
    assert "NumNodes=2 " in cluster.run("scontrol", "show", "job", jobs[0])
    assert process.wait(SECONDS) == 0, (untrained / "snakemake.log").read_text(encoding="utf-8")
    assert (untrained / WEIGHTS).read_bytes() == expected
