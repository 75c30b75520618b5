"""Data structures for the log of one run of a snakemake process: jobs and failed attempts."""

import re
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class FailedAttempt:
    """A failed attempt of a job.

    Attributes
    ----------
    ended : datetime or None
        Local time of the end.
    said : str
        Messages of Snakemake about the failure.
    shown : str
        Logs of the job that the log of Snakemake includes.
    external, external_log : str
        Job id at the cluster, and path of the log there; "" if there is none.
    """

    ended: datetime | None
    said: str = ""
    shown: str = ""
    external: str = ""
    external_log: str = ""


@dataclass
class Job:
    """A job according to the log of Snakemake.

    Attributes
    ----------
    rule : str
        Name of the rule.
    items : dict of str
        Lines about the job, such as log, wildcards and resources.
    started, ended : datetime or None
        Local times.
    state : str
        "running", "finished", "failed", or "again" (Snakemake will start it again).
    external, external_log : str
        Job id at the cluster, and path of the log there; "" if there is none.
    failures : list of Failure
        Failed attempts, oldest first.
    """

    rule: str
    items: dict[str, str]
    started: datetime | None
    state: str = "running"
    ended: datetime | None = None
    external: str = ""
    external_log: str = ""
    failures: list[FailedAttempt] = field(default_factory=list)

    @property
    def log(self) -> str:
        """Path of the first log of the job."""
        return self.items.get("log", "").split(" (check ")[0].split(", ")[0]

    @property
    def wildcards(self) -> dict[str, str]:
        """Values of the wildcards, by name."""
        return _pairs(self.items.get("wildcards", ""))

    @property
    def resources(self) -> dict[str, str]:
        """Resources that the job requested, such as `mem_mb` and `runtime`, with their values."""
        return _pairs(self.items.get("resources", ""))


@dataclass
class Session:
    """One run of a snakemake process.

    Attributes
    ----------
    jobs : dict of Job
        Jobs by Snakemake's job id, in the order in which they started.
    groups : dict
        Job ids of each group; a job without a group is a group of its own.
    planned : dict of int
        Number of planned jobs of each rule.
    host, command : str
        Name of the machine, and command line.
    complaint : list of str
        Error message, other than failed jobs.
    complains : bool
        True while the parser is inside an error message.
    ended : bool
        True if the process ended by itself.
    """

    jobs: dict[str, Job] = field(default_factory=dict)
    groups: dict[str, dict[str, None]] = field(default_factory=dict)
    planned: dict[str, int] = field(default_factory=dict)
    host: str = ""
    command: str = ""
    complaint: list[str] = field(default_factory=list)
    complains: bool = False
    ended: bool = False


def _pairs(text: str) -> dict[str, str]:
    """Parse text such as "name=value, name=value"."""
    return dict(pair.split("=", 1) for pair in re.split(r", (?=\w+=)", text) if "=" in pair)
