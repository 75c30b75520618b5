"""Run a subcommand in a separate process that a test may kill, forked from a server that has imported all modules."""

import multiprocessing
import os
import sys

from forked_programs import LATE

CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = ("train", "images", "checks", "prepare", "predict", "evaluate")
CONTEXT.set_forkserver_preload([*(f"snakeseg.commands.{name}" for name in PRELOADED), *LATE])


def start(arguments: list[str], log=os.devnull):
    """Start a subcommand in a process, and redirect its standard error to a file."""
    if log != os.devnull:
        open(log, "w", encoding="utf-8").close()
    process = CONTEXT.Process(target=run, args=(arguments, str(log)))
    process.start()
    return process


def end(process, seconds: float = 600) -> int:
    """Wait until a process exits, and return its exit status (negative for a signal); kill it after a timeout."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"still running after {seconds} s")
    return process.exitcode


def run(arguments: list[str], log: str) -> None:
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 2)  # also for the processes that it starts
    from snakeseg.cli import main

    sys.exit(main(arguments))
