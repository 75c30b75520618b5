"""Determine state, cause of failure and progress of each job of a run, from the logs of Snakemake, jobs and Slurm."""

import math
import os
import platform
import time
from collections import Counter
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.monitor.causes import STATE, Diagnosis, diagnose, next_step, progress_of
from snakeseg.monitor.run_status import RunStatus, UnfinishedJob
from snakeseg.monitor.session import FailedAttempt, Job, Session
from snakeseg.monitor.slurm import ACTIVE, SlurmJob, query_slurm
from snakeseg.monitor.snakemake_log import read_session
from snakeseg.monitor.usage import Usage, device_share, read_usage

# Number of bytes read from the end of a log.
TAIL_BYTES = 200_000
# Maximum age in seconds of the log of a running job, which reports its progress every 15 seconds.
MAX_LOG_AGE_S = 60
# Names in the plan of Snakemake that are not rules with jobs of their own.
TARGETS = ("default", "all", "predict", "total")


def name_of_run(name: str | None) -> str:
    """Return the name of a run as the folders of its logs and results have it.

    Parameters
    ----------
    name : str or None
        Name of the run, or path of its folder of results. None selects the run that was active last.

    Returns
    -------
    str
        The last part of `name`, which is not checked; without `name`, "(none)" if there are logs, but of no run.

    Raises
    ------
    BadInput
        If Snakemake has never run in the working folder.
    """
    if not snakemake_logs() and not Path("logs").is_dir():
        raise BadInput(
            Path.cwd(), "no logs of snakemake", "the folder in which snakemake runs", "change to it: cd FOLDER"
        )
    if name:
        return Path(name).name
    runs = [path for path in Path("logs").glob("*") if path.is_dir()]
    if not runs:
        return "(none)"
    return max(runs, key=lambda run: max(modified(path) for path in [run, *run.rglob("*")])).name


def read_run(name: str) -> RunStatus:
    """Determine the state of the run of this name in the working folder."""
    sessions = read_sessions(name)
    last = sessions[-1] if sessions else Session(ended=True)
    controller = controller_of(last)
    jobs = {log: job for log, job in latest_jobs(sessions, name).items() if not finished_since(log, job)}
    unfinished = {log: job for log, job in jobs.items() if job.state != "finished"}
    alive = set(map(id, last.jobs.values())) if controller.startswith("runs") else set()
    queue = query_slurm(job.external for job in unfinished.values() if job.external)
    cases = [build_unfinished_job(log, job, id(job) in alive, queue) for log, job in unfinished.items()]
    started = Counter(job.rule for job in last.jobs.values())
    waiting = {rule: n - started[rule] for rule, n in last.planned.items() if rule not in TARGETS}
    order = ("failed", "lost", "interrupted", "running", "requeued", "queued")
    return RunStatus(
        name, controller, newest_complaint(), sorted(cases, key=lambda unfinished: order.index(unfinished.state)),
        {rule: n for rule, n in waiting.items() if n > 0}, usage_of_finished_jobs(name, unfinished),
    )  # fmt: skip


def read_sessions(name: str) -> list[Session]:
    """Read the logs of all Snakemake processes that worked on a run, oldest first."""
    texts = (tail(path, None) for path in snakemake_logs())
    return [read_session(text.splitlines()) for text in texts if f"logs/{name}/" in text]


def snakemake_logs() -> list[Path]:
    """List the logs of Snakemake in the working folder, oldest first."""
    return sorted(Path(".snakemake/log").glob("*.snakemake.log"))


def newest_complaint() -> list[str]:
    """Return the error that stopped the last snakemake, other than failed jobs, such as an error in the config."""
    logs = snakemake_logs()
    return read_session(tail(logs[-1], None).splitlines()).complaint if logs else []


def latest_jobs(sessions: list[Session], name: str) -> dict[str, Job]:
    """Return the latest job for each log; a completed run discards the jobs of earlier ones."""
    jobs: dict[str, Job] = {}
    for session in sessions:
        states = {job.state for job in session.jobs.values()}
        if states == {"finished"} and any(job.rule in ("default", "all") for job in session.jobs.values()):
            jobs = {}
        jobs |= {job.log: job for job in session.jobs.values() if job.log.startswith(f"logs/{name}/")}
    return jobs


def finished_since(log: str, job: Job) -> bool:
    """Return True if a job without an end in the log has succeeded: its benchmark file is written last."""
    path = Path(benchmark_of(log))
    return bool(job.state == "running" and job.started and modified(path) > job.started.timestamp())


def benchmark_of(log: str) -> str:
    """Return the path of the benchmark file of a job: `benchmarks/NAME/...tsv` for `logs/NAME/...log`."""
    return f"benchmarks/{log.removeprefix('logs/').removesuffix('.log')}.tsv"


def controller_of(session: Session) -> str:
    """Describe whether the snakemake process of a session still runs, as far as this machine can determine."""
    if session.ended:
        return "ended"
    here = platform.node()
    if session.host and session.host != here:
        return f"runs on {session.host}, unless it was killed"
    process_id = snakemake_process()
    return f"runs (process {process_id})" if process_id else "was killed"


def snakemake_process() -> int | None:
    """Return the id of the snakemake process that works in this folder, except those of its jobs; None without one."""
    import psutil

    here = os.path.realpath(".")
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        is_snakemake = "snakemake" in [Path(word).name for word in words[:2]] or words[1:3] == ["-m", "snakemake"]
        if is_snakemake and process.info["cwd"] == here and "--mode" not in words:
            return process.pid
    return None


def build_unfinished_job(log: str, job: Job, alive: bool, queue: dict[str, SlurmJob] | None) -> UnfinishedJob:
    """Determine state, cause and progress of a job that has not finished.

    Parameters
    ----------
    log : str
        Path of the log of the job.
    job : Job
        The job according to the log of Snakemake.
    alive : bool
        True if the snakemake process that started the job still runs.
    queue : dict of Queued, or None
        From `query_slurm`.
    """
    name = "/".join(Path(log).with_suffix("").parts[2:])
    unfinished = UnfinishedJob(name, job.rule, job.wildcards, "running", job.started, job.ended, log=log)
    unfinished.before = [diagnose(failure.said, [failure.shown, slurm_log(failure)]).cause for failure in job.failures]
    queued = queue.get(job.external) if queue else None
    if job.external:
        unfinished.slurm = {"job": job.external, **(queued._asdict() if queued else {})}
    if job.state == "failed":
        unfinished.before.pop()
        mark_failed(unfinished, job, diagnose_job(job))
    elif job.state == "again":
        unfinished.state = "queued" if alive else "interrupted"
    elif job.external and queue is not None:
        apply_slurm_state(unfinished, job, queued, alive)
    elif not alive and time.time() - modified(Path(log)) > MAX_LOG_AGE_S:
        unfinished.state = "interrupted"
    if unfinished.state == "interrupted":
        unfinished.cause, unfinished.next = "interrupted", next_step(job.rule, "interrupted", {}, log)
    if unfinished.state in ("running", "interrupted"):
        unfinished.progress = progress_of(tail(Path(log)))
    return unfinished


def apply_slurm_state(unfinished: UnfinishedJob, job: Job, queued: SlurmJob | None, alive: bool) -> None:
    """Set the state of a job by Slurm, if the log of Snakemake has no end of it."""
    if queued and queued.state in ACTIVE:
        unfinished.state = "queued" if queued.state in ("PENDING", "REQUEUED") else "running"
        if queued.restarts:
            mark_restarted(unfinished, job, queued)
        if "held" in queued.reason.lower():  # "launch failed requeued held", JobHeldAdmin, JobHeldUser
            unfinished.next = next_step(job.rule, "held", {}, unfinished.log)
    elif queued and queued.state != "COMPLETED":
        mark_failed(unfinished, job, diagnose_job(job, f"SLURM {STATE}{queued.state}'"))
    elif queued is None:
        diagnosis = diagnose_job(job)
        mark_failed(
            unfinished, job, diagnosis if diagnosis.cause != "exception" else Diagnosis("lost", diagnosis.lines)
        )
        unfinished.state = "failed" if unfinished.cause != "lost" else "lost" if alive else "interrupted"


def mark_restarted(unfinished: UnfinishedJob, job: Job, queued: SlurmJob) -> None:
    """Record why Slurm restarted a job by itself; its log holds the cause until Slurm overwrites it at the start."""
    earlier = ["requeued"] * queued.restarts
    if unfinished.state == "queued":
        diagnosis = diagnose("", [slurm_log(job)])
        if diagnosis.cause in ("node failure", "preempted"):
            earlier[-1], unfinished.lines = diagnosis
        unfinished.state, unfinished.next = "requeued", next_step(job.rule, "requeued", {}, unfinished.log)
    unfinished.before += earlier


def mark_failed(unfinished: UnfinishedJob, job: Job, diagnosis: Diagnosis) -> None:
    """Record why a job failed and what to do."""
    unfinished.state, (unfinished.cause, unfinished.lines) = "failed", diagnosis
    requested = job.resources if job.external else {}  # Only a scheduler enforces the requested resources.
    unfinished.next = next_step(job.rule, diagnosis.cause, requested, unfinished.log)


def diagnose_job(job: Job, said: str = "") -> Diagnosis:
    """Determine the cause of the last failure of a job; its log is read unless the log of Snakemake includes it."""
    failure = job.failures[-1] if job.failures and job.state == "failed" else None
    texts = [failure.shown] if failure and failure.shown else [tail(Path(job.log))]
    if job.external:
        texts.append(slurm_log(job))
    return diagnose(f"{failure.said if failure else ''}\n{said}".strip(), texts)


def slurm_log(attempt: Job | FailedAttempt) -> str:
    """Read the end of the Slurm log of a job or an attempt; for arrays, the plugin reports a wrong path."""
    log = Path(attempt.external_log)
    if log.is_file() or not attempt.external:
        return tail(log)
    roots = [*log.parents[1:3], Path(".snakemake/slurm_logs")]
    roots = [root for root in roots if root.name.startswith("rule_") or root.name == "slurm_logs"]
    return next((tail(path) for root in roots for path in root.rglob(f"{attempt.external}.log")), "")


def usage_of_finished_jobs(name: str, unfinished: dict[str, Job]) -> dict[str, Usage]:
    """Read the resource usage of finished jobs, by the path of their benchmark file within the run."""
    folder, stale_files = Path("benchmarks") / name, {benchmark_of(log) for log in unfinished}
    usages = {}
    for path in sorted(folder.rglob("*.tsv")):
        usage = read_usage(path) if str(path) not in stale_files else None
        if usage:
            rule, *rest = path.relative_to(folder).with_suffix("").parts
            if rule == "train":
                history = Path("results", name, "models", *rest, "history.tsv")
                usage = usage._replace(device=device_share(history, usage.seconds))
            usages["/".join([rule, *rest])] = usage
    return usages


def tail(path: Path, size: int | None = TAIL_BYTES) -> str:
    """Read the last `size` bytes of a text file, or all of it; "" if the path is no regular file.

    Other paths are not opened: reading from a pipe could wait without end.
    """
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
    """Return the modification time of a file in seconds; minus infinity without a file."""
    try:
        return path.stat().st_mtime
    except OSError:
        return -math.inf
