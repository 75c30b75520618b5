"""Faults of a cluster during a training: the run completes with the same bits."""

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
    """The suspended training exceeds its limit, which is set to now."""
    (first,) = cluster.jobs("train")
    limit = time_limit_minutes(cluster, first)
    cluster.run("scontrol", "update", f"jobid={first}", "endtime=now")
    wait_until(lambda: set(cluster.jobs("train")) - {first}, SECONDS)
    assert time_limit_minutes(cluster, cluster.jobs("train")[-1]) == 2 * limit
    assert training.causes(cluster.environment) == ["", "time limit"]
    training.require_success()


def test_a_job_of_a_failed_node_is_requeued(training, cluster):
    """Slurm would start the job again by itself after two minutes; the test does not wait for this."""
    (job,) = cluster.jobs("train")
    node = cluster.run("squeue", "-h", "-j", job, "-o", "%N")
    cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        wait_until(lambda: cluster.run("squeue", "-h", "-j", job, "-o", "%T") == "PENDING", SECONDS)
        (case,) = training.status(cluster.environment)["cases"]
        assert (case["state"], case["before"], case["cause"]) == ("requeued", ["node failure"], "")
        assert "DUE TO NODE FAILURE" in case["lines"][0]
        # A node that returns before it has ended the job refuses a second copy: Slurm drains it and holds the job.
        wait_until(lambda: not steps_on_nodes(job), SECONDS)
    finally:
        cluster.run("scontrol", "update", f"nodename={node}", "state=resume")
    cluster.run("scontrol", "update", f"jobid={job}", "starttime=now")
    wait_until(lambda: cluster.jobs("train"), SECONDS)
    (case,) = training.status(cluster.environment)["cases"]
    assert (case["state"], case["before"]) == ("running", ["requeued"])
    training.require_success()


def test_the_rerun_of_a_killed_snakemake_waits_for_its_job(training, cluster, submit):
    """The job of the killed snakemake continues."""
    training.process.kill()
    training.process.wait()
    assert len(cluster.jobs("train")) == 1
    assert training.status(cluster.environment)["controller"] == "was killed"
    assert submit(training.folder, "--unlock").wait(SECONDS) == 0
    again = submit(training.folder, WEIGHTS)
    training.resume()
    training._replace(process=again).require_success(resumed=False)


def test_a_restart_of_the_controller_does_not_disturb_a_training(training, cluster):
    cluster.stop("slurmctld")
    training.resume()
    time.sleep(5)
    cluster.start_controller()
    training.require_success(resumed=False)


def test_a_training_resumes_after_its_output_folder_was_unwritable(training, cluster, submit):
    """It is unwritable until the failure is reported. If all attempts fail in that time, the same command resumes."""
    with unwritable(training.folder / MODEL / "state", training.folder / MODEL):
        training.resume()
        wait_until(lambda: "file system" in training.causes(cluster.environment), SECONDS)
    if training.process.wait(SECONDS):
        training = training._replace(process=submit(training.folder, WEIGHTS))
    training.require_success()


def steps_on_nodes(job: str) -> list[psutil.Process]:
    """Return the processes that supervise the steps of a job on the nodes."""
    return [process for process in psutil.process_iter(["cmdline"])
            if " ".join(process.info["cmdline"] or ()).startswith(f"slurmstepd: [{job}.")]  # fmt: skip


def time_limit_minutes(cluster, job: str) -> int:
    """Return the time limit of a job in minutes."""
    limit = re.search(r"TimeLimit=(?:(\d+)-)?(\d+):(\d+):", cluster.run("scontrol", "show", "job", job))
    days, hours, rest = (int(part or 0) for part in limit.groups())
    return (24 * days + hours) * 60 + rest


@contextmanager
def unwritable(*folders):
    """Forbid writing into folders, also for root if the file system supports it."""
    forbid, allow = (("chattr", "+i"), ("chattr", "-i")) if os.geteuid() == 0 else (("chmod", "a-w"), ("chmod", "u+w"))
    if subprocess.run([*forbid, *folders], capture_output=True, check=False).returncode:
        pytest.skip("root may write anywhere on this file system")
    try:
        yield
    finally:
        subprocess.run([*allow, *folders], check=True)
