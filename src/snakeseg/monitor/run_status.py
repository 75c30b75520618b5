"""Data structures for the state of a run and of its unfinished jobs."""

from dataclasses import dataclass, field
from datetime import datetime

from snakeseg.monitor.usage import Usage


@dataclass
class UnfinishedJob:
    """A job that has not finished.

    Attributes
    ----------
    case : str
        Name of the job: rule and wildcards, separated by slashes.
    rule : str
        Name of its rule.
    wildcards : dict of str
        Values of the wildcards, by name.
    state : str
        "failed", "interrupted", "lost", "running", "requeued" (by Slurm) or "queued".
    since, ended : datetime or None
        Local times of start and end.
    cause : str
        Cause of a failure, a key of `causes.STEPS` or "exception"; "" for other states.
    lines : list of str
        Lines of the logs that show the cause.
    next : str
        What to do; "" if nothing is to be done.
    before : list of str
        Cause of the failure of each earlier attempt, by Snakemake or by Slurm itself.
    progress : dict or None
        From `causes.progress_of`.
    slurm : dict or None
        job (id) and, if known, the attributes of `SlurmJob`.
    log : str
        Path of the log of the job.
    """

    case: str
    rule: str
    wildcards: dict[str, str]
    state: str
    since: datetime | None
    ended: datetime | None = None
    cause: str = ""
    lines: list[str] = field(default_factory=list)
    next: str = ""
    before: list[str] = field(default_factory=list)
    progress: dict | None = None
    slurm: dict | None = None
    log: str = ""


@dataclass
class RunStatus:
    """State of a run.

    Attributes
    ----------
    name : str
        Name of the run.
    controller : str
        State of the snakemake process, as text.
    complaint : list of str
        Error message of snakemake, other than failed jobs.
    cases : list of UnfinishedJob
        Jobs that started but have not finished, failed ones first.
    waiting : dict of int
        Number of jobs of each rule that have not started.
    finished : dict of Usage
        Resource usage of finished jobs, by the name of the job.
    """

    name: str
    controller: str
    complaint: list[str]
    cases: list[UnfinishedJob]
    waiting: dict[str, int]
    finished: dict[str, Usage]
