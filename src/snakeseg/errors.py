"""The one kind of error a user can mend: it names the file, what was found, what was expected, and what to do.

The workflow loads this file by its path (`load_shared` in `workflow/rules/shared.smk`).
"""

import signal
from collections.abc import Callable
from typing import TypeVar

from .text import printable

Result = TypeVar("Result")


class BadInput(ValueError):
    """Input that cannot be used.

    Parameters
    ----------
    where : str or path
        The file, sheet row or config key at fault.
    found, expected, remedy : str
        What is there, what should be there, and what the user can do.
    """

    def __init__(self, where, found: str, expected: str, remedy: str):
        self.where, self.found, self.expected, self.remedy = map(printable, (where, found, expected, remedy))
        super().__init__(f"{self.where}: found {self.found}; expected {self.expected}; {self.remedy}")


class BadInputs(ValueError):
    """Several problems, reported at once."""

    def __init__(self, problems):
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def collect(problems: list[str], work: Callable[[], Result]) -> Result | None:
    """What the work gives; None if it finds a problem, which is added to the others."""
    try:
        return work()
    except (ValueError, OSError) as error:
        problems += str(error).splitlines()
        return None


# They ask for a stop, as schedulers do before a time limit; the exit code then says "try again later" (sysexits.h).
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
STOPPED = 75


class Interrupted(Exception):
    """A signal asked for a stop; what was done so far is written, and the same command goes on from there."""
