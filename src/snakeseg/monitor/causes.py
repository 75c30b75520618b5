"""Why a job ended, told from what it, Slurm and Snakemake left in words; and what to do next."""

import re
from typing import NamedTuple

# The first that fits. Slurm's words: slurmstepd's of 20.11 to 25 in the job's output, and its names of states.
STATE = "status is: '"
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
    # Nothing else is known: a SIGKILL that nobody announces is the kernel's, for lack of memory, more often than not.
    "out of memory, most likely": r"exit status 137|died with .*SIGKILL|^Killed$",
}
PROGRESS = re.compile(
    r"^(?P<what>[\w -]+): (?P<done>\d{1,18})(/(?P<total>\d{1,18}))?, (?P<left>\d+:\d\d:\d\d) left ?(?P<note>.*)"
)
# Of Snakemake's, the shell's and Slurm's own words around what a job says.
NOISE = re.compile(
    r"^\s*$|^=+$|^    \w|^\[\w{3} \w{3}|^host: |^  [A-Z][\w() ]+: |^(Error in )?(group |local)?rule "
    r"|^(Logfile|Assuming|SNAKEMAKE|Building DAG|Using shell|Provided|Rules claiming|Select jobs|Execute \d)\b"
    r"|^(Shutting down|Exiting because|At least one job|\w+Exception:$|CalledProcessError in|Command '|WorkflowError:$)"
    r"|^(Complete log|Elapsed|Removing output|Storing output|Job stats|Conda env|Singularity)"
)
USEFUL = 6
# Characters of a line that are looked at: the time that patterns take grows with their square.
MAX_LINE = 2000


class Verdict(NamedTuple):
    """A cause out of `CAUSES`, or exception; and the lines that tell it."""

    cause: str
    lines: list[str]


def judge(said: str, texts: list[str]) -> Verdict:
    """Why a job failed.

    Parameters
    ----------
    said : str
        What Snakemake and the scheduler say of it: states, exit status.
    texts : list of str
        Logs of the job and of the scheduler.

    Returns
    -------
    Verdict
        With the lines that tell it, at most `USEFUL` and a word on how many more there are.
    """
    said, *texts = (_shortened(text) for text in (said, *texts))
    everything = "\n".join([said, *texts])
    for cause, pattern in CAUSES.items():
        if re.search(pattern, everything, re.MULTILINE):
            return Verdict(cause, _telling(texts, pattern) or _telling([said], pattern) or _last(texts))
    return Verdict("exception", _telling(texts, "^error: ") or _last(texts) or _last([said]))


def _shortened(text: str) -> str:
    return "\n".join(line[:MAX_LINE] for line in text.splitlines())


def _telling(texts: list[str], pattern: str) -> list[str]:
    """Lines that fit; how many more there are, if there are many."""
    lines = list(dict.fromkeys(line for line in _useful(texts) if re.search(pattern, line)))
    more = [f"(and {len(lines) - USEFUL} more lines like these)"] if len(lines) > USEFUL else []
    return lines[:USEFUL] + more


def _last(texts: list[str]) -> list[str]:
    return _useful(texts)[-USEFUL:]


def _useful(texts: list[str]) -> list[str]:
    """Lines that are neither progress nor noise."""
    lines = [line.rstrip() for text in texts for line in text.splitlines()]
    return [line for line in lines if not NOISE.search(line) and not PROGRESS.match(line)]


def progress_of(text: str) -> dict | None:
    """The last line that tells how far a job is: what, done, total (None if it is not known), left, note."""
    found = [match for line in text.splitlines() if (match := PROGRESS.match(line[:MAX_LINE]))]
    if not found:
        return None
    told = found[-1].groupdict()
    return {**told, "done": int(told["done"]), "total": int(told["total"]) if told["total"] else None}


def next_step(rule: str, cause: str, resources: dict[str, str], log: str) -> str:
    """What to do about a failure: a command or a setting.

    Parameters
    ----------
    rule, cause : str
    resources : dict
        What the job asked for; memory in megabytes, runtime in minutes.
    log : str
        Path of the job's log.
    """
    step = STEPS.get(cause, "read {log}, mend the cause, then run snakemake again")
    return step.format(
        more_memory=_more(rule, "mem_mb", resources),
        less_memory=LESS_MEMORY.get(rule, "or a smaller batch in the sheet"),
        less_gpu_memory=LESS_GPU_MEMORY.get(rule, "set config predict.tile smaller"),
        more_time=_more(rule, "runtime", resources),
        goes_on=GOES_ON.get(rule, ""),
        log=log or "the log of snakemake",
    )


# The next step for each cause.
STEPS = {
    "out of memory": "{more_memory}; {less_memory}",
    "out of memory, most likely": "{more_memory}; {less_memory}",
    "out of GPU memory": "{less_gpu_memory}",
    "time limit": "{more_time}{goes_on}",
    "preempted": "run snakemake again{goes_on}",
    "cancelled": "run snakemake again{goes_on}",
    "node failure": "run snakemake again (add --retries 2){goes_on}",
    "requeued": "nothing: Slurm starts it by itself{goes_on}",
    "held": "Slurm holds it for ever: see why (sinfo -R), then scontrol release it{goes_on}",
    "file system": (
        "make room, give write access, or raise latency-wait (snakeseg doctor tells), then run snakemake again"
    ),
    "bad input": "do what the lines above say, then run snakemake again",
    "not submitted": "correct partition, account or request in the profile, then run snakemake again",
    "lost": "stop snakemake (Ctrl-C), which waits for it, and run it again",
    "interrupted": "run snakemake again{goes_on}; if it says that the folder is locked, with --unlock first",
}
GOES_ON = dict.fromkeys(["train"], ": the training goes on from its last state")
LESS_MEMORY = {
    "train": "or set config train.patch or train.batch smaller",
    "validate": "or set config predict.tile smaller",
    "infer": "or set config predict.tile smaller",
}
LESS_GPU_MEMORY = {
    "train": "set config train.batch: auto, a smaller train.patch, or train.accumulate: 2",
    "measure": "write of_rule: {measure: {gpu: 0}} into the profile",
}


def _more(rule: str, name: str, resources: dict[str, str]) -> str:
    asked = resources.get(name, "")
    if re.fullmatch("[0-9]{1,18}", asked):
        # Not --set-resources, which takes the place of all that the profile sets, partitions too.
        more = f"of_rule: {{{rule}: {{{name}: {2 * int(asked)}}}}}"
        return f"write {more} into the profile (it had {asked}), and run snakemake again"
    return f"give it more {name} in the profile, or run fewer jobs side by side (--cores), and run snakemake again"
