"""Libraries that may crash on damaged files, in a process of their own: `python -m snakeseg.io.guarded`."""

import os
import pickle
import select
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import TypeVar

Result = TypeVar("Result")
_TURN = Lock()
PATIENCE = 120  # seconds; whole planes of gigabytes take some ten


def guarded(function: Callable[..., Result], *given) -> Result:
    """What a module's function answers; all that is handed over, both ways, is pickled.

    Raises
    ------
    Exception
        What the function raises; ValueError if its process dies of it or comes to no end, or lacks memory.
    """
    with _TURN:
        process = _started()
        try:
            pickle.dump((function, given), process.stdin)
            process.stdin.flush()
            if not select.select([process.stdout], [], [], PATIENCE)[0]:
                raise EOFError(f"nothing for {PATIENCE} s")
            answer, error = pickle.load(process.stdout)  # noqa: S301, our own process's
        except BaseException as broken:  # a signal, too: what it left half done is nobody's answer
            process.kill()
            process.wait()
            _started.cache_clear()
            if isinstance(broken, EOFError | OSError | pickle.UnpicklingError):
                raise ValueError("its reader crashed or came to no end") from broken
            raise
    if isinstance(error, MemoryError):
        raise ValueError("its reader wants more memory than there is") from error
    if error:
        raise error
    return answer


@lru_cache(maxsize=1)
def _started() -> subprocess.Popen:
    """The process; it ends when nobody can write to it any more. What libraries print goes nowhere."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", __name__], env=environment, **pipes)


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            function, given = pickle.load(sys.stdin.buffer)  # noqa: S301, our own process's
        except EOFError:
            return
        try:
            answer = function(*given), None
        except Exception as error:
            answer = None, error
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    _serve()
