"""Errors that a user can correct. Each names the place, what was found there, what was expected, and the remedy.

The workflow loads this file by its path (`load_shared` in `workflow/rules/shared.smk`).
"""

import signal
from collections.abc import Callable
from typing import TypeVar

from .text import printable

Result = TypeVar("Result")


class BadInput(ValueError):
    """Error in an input file, a sheet or the config.

    Parameters
    ----------
    where : str or path
        File, sheet row or config key with the error.
    found, expected : str
        Actual and required content.
    remedy : str
        Instruction for the user, such as a command or a config key; without ";", which separates the parts.
    """

    def __init__(self, where, found: str, expected: str, remedy: str):
        self.where, self.found, self.expected, self.remedy = map(printable, (where, found, expected, remedy))
        super().__init__(f"{self.where}: found {self.found}; expected {self.expected}; {self.remedy}")


class BadInputs(ValueError):
    """Several `BadInput` errors, reported together."""

    def __init__(self, problems):
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def collect(problems: list[str], work: Callable[[], Result]) -> Result | None:
    """Run `work` and return its result; if it raises ValueError or OSError, add the message to `problems`."""
    try:
        return work()
    except (ValueError, OSError) as error:
        problems += str(error).splitlines()
        return None


# Signals that stop a training early, as schedulers send them before a time limit.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
# Exit code of a stopped command: EX_TEMPFAIL of sysexits.h, "try again later".
EXIT_STOPPED = 75


class Interrupted(Exception):
    """Stop after a signal, once the state is written; the same command resumes from it."""
