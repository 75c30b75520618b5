"""What goes wrong on a cluster while a model is trained: the run completes all the same, with the same bits."""

import os
import re
import subprocess
import time
from contextlib import contextmanager

import psutil
import pytest
from slurm_cluster import wait_until
from slurm_training import MODEL, SECONDS, WEIGHTS


def test_a_cancelled_training_is_retried(training, cluster):
    cluster.run("scancel", *cluster.jobs("train"))
    wait_until(lambda: "cancelled" in training.causes(cluster.environment), SECONDS)
    training.require_success()


def test_a_time_limit_is_retried_with_a_longer_one(training, cluster):
    """A training that hangs meets its limit, which is set to now."""
    (first,) = cluster.jobs("train")
    asked = minutes(cluster, first)
    cluster.run("scontrol", "update", f"jobid={first}", "endtime=now")
    wait_until(lambda: set(cluster.jobs("train")) - {first}, SECONDS)
    assert minutes(cluster, cluster.jobs("train")[-1]) == 2 * asked
    assert training.causes(cluster.environment) == ["", "time limit"]
    training.require_success()


def test_a_node_set_down_and_back(training, cluster):
    """Slurm starts the job again; after two minutes by itself, which the test does not wait for."""
    (job,) = cluster.jobs("train")
    node = cluster.run("squeue", "-h", "-j", job, "-o", "%N")
    cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        wait_until(lambda: cluster.run("squeue", "-h", "-j", job, "-o", "%T") == "PENDING", SECONDS)
        (case,) = training.status(cluster.environment)["cases"]
        assert (case["state"], case["before"], case["cause"]) == ("requeued", ["node failure"], "")
        assert "DUE TO NODE FAILURE" in case["lines"][0]
        # A node that comes back while it still ends the job refuses it as a second copy: it is drained, the job held.
        wait_until(lambda: not steps_on_nodes(job), SECONDS)
    finally:
        cluster.run("scontrol", "update", f"nodename={node}", "state=resume")
    cluster.run("scontrol", "update", f"jobid={job}", "starttime=now")
    wait_until(lambda: cluster.jobs("train"), SECONDS)
    (case,) = training.status(cluster.environment)["cases"]
    assert (case["state"], case["before"]) == ("running", ["requeued"])
    training.require_success()


def test_snakemake_killed(training, cluster, submit):
    """Its job lives on; the rerun's job waits for it."""
    training.process.kill()
    training.process.wait()
    assert len(cluster.jobs("train")) == 1
    assert training.status(cluster.environment)["controller"] == "was killed"
    assert submit(training.folder, "--unlock").wait(SECONDS) == 0
    again = submit(training.folder, WEIGHTS)
    training.resume()
    training._replace(process=again).require_success(resumed=False)


def test_the_controller_restarts(training, cluster):
    cluster.stop("slurmctld")
    training.resume()
    time.sleep(5)
    cluster.start_controller()
    training.require_success(resumed=False)


def test_an_output_folder_that_cannot_be_written(training, cluster, submit):
    """Until that is told; if all attempts fall into that time, the same command goes on."""
    with unwritable(training.folder / MODEL / "state", training.folder / MODEL):
        training.resume()
        wait_until(lambda: "file system" in training.causes(cluster.environment), SECONDS)
    if training.process.wait(SECONDS):
        training = training._replace(process=submit(training.folder, WEIGHTS))
    training.require_success()


def steps_on_nodes(job: str) -> list[psutil.Process]:
    """What watches over the job's steps on the nodes."""
    return [process for process in psutil.process_iter(["cmdline"])
            if " ".join(process.info["cmdline"] or ()).startswith(f"slurmstepd: [{job}.")]  # fmt: skip


def minutes(cluster, job: str) -> int:
    """The time limit of a job."""
    limit = re.search(r"TimeLimit=(?:(\d+)-)?(\d+):(\d+):", cluster.run("scontrol", "show", "job", job))
    days, hours, minutes = (int(part or 0) for part in limit.groups())
    return (24 * days + hours) * 60 + minutes


@contextmanager
def unwritable(*folders):
    """Nothing can be written into these, not even by root where the file system can forbid it."""
    forbid, allow = (("chattr", "+i"), ("chattr", "-i")) if os.geteuid() == 0 else (("chmod", "a-w"), ("chmod", "u+w"))
    if subprocess.run([*forbid, *folders], capture_output=True, check=False).returncode:
        pytest.skip("root may write anywhere on this file system")
    try:
        yield
    finally:
        subprocess.run([*allow, *folders], check=True)
