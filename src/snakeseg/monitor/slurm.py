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
# Of `squeue --Format`: the job's number, then those of `Queued`, in its order; none is longer than this.
FIELDS, WIDTH = ("JobArrayID", "State", "TimeUsed", "TimeLeft", "Reason", "NodeList", "RestartCnt"), 200


class Queued(NamedTuple):
    """A job's state in Slurm's words, time it ran and has left as `[D-]HH:MM:SS`, why it waits, its nodes, and how
    often Slurm started it again by itself."""

    state: str
    ran: str
    left: str
    reason: str
    nodes: str
    restarts: int


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
    form = ",".join(f"{field}:{WIDTH}|" for field in FIELDS)
    command = ["squeue", "--me", "--states=all", "--array", "--noheader", f"--Format={form}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = dict(_queued(line) for line in answer.splitlines() if line)
    return {number: found[number] for number in numbers if number in found}


def _queued(line: str) -> tuple[str, Queued]:
    number, *texts, restarts, _ = (cell.strip() for cell in line.split("|"))
    return number, Queued(*texts, int(restarts or 0))
