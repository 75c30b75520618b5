"""Format the state of a run for a terminal and for programs."""

import math
from collections.abc import Callable, Iterator
from datetime import datetime

from snakeseg.monitor.run_status import RunStatus, UnfinishedJob
from snakeseg.monitor.usage import Usage, advise
from snakeseg.progress import clock
from snakeseg.text import printable_lines


def describe(run: RunStatus) -> str:
    """Format the state of a run as text for a terminal: failed jobs first, control characters escaped."""
    return printable_lines("\n".join(_lines(run)))


def _lines(run: RunStatus) -> Iterator[str]:
    """Yield the lines about the run, each unfinished job and the finished ones."""
    counts = {"finished": len(run.finished)}
    for job in run.cases:
        counts[job.state] = counts.get(job.state, 0) + 1
    counts["waiting"] = sum(run.waiting.values())
    summary = ", ".join(f"{number} {state}" for state, number in counts.items() if number) or "no job has started"
    yield f"run {run.name}: {summary}; snakemake {run.controller}"
    if run.complaint:
        yield "\nsnakemake reports:"
        yield from (f"  | {line}" for line in run.complaint)
        if any("LockException" in line for line in run.complaint):
            yield "  next: if no other snakemake runs in this folder, run snakemake --unlock, then run it again"
    for job in run.cases:
        yield ""
        yield from _describe_job(job)
    if run.waiting:
        yield f"\nwaiting for other jobs: {', '.join(f'{number} {rule}' for rule, number in run.waiting.items())}"
    if run.finished:
        yield ""
        yield from _table(run.finished)


def _describe_job(job: UnfinishedJob) -> Iterator[str]:
    """Yield the lines about an unfinished job."""
    wildcards = ", ".join(f"{name}={value}" for name, value in job.wildcards.items())
    yield f"{job.state}: {job.rule} {wildcards}".rstrip() + (
        f": {job.cause}" if job.cause not in ("", job.state) else ""
    )
    facts = []
    if job.since:
        facts.append(f"since {job.since:%Y-%m-%d %H:%M:%S}" + (f" to {job.ended:%H:%M:%S}" if job.ended else ""))
    if job.progress:
        progress = job.progress
        done = f"{progress['done']}/{progress['total']}" if progress["total"] else str(progress["done"])
        left = f", {progress['left']} left" if job.state == "running" else ""
        facts.append(f"{progress['what']} {done}{left} {progress['note']}".rstrip())
    if job.slurm:
        facts.append(describe_slurm_job(job.slurm))
    if job.before:
        facts.append(f"attempt {len(job.before) + 1}, after: {', '.join(job.before)}")
    if facts:
        yield f"  {'; '.join(facts)}"
    yield from (f"  | {line}" for line in job.lines)
    if job.next:
        yield f"  next: {job.next}"
    if job.state not in ("queued", "requeued"):
        yield f"  log: {job.log}"


def describe_slurm_job(slurm: dict) -> str:
    """Format the job id and, if Slurm states them, the reason for waiting or the nodes and times.

    Parameters
    ----------
    slurm : dict
        job (id) and, if known, the attributes of `SlurmJob`.
    """
    text = f"Slurm job {slurm['job']}"
    if slurm.get("state") == "PENDING":
        return f"{text} pending ({slurm['reason']})"
    if slurm.get("state") == "RUNNING":
        return f"{text} on {slurm['nodes']} for {slurm['ran']}, {slurm['left']} until its time limit"
    return text


def _table(finished: dict[str, Usage]) -> Iterator[str]:
    """Yield table lines, one per Snakemake rule: number of jobs, largest usage, proposed resource requests."""
    rows = [("finished", "jobs", "longest", "memory", "cores", "device", "request")]
    for rule, used in _by_rule(finished).items():
        advice = " ".join(f"{name}={value}" for name, value in advise(used).items())
        rows.append((
            rule, str(len(used)), _format(_maximum(usage.seconds for usage in used), clock),
            _format(_maximum(usage.memory_mb for usage in used), "{:.0f} MB".format),
            _format(_maximum(usage.cores for usage in used), "{:.1f}".format),
            _format(_maximum(usage.device for usage in used), "{:.0%}".format), advice,
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _by_rule(finished: dict[str, Usage]) -> dict[str, list[Usage]]:
    """Collect the usage of the jobs of each rule."""
    rules: dict[str, list[Usage]] = {}
    for name, usage in finished.items():
        rules.setdefault(name.split("/")[0], []).append(usage)
    return rules


def _maximum(values) -> float:
    """Return the largest value that is not NaN; NaN without any."""
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def _format(value: float, formatter: Callable[[float], str]) -> str:
    return "-" if math.isnan(value) else formatter(value)


def as_data(run: RunStatus) -> dict:
    """Convert the state of a run to plain values for JSON: times in ISO 8601, None for unknown values."""
    cases = [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in vars(job).items()}
        for job in run.cases
    ]
    finished = {
        name: {key: None if math.isnan(value) else value for key, value in usage._asdict().items()}
        for name, usage in run.finished.items()
    }
    advice = {rule: advise(used) for rule, used in _by_rule(run.finished).items()}
    return {**vars(run), "cases": cases, "finished": finished, "advice": advice}
