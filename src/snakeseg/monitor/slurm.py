"""Query the state of jobs from Slurm, which keeps it for some minutes after they end."""

import shutil
import subprocess
from collections.abc import Iterable
from typing import NamedTuple

ACTIVE = (
    "PENDING",
    "RUNNING",
    "COMPLETING",
    "CONFIGURING",
    "SUSPENDED",
    "REQUEUED",
    "RESIZING",
    "STAGE_OUT",
    "SIGNALING",
)
SQUEUE_TIMEOUT_S = 10
# Fields of `squeue --Format`: the job id, then the attributes of `SlurmJob` in the same order; maximum length of each.
FIELDS, FIELD_CHARS = ("JobArrayID", "State", "TimeUsed", "TimeLeft", "Reason", "NodeList", "RestartCnt"), 200


class SlurmJob(NamedTuple):
    """State of a job according to Slurm.

    Attributes
    ----------
    state : str
        Name of a Slurm state, such as PENDING.
    ran, left : str
        Time that the job has run, and until its time limit, as `[D-]HH:MM:SS`.
    reason : str
        Reason for which the job waits.
    nodes : str
        Nodes of the job.
    restarts : int
        Number of times that Slurm has restarted the job by itself.
    """

    state: str
    ran: str
    left: str
    reason: str
    nodes: str
    restarts: int


def query_slurm(job_ids: Iterable[str]) -> dict[str, SlurmJob] | None:
    """Query the state of jobs with squeue.

    Parameters
    ----------
    job_ids : iterable of str
        Slurm job ids.

    Returns
    -------
    dict of Queued, or None
        By job id, without jobs that Slurm has forgotten (without accounting, some minutes after they end). None if
        there are no jobs, or squeue is missing or fails.
    """
    job_ids = list(job_ids)
    if not job_ids or not shutil.which("squeue"):
        return None
    # List all jobs of the user: squeue fails if it is given the id of a job that it has forgotten.
    form = ",".join(f"{field}:{FIELD_CHARS}|" for field in FIELDS)
    command = ["squeue", "--me", "--states=all", "--array", "--noheader", f"--Format={form}"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=SQUEUE_TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    jobs = dict(_parse_line(line) for line in output.splitlines() if line)
    return {job_id: jobs[job_id] for job_id in job_ids if job_id in jobs}


def _parse_line(line: str) -> tuple[str, SlurmJob]:
    """Parse a line of squeue into job id and state."""
    job_id, *texts, restarts, _ = (cell.strip() for cell in line.split("|"))
    return job_id, SlurmJob(*texts, int(restarts or 0))
