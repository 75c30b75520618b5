"""The jobs of a run, each with its state, cause and progress: the logs of Snakemake, jobs and Slurm put together."""

import math
import os
import platform
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.monitor.causes import STATE, Verdict, judge, next_step, progress_of
from snakeseg.monitor.slurm import ACTIVE, Queued, ask_slurm
from snakeseg.monitor.snakemake_log import Failure, Job, Session, read_session
from snakeseg.monitor.usage import Usage, device_share, read_usage

TAIL = 200_000  # bytes
# A log written to within so many seconds is a living job's: progress is told every 15.
FRESH = 60
TARGETS = ("default", "all", "predict", "total")


@dataclass
class Case:
    """A job that is not finished. `state` is failed, interrupted, lost, running, requeued (by Slurm) or queued.

    `before` has a cause for every earlier attempt, by Snakemake or by Slurm itself.
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
class Run:
    """A run's unfinished cases, how many jobs of each rule have not begun, and what finished ones took by name."""

    name: str
    controller: str
    complaint: list[str]
    cases: list[Case]
    waiting: dict[str, int]
    finished: dict[str, Usage]


def name_of_run(named: str | None) -> str:
    """The run that is meant by a name or a folder: without one, the one last worked on here."""
    if not snakemake_logs() and not Path("logs").is_dir():
        raise BadInput(Path.cwd(), "no trace of snakemake", "the folder that it runs in", "go there")
    if named:
        return Path(named).name
    runs = [path for path in Path("logs").glob("*") if path.is_dir()]
    if not runs:
        return "(none)"
    return max(runs, key=lambda run: max(modified(path) for path in [run, *run.rglob("*")])).name


def look_at(name: str) -> Run:
    """What became of the run of this name in the working folder."""
    sessions = read_sessions(name)
    last = sessions[-1] if sessions else Session(ended=True)
    controller = controller_of(last)
    jobs = {log: job for log, job in latest_jobs(sessions, name).items() if not finished_since(log, job)}
    unfinished = {log: job for log, job in jobs.items() if job.state != "finished"}
    alive = set(map(id, last.jobs.values())) if controller.startswith("runs") else set()
    known = ask_slurm(job.external for job in unfinished.values() if job.external)
    cases = [case_of(log, job, id(job) in alive, known) for log, job in unfinished.items()]
    begun = Counter(job.rule for job in last.jobs.values())
    waiting = {rule: n - begun[rule] for rule, n in last.planned.items() if rule not in TARGETS}
    order = ("failed", "lost", "interrupted", "running", "requeued", "queued")
    return Run(
        name, controller, newest_complaint(), sorted(cases, key=lambda case: order.index(case.state)),
        {rule: n for rule, n in waiting.items() if n > 0}, finished_cases(name, unfinished),
    )  # fmt: skip


def read_sessions(name: str) -> list[Session]:
    """Every start of snakemake that had to do with a run, oldest first."""
    texts = (tail(path, None) for path in snakemake_logs())
    return [read_session(text.splitlines()) for text in texts if f"logs/{name}/" in text]


def snakemake_logs() -> list[Path]:
    """Snakemake's logs in the working folder, oldest first."""
    return sorted(Path(".snakemake/log").glob("*.snakemake.log"))


def newest_complaint() -> list[str]:
    """What stopped the last snakemake, other than failed jobs; mostly a mistake in the config, or a locked folder."""
    logs = snakemake_logs()
    return read_session(tail(logs[-1], None).splitlines()).complaint if logs else []


def latest_jobs(sessions: list[Session], name: str) -> dict[str, Job]:
    """The latest job for every log; what a run that came to its end no longer had is forgotten."""
    jobs: dict[str, Job] = {}
    for session in sessions:
        states = {job.state for job in session.jobs.values()}
        if states == {"finished"} and any(job.rule in ("default", "all") for job in session.jobs.values()):
            jobs = {}
        jobs |= {job.log: job for job in session.jobs.values() if job.log.startswith(f"logs/{name}/")}
    return jobs


def finished_since(log: str, job: Job) -> bool:
    """If a job that snakemake did not see end has ended well: its benchmark file comes last."""
    path = Path(benchmark_of(log))
    return bool(job.state == "running" and job.started and modified(path) > job.started.timestamp())


def benchmark_of(log: str) -> str:
    """Path of the benchmark file beside a log: `logs/NAME/...log` and `benchmarks/NAME/...tsv`."""
    return f"benchmarks/{log.removeprefix('logs/').removesuffix('.log')}.tsv"


def controller_of(session: Session) -> str:
    """In words: whether the snakemake of a session still runs, as far as can be told from here."""
    if session.ended:
        return "ended"
    here = platform.node()
    if session.host and session.host != here:
        return f"runs on {session.host}, if it was not killed"
    number = snakemake_process()
    return f"runs (process {number})" if number else "was killed"


def snakemake_process() -> int | None:
    """Number of the snakemake process that works in this folder; jobs' own ones do not count."""
    import psutil

    here = os.path.realpath(".")
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        named = "snakemake" in [Path(word).name for word in words[:2]] or words[1:3] == ["-m", "snakemake"]
        if named and process.info["cwd"] == here and "--mode" not in words:
            return process.pid
    return None


def case_of(log: str, job: Job, alive: bool, known: dict[str, Queued] | None) -> Case:
    """A job that is not finished, with all that can be told of it."""
    name = "/".join(Path(log).with_suffix("").parts[2:])
    case = Case(name, job.rule, job.wildcards, "running", job.started, job.ended, log=log)
    case.before = [judge(failure.said, [failure.shown, slurm_log(failure)]).cause for failure in job.failures]
    queued = known.get(job.external) if known else None
    if job.external:
        case.slurm = {"job": job.external, **(queued._asdict() if queued else {})}
    if job.state == "failed":
        case.before.pop()
        fail(case, job, verdict_of(job))
    elif job.state == "again":
        case.state = "queued" if alive else "interrupted"
    elif job.external and known is not None:
        at_slurm(case, job, queued, alive)
    elif not alive and time.time() - modified(Path(log)) > FRESH:
        case.state = "interrupted"
    if case.state == "interrupted":
        case.cause, case.next = "interrupted", next_step(job.rule, "interrupted", {}, log)
    if case.state in ("running", "interrupted"):
        case.progress = progress_of(tail(Path(log)))
    return case


def at_slurm(case: Case, job: Job, queued: Queued | None, alive: bool) -> None:
    """What Slurm says of a job that snakemake takes for running."""
    if queued and queued.state in ACTIVE:
        case.state = "queued" if queued.state in ("PENDING", "REQUEUED") else "running"
        if queued.restarts:
            started_again(case, job, queued)
        if "held" in queued.reason.lower():  # "launch failed requeued held", JobHeldAdmin, JobHeldUser
            case.next = next_step(job.rule, "held", {}, case.log)
    elif queued and queued.state != "COMPLETED":
        fail(case, job, verdict_of(job, f"SLURM {STATE}{queued.state}'"))
    elif queued is None:
        verdict = verdict_of(job)
        fail(case, job, verdict if verdict.cause != "exception" else Verdict("lost", verdict.lines))
        case.state = "failed" if case.cause != "lost" else "lost" if alive else "interrupted"


def started_again(case: Case, job: Job, queued: Queued) -> None:
    """Note why Slurm started a job again by itself: its log tells until then, when Slurm writes it anew."""
    earlier = ["requeued"] * queued.restarts
    if case.state == "queued":
        verdict = judge("", [slurm_log(job)])
        if verdict.cause in ("node failure", "preempted"):
            earlier[-1], case.lines = verdict
        case.state, case.next = "requeued", next_step(job.rule, "requeued", {}, case.log)
    case.before += earlier


def fail(case: Case, job: Job, verdict: Verdict) -> None:
    """Note why a job failed and what to do."""
    case.state, (case.cause, case.lines) = "failed", verdict
    asked = job.resources if job.external else {}  # what is asked for matters to a scheduler alone
    case.next = next_step(job.rule, verdict.cause, asked, case.log)


def verdict_of(job: Job, said: str = "") -> Verdict:
    """The cause of a job's last failure; its logs are read as far as Snakemake's does not show them."""
    failure = job.failures[-1] if job.failures and job.state == "failed" else None
    texts = [failure.shown] if failure and failure.shown else [tail(Path(job.log))]
    if job.external:
        texts.append(slurm_log(job))
    return judge(f"{failure.said if failure else ''}\n{said}".strip(), texts)


def slurm_log(of: Job | Failure) -> str:
    """What Slurm has written of a job or an attempt; for arrays, the plugin names another place than it is."""
    named = Path(of.external_log)
    if named.is_file() or not of.external:
        return tail(named)
    roots = [*named.parents[1:3], Path(".snakemake/slurm_logs")]
    roots = [root for root in roots if root.name.startswith("rule_") or root.name == "slurm_logs"]
    return next((tail(path) for root in roots for path in root.rglob(f"{of.external}.log")), "")


def finished_cases(name: str, unfinished: dict[str, Job]) -> dict[str, Usage]:
    """What finished jobs took, by the path of their benchmark file within the run."""
    folder, open_files = Path("benchmarks") / name, {benchmark_of(log) for log in unfinished}
    found = {}
    for path in sorted(folder.rglob("*.tsv")):
        usage = read_usage(path) if str(path) not in open_files else None
        if usage:
            rule, *rest = path.relative_to(folder).with_suffix("").parts
            if rule == "train":
                history = Path("results", name, "models", *rest, "history.tsv")
                usage = usage._replace(device=device_share(history, usage.seconds))
            found["/".join([rule, *rest])] = usage
    return found


def tail(path: Path, size: int | None = TAIL) -> str:
    """The end of a text file, or all of it; nothing of what is no file: a pipe could be waited for without end."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            if size is not None:
                file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def modified(path: Path) -> float:
    """Seconds of a file's time; minus infinity without it."""
    try:
        return path.stat().st_mtime
    except OSError:
        return -math.inf
