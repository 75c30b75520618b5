"""The command line in a process of its own, which a test may kill; forked from a server with all imports done."""

import multiprocessing
import os
import sys

from forked_programs import LATE

CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = ("train", "images", "checks", "prepare", "predict", "evaluate")
CONTEXT.set_forkserver_preload([*(f"snakeseg.commands.{name}" for name in PRELOADED), *LATE])


def start(arguments: list[str], log=os.devnull):
    """The process of a subcommand; what it says goes to a file."""
    if log != os.devnull:
        open(log, "w", encoding="utf-8").close()
    process = CONTEXT.Process(target=run, args=(arguments, str(log)))
    process.start()
    return process


def end(process, seconds: float = 600) -> int:
    """Its exit status, negative for a signal; it must come to an end by itself."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"still running after {seconds} s")
    return process.exitcode


def run(arguments: list[str], log: str) -> None:
    with open(log, "wb") as file:
        os.dup2(file.fileno(), 2)  # of the processes that it starts, too
    from snakeseg.cli import main

    sys.exit(main(arguments))
