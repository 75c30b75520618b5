"""Parse the log of Snakemake into jobs.

This log remains after a rerun, which deletes the logs of failed jobs.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from snakeseg.monitor.session import FailedAttempt, Job, Session

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
JOB_COUNT = re.compile(r"(\w+) +(\d{1,18})$")
HEADER = re.compile(r"  (Host|Command): (.*)")
MISSING_OUTPUT = re.compile(r"Job (\S+)  ?completed successfully, but some output files are missing")
COMPLAINT = re.compile(r"(?!RuleException|CalledProcessError|MissingOutputException)\w*(Error|Exception)\b")
# Number of exit statuses before an error that may belong to it: those of jobs that failed at about the same time.
MAX_STATUSES = 100
# Beginnings of lines that add nothing to an error message: titles, failed jobs, places in the source of the workflow.
NO_COMPLAINT = ("WorkflowError:", "At least one job did not", "  File ")


@dataclass
class _Block:
    """Indented lines about one job; in the error of a group, the lines about the group come first.

    Attributes
    ----------
    rule : str
        Name of the rule of the job.
    failed : bool
        True for the error of a job.
    listed : bool
        True for a job that the error of its group lists.
    group : str
        Id of the group; "" without one.
    lines : dict
        Lines of each item, such as jobid and log.
    shown : list of str
        Lines of the logs of the job that Snakemake includes.
    """

    rule: str = ""
    failed: bool = False
    listed: bool = False
    group: str = ""
    lines: dict[str, list[str]] = field(default_factory=dict)
    shown: list[str] = field(default_factory=list)

    @property
    def items(self) -> dict[str, str]:
        """Text of each item; its lines are joined only here, because joining one by one takes quadratic time."""
        return {name: "\n".join(lines) for name, lines in self.lines.items()}

    def goes_on(self, line: str) -> bool:
        """Return True if a line belongs to the block: it is indented, or part of a message of several lines."""
        if STAMP.match(line) or RULE.match(line):
            return False
        return line.startswith(" ") or ("message" in self.lines and not {"jobid", "jobs"} & self.lines.keys())

    def take(self, line: str) -> None:
        """Add a line to its item."""
        item, last = ITEM.match(line), next(reversed(self.lines), "")
        if item and (last != "shell" or item[1] == "external_jobid"):
            self.lines[item[1]] = [item[2] or ""]
        elif last:
            self.lines[last].append(line.strip())


def read_session(lines: Iterable[str]) -> Session:
    """Parse a log of Snakemake, a file in `.snakemake/log`.

    Parameters
    ----------
    lines : iterable of str
        Lines of the log.

    Returns
    -------
    Session
        Jobs in the order in which they started; a job that was started again has its earlier failures.

    Notes
    -----
    The patterns are those of Snakemake 9 and of version 2 of its Slurm plugin. Other lines are ignored.
    """
    session, block, now, statuses = Session(), None, None, []
    for line in _nest_included_logs(iter(lines)):
        if isinstance(line, list):
            if block:
                block.shown += line
        elif block and block.goes_on(line):
            block.take(line)
        else:
            _store_block(session, block, now, statuses)
            stamp = STAMP.match(line)
            now = _time(stamp[1]) if stamp else now
            session.complains &= not stamp
            block = _start_block(line, block)
            if block is None and (status := STATUS.match(line)):
                statuses.append(status)
            elif block is None:
                _store_line(session, line, now)
    _store_block(session, block, now, statuses)
    return session


def _start_block(line: str, before: _Block | None) -> _Block | None:
    """Return a new block if the line has a time stamp or the name of a rule; else None."""
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
    """Parse the time of a stamp; None if it is invalid."""
    try:
        time = datetime.strptime(text, "%a %b %d %H:%M:%S %Y")
        time.timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return time


def _nest_included_logs(lines: Iterator[str]) -> Iterator[str | list[str]]:
    """Yield each line, and each log that Snakemake includes as a list: it may contain the log of another Snakemake."""
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
    """Yield the lines of an included log, up to the bar that ends it; it may include further logs."""
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


def _store_block(session: Session, block: _Block | None, now: datetime | None, statuses: list[re.Match]) -> None:
    """Record the information of a block in the session."""
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
    if block.listed:  # The error of the job itself follows.
        return
    exit_statuses = [status[2] for status in statuses[-MAX_STATUSES:] if job.log and job.log in status[1]]
    said = "\n".join([items.get("message", "").removeprefix("None"), *exit_statuses[-1:]]).strip()
    job.failures.append(FailedAttempt(now, said, "\n".join(block.shown), job.external, job.external_log))
    job.state, job.ended = "failed", now


def _store_line(session: Session, line: str, now: datetime | None) -> None:
    """Record the information of a single line in the session."""
    jobs = session.jobs
    if match := FINISHED.match(line):
        if job := jobs.get(match[1]):
            job.state, job.ended = "finished", now
    elif match := RESTARTED.match(line):
        for number in session.groups.get(match[1], []):
            jobs[number].state = "again"
    elif match := SUBMITTED.match(line):
        for number in session.groups.get(match[1], []):
            jobs[number].external, jobs[number].external_log = match[2], match[3]
    elif match := ARRAY.match(line):
        for place, number in enumerate(match[1].split(","), start=int(match[3])):
            if job := jobs.get(number):
                job.external = f"{match[2]}_{place}"
    elif match := MISSING_OUTPUT.match(line):
        for number in session.groups.get(match[1], []):
            jobs[number].state, jobs[number].ended = "failed", now
            jobs[number].failures.append(FailedAttempt(now, f"MissingOutputException: {line}"))
    elif match := HEADER.match(line):
        session.host = match[2] if match[1] == "Host" else session.host
        session.command = match[2] if match[1] == "Command" else session.command
    elif not jobs and not session.complains and (match := JOB_COUNT.match(line)):
        session.planned[match[1]] = int(match[2])
    else:
        session.complains |= bool(COMPLAINT.match(line))
        session.ended |= bool(jobs) and line.startswith(("Complete log(s):", "WorkflowError:"))
        if session.complains and line.strip() and not line.startswith(NO_COMPLAINT):
            session.complaint.append(line)
