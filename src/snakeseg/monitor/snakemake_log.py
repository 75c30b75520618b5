"""Snakemake's own log as jobs: the one record that outlives a rerun, since logs of failed jobs are deleted then."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

STAMP = re.compile(r"\s*\[(\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4})\]")
RULE = re.compile(r" *(Error in )?(?:local)?(?:rule|checkpoint) (\w+):$")
ITEM = re.compile(r" +([\w-]+):(?: (.*))?$")
FINISHED = re.compile(r"Finished jobid: (\d{1,18})\b")
RESTARTED = re.compile(r"Trying to restart job (\S+)\.")
GROUP = re.compile(r".*\] Group job (\S+) \(jobs in")
SUBMITTED = re.compile(r"Job (\S+) has been submitted with SLURM jobid (\S+) \(log: (.+)\)\.")
ARRAY = re.compile(
    r"Submitted array job with Snakemake IDs ([\d,]+) and SLURM job ID (\d{1,18})\. .* are (\d{1,18})-\d{1,18}\."
)
LOGFILE = re.compile(r"\s*Logfile .+:$")
STATUS = re.compile(r"Command '(.*)' (returned non-zero exit status \d+|died with [^']*)\.$")
COUNT = re.compile(r"(\w+) +(\d{1,18})$")
HEADER = re.compile(r"  (Host|Command): (.*)")
MISSING = re.compile(r"Job (\S+)  ?completed successfully, but some output files are missing")
COMPLAINT = re.compile(r"(?!RuleException|CalledProcessError|MissingOutputException)\w*(Error|Exception)\b")
# Exit statuses that an error may belong to: those of jobs that failed at about the same time.
MAX_STATUSES = 100
# Of failed jobs, of which more is told elsewhere; and where in the workflow's source.
NO_COMPLAINT = ("WorkflowError:", "At least one job did not", "  File ")


@dataclass
class Failure:
    """One attempt that failed: when, what Snakemake said of it, the job's logs as far as Snakemake shows them, and its
    number and log at the cluster."""

    ended: datetime | None
    said: str = ""
    shown: str = ""
    external: str = ""
    external_log: str = ""


@dataclass
class Job:
    """A job as the log tells it; times are local, `external` is its number at the cluster."""

    rule: str
    items: dict[str, str]
    started: datetime | None
    state: str = "running"  # or finished, failed, again: to be tried again
    ended: datetime | None = None
    external: str = ""
    external_log: str = ""
    failures: list[Failure] = field(default_factory=list)

    @property
    def log(self) -> str:
        """Path of the first of the job's logs."""
        return self.items.get("log", "").split(" (check ")[0].split(", ")[0]

    @property
    def wildcards(self) -> dict[str, str]:
        """Their values by name."""
        return _pairs(self.items.get("wildcards", ""))

    @property
    def resources(self) -> dict[str, str]:
        """What the job asked for, by name."""
        return _pairs(self.items.get("resources", ""))


@dataclass
class Session:
    """One start of snakemake: its jobs by number, how many of each rule were planned, and what it says of itself."""

    jobs: dict[str, Job] = field(default_factory=dict)
    groups: dict[str, dict[str, None]] = field(default_factory=dict)
    planned: dict[str, int] = field(default_factory=dict)
    host: str = ""
    command: str = ""
    complaint: list[str] = field(default_factory=list)
    complains: bool = False
    ended: bool = False


@dataclass
class _Block:
    """Indented lines about one job; in an error of a group, those of the group come first.

    `group` is the one that the job is listed in, `listed` says that an error of that group lists it.
    """

    rule: str = ""
    failed: bool = False
    listed: bool = False
    group: str = ""
    lines: dict[str, list[str]] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    @property
    def items(self) -> dict[str, str]:
        """Text of each item, whose lines are kept apart until then: joined one by one, many would take for ever."""
        return {name: "\n".join(lines) for name, lines in self.lines.items()}

    def goes_on(self, line: str) -> bool:
        """If a line is one of it: indented, or of a message, which may have lines of any kind."""
        if STAMP.match(line) or RULE.match(line):
            return False
        return line.startswith(" ") or ("message" in self.lines and not {"jobid", "jobs"} & self.lines.keys())

    def take(self, line: str) -> None:
        item, last = ITEM.match(line), next(reversed(self.lines), "")
        if item and (last != "shell" or item[1] == "external_jobid"):
            self.lines[item[1]] = [item[2] or ""]
        elif last:
            self.lines[last].append(line.strip())


def read_session(lines: Iterable[str]) -> Session:
    """Jobs of a log under `.snakemake/log`.

    Parameters
    ----------
    lines : iterable of str

    Returns
    -------
    Session
        Jobs in the order in which they started; a job that was tried again has its earlier failures.

    Notes
    -----
    The words are those of Snakemake 9 and of its Slurm plugin 2; a line that is not known is passed over.
    """
    session, block, now, statuses = Session(), None, None, []
    for line in _fold(iter(lines)):
        if isinstance(line, list):
            if block:
                block.shown += line
        elif block and block.goes_on(line):
            block.take(line)
        else:
            _close(session, block, now, statuses)
            stamp = STAMP.match(line)
            now = _time(stamp[1]) if stamp else now
            session.complains &= not stamp
            block = _begin(line, block)
            if block is None and (status := STATUS.match(line)):
                statuses.append(status)
            elif block is None:
                _event(session, line, now)
    _close(session, block, now, statuses)
    return session


def _begin(line: str, before: _Block | None) -> _Block | None:
    """Return the block that a stamp or the name of a rule begins; None if the line begins none."""
    indented = line.startswith(" ")
    if STAMP.match(line):
        group = GROUP.match(line)
        return _Block(group=group[1] if group else before.group if before and indented else "")
    if rule := RULE.match(line):
        listed = before is not None and "jobs" in before.lines and indented and not rule[1]
        block = _Block(rule[2], bool(rule[1]), listed, before.group if before else "")
        block.lines = dict(before.lines) if listed else {}
        return block
    return None


def _time(text: str) -> datetime | None:
    """The time of a stamp; None if there is no such time."""
    try:
        time = datetime.strptime(text, "%a %b %d %H:%M:%S %Y")
        time.timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return time


def _pairs(text: str) -> dict[str, str]:
    return dict(one.split("=", 1) for one in re.split(r", (?=\w+=)", text) if "=" in one)


def _fold(lines: Iterator[str]) -> Iterator[str | list[str]]:
    """Lines, but a log that Snakemake shows between bars as a list: it may hold another Snakemake's words."""
    line = next(lines, None)
    while line is not None:
        following = next(lines, None)
        bar = (following or "").strip()
        if LOGFILE.match(line) and bar and set(bar) == {"="}:
            yield list(_shown(lines, bar))
            following = next(lines, None)
        else:
            yield line.rstrip("\n")
        line = following


def _shown(lines: Iterator[str], bar: str) -> Iterator[str]:
    """Up to the bar that ends the log; one may be shown in it."""
    opened, head = 0, False
    for line in (line.rstrip("\n") for line in lines):
        if set(line.strip()) == {"="} and head:
            opened += 1
        elif line.strip() == bar:
            if not opened:
                return
            opened -= 1
        else:
            yield line
        head = bool(LOGFILE.match(line))


def _close(session: Session, block: _Block | None, now: datetime | None, statuses: list[re.Match]) -> None:
    """Note what a block has told."""
    if block is None or not block.rule or "jobid" not in block.items:
        return
    number, items = block.items["jobid"], block.items
    job = session.jobs.get(number)
    if not block.failed and not block.listed:
        session.jobs[number] = Job(block.rule, items, now, failures=job.failures if job else [])
        session.groups.setdefault(block.group or number, {})[number] = None
        return
    job = job or session.jobs.setdefault(number, Job(block.rule, items, None))
    job.external = items.get("external_jobid", job.external)
    logs = items.get("log", "").split(" (check ")[0].split(", ")
    job.external_log = next((log for log in logs if log and log != job.log), job.external_log)
    if block.listed:  # an error of its own follows
        return
    own = [status[2] for status in statuses[-MAX_STATUSES:] if job.log and job.log in status[1]]
    said = "\n".join([items.get("message", "").removeprefix("None"), *own[-1:]]).strip()
    job.failures.append(Failure(now, said, "\n".join(block.shown), job.external, job.external_log))
    job.state, job.ended = "failed", now


def _event(session: Session, line: str, now: datetime | None) -> None:
    """Note a line that tells something by itself."""
    jobs = session.jobs
    if found := FINISHED.match(line):
        if job := jobs.get(found[1]):
            job.state, job.ended = "finished", now
    elif found := RESTARTED.match(line):
        for number in session.groups.get(found[1], []):
            jobs[number].state = "again"
    elif found := SUBMITTED.match(line):
        for number in session.groups.get(found[1], []):
            jobs[number].external, jobs[number].external_log = found[2], found[3]
    elif found := ARRAY.match(line):
        for place, number in enumerate(found[1].split(","), start=int(found[3])):
            if job := jobs.get(number):
                job.external = f"{found[2]}_{place}"
    elif found := MISSING.match(line):
        for number in session.groups.get(found[1], []):
            jobs[number].state, jobs[number].ended = "failed", now
            jobs[number].failures.append(Failure(now, f"MissingOutputException: {line}"))
    elif found := HEADER.match(line):
        session.host = found[2] if found[1] == "Host" else session.host
        session.command = found[2] if found[1] == "Command" else session.command
    elif not jobs and not session.complains and (found := COUNT.match(line)):
        session.planned[found[1]] = int(found[2])
    else:
        session.complains |= bool(COMPLAINT.match(line))
        session.ended |= bool(jobs) and line.startswith(("Complete log(s):", "WorkflowError:"))
        if session.complains and line.strip() and not line.startswith(NO_COMPLAINT):
            session.complaint.append(line)
