"""What Slurm says of jobs, as long as it knows them."""

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
PATIENCE = 10  # seconds


class Queued(NamedTuple):
    """A job's state in Slurm's words, time it ran and has left as `[D-]HH:MM:SS`, why it waits, and its nodes."""

    state: str
    ran: str
    left: str
    reason: str
    nodes: str


def ask_slurm(numbers: Iterable[str]) -> dict[str, Queued] | None:
    """What squeue tells of jobs, by number.

    Returns
    -------
    dict or None
        Without jobs that Slurm no longer knows; without accounting it forgets them some minutes after they end. None if
        there is no Slurm or it does not answer.
    """
    numbers = list(numbers)
    if not numbers or not shutil.which("squeue"):
        return None
    # All of the user's, since squeue fails for a single number that it does not know.
    command = ["squeue", "--me", "--states=all", "--array", "--noheader", "--format=%i|%T|%M|%L|%r|%N"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = {number: Queued(*rest) for number, *rest in (line.split("|", 5) for line in answer.splitlines() if line)}
    return {number: found[number] for number in numbers if number in found}
