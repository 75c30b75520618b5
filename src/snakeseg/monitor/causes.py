"""Determine why a job failed from its logs and those of Slurm and Snakemake, and propose what to do next."""

import re
from typing import NamedTuple

# Text before the name of a Slurm state in a log.
STATE = "status is: '"
# Patterns of each cause; the first match decides. They include the messages of slurmstepd 20.11 to 25 in the output of
# a job, and the names of Slurm's states.
CAUSES = {
    "time limit": rf"DUE TO TIME LIMIT|{STATE}(TIMEOUT|DEADLINE)",
    "preempted": rf"DUE TO PREEMPTION|{STATE}PREEMPTED",
    "node failure": rf"DUE TO NODE FAILURE|{STATE}(NODE_FAIL|BOOT_FAIL)",
    "out of GPU memory": r"(CUDA|MPS backend|CUDA error:) out of memory|CUBLAS_STATUS_ALLOC_FAILED",
    "out of memory": rf"oom[-_]kill|OOM Killed|{STATE}OUT_OF_MEMORY|[Ee]xceeded (job )?memory limit|MemoryError"
    r"|Unable to allocate|[Cc]an(no|')t allocate memory|bad_alloc",
    "file system": r"No space left|[Qq]uota exceeded|found a full disk|Permission denied|Operation not permitted"
    r"|Read-only file system|Stale file handle|Input/output error|MissingOutputException",
    "not submitted": r"sbatch failed|[Jj]ob submission failed",
    "bad input": r"^error: .+: found .+; expected .+",
    "requeued": "DUE TO JOB REQUEUE",
    "cancelled": rf"CANCELLED AT|{STATE}CANCELLED|stopped by a signal|exit status 75|SIG(TERM|INT|USR1)",
    # A SIGKILL without any other message usually comes from the kernel when memory runs out.
    "out of memory, most likely": r"exit status 137|died with .*SIGKILL|^Killed$",
}
PROGRESS = re.compile(
    r"^(?P<what>[\w -]+): (?P<done>\d{1,18})(/(?P<total>\d{1,18}))?, (?P<left>\d+:\d\d:\d\d) left ?(?P<note>.*)"
)
# Lines of Snakemake, the shell and Slurm around the messages of a job.
NOISE = re.compile(
    r"^\s*$|^=+$|^    \w|^\[\w{3} \w{3}|^host: |^  [A-Z][\w() ]+: |^(Error in )?(group |local)?rule "
    r"|^(Logfile|Assuming|SNAKEMAKE|Building DAG|Using shell|Provided|Rules claiming|Select jobs|Execute \d)\b"
    r"|^(Shutting down|Exiting because|At least one job|\w+Exception:$|CalledProcessError in|Command '|WorkflowError:$)"
    r"|^(Complete log|Elapsed|Removing output|Storing output|Job stats|Conda env|Singularity)"
)
# Maximum number of lines that are shown of a log.
MAX_SHOWN_LINES = 6
# Maximum number of characters of a line that are searched: the time for a search grows with their square.
MAX_LINE_CHARS = 2000


class Diagnosis(NamedTuple):
    """Cause of a failure and the lines of the logs that show it.

    Attributes
    ----------
    cause : str
        A key of `CAUSES`, or "exception".
    lines : list of str
        Lines of the logs.
    """

    cause: str
    lines: list[str]


def diagnose(said: str, texts: list[str]) -> Diagnosis:
    """Determine the cause of a failure.

    Parameters
    ----------
    said : str
        Messages of Snakemake and the scheduler about the job: state, exit status.
    texts : list of str
        Logs of the job and of the scheduler.

    Returns
    -------
    Diagnosis
        With at most `MAX_SHOWN_LINES` lines, and a line with the number of further ones.
    """
    said, *texts = (_shorten_lines(text) for text in (said, *texts))
    everything = "\n".join([said, *texts])
    for cause, pattern in CAUSES.items():
        if re.search(pattern, everything, re.MULTILINE):
            return Diagnosis(
                cause, _matching_lines(texts, pattern) or _matching_lines([said], pattern) or _last_lines(texts)
            )
    return Diagnosis("exception", _matching_lines(texts, "^error: ") or _last_lines(texts) or _last_lines([said]))


def _shorten_lines(text: str) -> str:
    """Cut lines to `MAX_LINE_CHARS`."""
    return "\n".join(line[:MAX_LINE_CHARS] for line in text.splitlines())


def _matching_lines(texts: list[str], pattern: str) -> list[str]:
    """Return the lines that match, without repetitions; at most `MAX_SHOWN_LINES` and the number of further ones."""
    lines = list(dict.fromkeys(line for line in _message_lines(texts) if re.search(pattern, line)))
    more = [f"(and {len(lines) - MAX_SHOWN_LINES} more lines of this kind)"] if len(lines) > MAX_SHOWN_LINES else []
    return lines[:MAX_SHOWN_LINES] + more


def _last_lines(texts: list[str]) -> list[str]:
    """Return the last messages of the logs."""
    return _message_lines(texts)[-MAX_SHOWN_LINES:]


def _message_lines(texts: list[str]) -> list[str]:
    """Return the lines that are neither progress nor `NOISE`."""
    lines = [line.rstrip() for text in texts for line in text.splitlines()]
    return [line for line in lines if not NOISE.search(line) and not PROGRESS.match(line)]


def progress_of(text: str) -> dict | None:
    """Parse the last progress line of a log.

    Parameters
    ----------
    text : str
        Log of a job.

    Returns
    -------
    dict or None
        what (name of the work), done, total (int; None if unknown), left (time as H:MM:SS), note. None if the log has
        no progress line.
    """
    matches = [match for line in text.splitlines() if (match := PROGRESS.match(line[:MAX_LINE_CHARS]))]
    if not matches:
        return None
    fields = matches[-1].groupdict()
    return {**fields, "done": int(fields["done"]), "total": int(fields["total"]) if fields["total"] else None}


def next_step(rule: str, cause: str, resources: dict[str, str], log: str) -> str:
    """Propose a command or a setting that resolves a failure.

    Parameters
    ----------
    rule : str
        Name of the rule of the job.
    cause : str
        From `diagnose`, or one of the further keys of `STEPS`.
    resources : dict of str
        Requested resources of the job: mem_mb in megabytes, runtime in minutes; empty without a scheduler.
    log : str
        Path of the log of the job; "" if unknown.

    Returns
    -------
    str
        The next step, as a sentence without a full stop.
    """
    step = STEPS.get(cause, "read {log}, fix the cause, then run snakemake again")
    return step.format(
        more_memory=_raise_request(rule, "mem_mb", resources),
        less_memory=LESS_MEMORY.get(rule, "or use smaller batches (column batch of the sheet)"),
        less_gpu_memory=LESS_GPU_MEMORY.get(rule, "lower predict.tile in the config"),
        more_time=_raise_request(rule, "runtime", resources),
        resumes=RESUMES.get(rule, ""),
        log=log or "the log of snakemake",
    )


# Next step for each cause; `next_step` fills in the fields.
STEPS = {
    "out of memory": "{more_memory}; {less_memory}",
    "out of memory, most likely": "{more_memory}; {less_memory}",
    "out of GPU memory": "{less_gpu_memory}",
    "time limit": "{more_time}{resumes}",
    "preempted": "run snakemake again{resumes}",
    "cancelled": "run snakemake again{resumes}",
    "node failure": "run snakemake again (add --retries 2){resumes}",
    "requeued": "nothing to do: Slurm restarts the job{resumes}",
    "held": "Slurm holds the job: find the reason (sinfo -R), then run scontrol release JOB{resumes}",
    "file system": (
        "run snakeseg doctor to check space, permissions and latency of the file system, fix what it reports, "
        "then run snakemake again"
    ),
    "bad input": "follow the lines above, then run snakemake again",
    "not submitted": "correct partition, account or resources in the profile, then run snakemake again",
    "lost": "stop snakemake (Ctrl-C), which waits for this job without end, then run it again",
    "interrupted": "run snakemake again{resumes}; if it reports a locked folder, run snakemake --unlock first",
}
RESUMES = dict.fromkeys(["train"], "; the training resumes from its last saved state")
LESS_MEMORY = {
    "train": "or lower train.patch or train.batch in the config",
    "validate": "or lower predict.tile in the config",
    "infer": "or lower predict.tile in the config",
}
LESS_GPU_MEMORY = {
    "train": "in the config, set train.batch: auto, a smaller train.patch, or train.accumulate: 2",
    "measure": "set of_rule: {measure: {gpu: 0}} in the profile",
}


def _raise_request(rule: str, name: str, resources: dict[str, str]) -> str:
    """Propose to double the requested amount of a resource."""
    requested = resources.get(name, "")
    if re.fullmatch("[0-9]{1,18}", requested):
        # --set-resources would replace all resources of the profile, including partitions.
        doubled = f"of_rule: {{{rule}: {{{name}: {2 * int(requested)}}}}}"
        return f"set {doubled} in the profile (it was {requested}), and run snakemake again"
    return f"raise {name} in the profile, or run fewer jobs at the same time (--cores), and run snakemake again"
