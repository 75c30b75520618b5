"""A run's state as text for a terminal."""

import math
from collections.abc import Callable, Iterator
from datetime import datetime

from snakeseg.monitor.jobs import Case, Run
from snakeseg.monitor.usage import Usage, advise
from snakeseg.progress import clock
from snakeseg.text import printable_lines


def describe(run: Run) -> str:
    """All there is to say, what failed first."""
    return printable_lines("\n".join(_lines(run)))


def _lines(run: Run) -> Iterator[str]:
    counts = {"finished": len(run.finished)}
    for case in run.cases:
        counts[case.state] = counts.get(case.state, 0) + 1
    counts["waiting"] = sum(run.waiting.values())
    told = ", ".join(f"{number} {state}" for state, number in counts.items() if number) or "nothing done yet"
    yield f"run {run.name}: {told}; snakemake {run.controller}"
    if run.complaint:
        yield "\nsnakemake says:"
        yield from (f"  | {line}" for line in run.complaint)
        if any("LockException" in line for line in run.complaint):
            yield "  next: if no other snakemake works here, run snakemake once more with --unlock, then again"
    for case in run.cases:
        yield ""
        yield from _case(case)
    if run.waiting:
        yield f"\nwaiting for others: {', '.join(f'{number} {rule}' for rule, number in run.waiting.items())}"
    if run.finished:
        yield ""
        yield from _table(run.finished)


def _case(case: Case) -> Iterator[str]:
    wildcards = ", ".join(f"{name}={value}" for name, value in case.wildcards.items())
    yield f"{case.state}: {case.rule} {wildcards}".rstrip() + (
        f": {case.cause}" if case.cause not in ("", case.state) else ""
    )
    facts = []
    if case.since:
        facts.append(f"since {case.since:%Y-%m-%d %H:%M:%S}" + (f" to {case.ended:%H:%M:%S}" if case.ended else ""))
    if case.progress:
        now = case.progress
        number = f"{now['done']}/{now['total']}" if now["total"] else str(now["done"])
        left = f", {now['left']} left" if case.state == "running" else ""
        facts.append(f"{now['what']} {number}{left} {now['note']}".rstrip())
    if case.slurm:
        facts.append(slurm_in_words(case.slurm))
    if case.before:
        facts.append(f"attempt {len(case.before) + 1}, after: {', '.join(case.before)}")
    if facts:
        yield f"  {'; '.join(facts)}"
    yield from (f"  | {line}" for line in case.lines)
    if case.next:
        yield f"  next: {case.next}"
    if case.state not in ("queued", "requeued"):
        yield f"  log: {case.log}"


def slurm_in_words(told: dict) -> str:
    """Number of a job and, as far as Slurm tells, why it waits or where and how long it runs."""
    text = f"Slurm job {told['job']}"
    if told.get("state") == "PENDING":
        return f"{text} pending ({told['reason']})"
    if told.get("state") == "RUNNING":
        return f"{text} on {told['nodes']} for {told['ran']}, {told['left']} of its time left"
    return text


def _table(finished: dict[str, Usage]) -> Iterator[str]:
    """A line for every rule: how many jobs, the longest and the largest, and what to ask for next time."""
    rows = [("finished", "jobs", "longest", "memory", "cores", "device", "ask for")]
    for rule, used in _by_rule(finished).items():
        advice = " ".join(f"{name}={value}" for name, value in advise(used).items())
        rows.append((
            rule, str(len(used)), _told(_most(one.seconds for one in used), clock),
            _told(_most(one.memory_mb for one in used), "{:.0f} MB".format),
            _told(_most(one.cores for one in used), "{:.1f}".format),
            _told(_most(one.device for one in used), "{:.0%}".format), advice,
        ))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _by_rule(finished: dict[str, Usage]) -> dict[str, list[Usage]]:
    rules: dict[str, list[Usage]] = {}
    for name, usage in finished.items():
        rules.setdefault(name.split("/")[0], []).append(usage)
    return rules


def _most(values) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def _told(value: float, write: Callable[[float], str]) -> str:
    return "-" if math.isnan(value) else write(value)


def as_data(run: Run) -> dict:
    """The same for programs: of plain values, times in ISO 8601, None for what is not known."""
    cases = [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in vars(case).items()}
        for case in run.cases
    ]
    finished = {
        name: {key: None if math.isnan(value) else value for key, value in usage._asdict().items()}
        for name, usage in run.finished.items()
    }
    advice = {rule: advise(used) for rule, used in _by_rule(run.finished).items()}
    return {**vars(run), "cases": cases, "finished": finished, "advice": advice}
