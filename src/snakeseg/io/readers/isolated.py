"""Libraries that may crash on damaged files, in a process of their own that lives on from call to call.

Calls go to the process by pickle. Its answers may come from a process that a hostile file has taken over, so they are
no pickles: JSON, followed by the bytes of arrays, which can hold nothing but plain data.
"""

import fcntl
import json
import math
import os
import pickle
import select
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
import psutil

_TURN = Lock()
TIMEOUT_S = 120  # whole planes of gigabytes take some ten
MAX_TEXT_BYTES = 2**24  # JSON of an answer; names and origins of 50,000 DICOM files
PIPE_BYTES = 2**20  # at the usual 64 kB, images take twice as long
LENGTH = struct.Struct("<Q")


def call_isolated(function: Callable, *args, extra_s: float = 0):
    """Call a module's function in the other process.

    Parameters
    ----------
    function : function
        By its name in its module. Returns numbers, text, None, lists, tuples (which arrive as lists), dictionaries and
        arrays of numbers.
    args
        Whatever can be pickled.
    extra_s : float
        Seconds that the call may take in addition to `TIMEOUT_S`.

    Raises
    ------
    OSError
        If the function raises one with a number.
    ValueError
        If the function raises anything else, or its process dies, lacks memory or comes to no end.
    """
    call = pickle.dumps((function, args))
    with _TURN:
        process = _started(os.getpid())
        deadline = time.monotonic() + TIMEOUT_S + extra_s
        try:
            _send(process.stdin.fileno(), call, deadline)
            answer = _receive(process.stdout.fileno(), deadline)
        except BaseException as broken:  # signals too: the next call would read the rest of this answer
            process.kill()
            process.wait()
            _started.cache_clear()
            if isinstance(broken, Exception):
                raise ValueError("its reader crashed or came to no end") from broken
            raise
    if "error" not in answer:
        return answer["value"]
    name, number, text = answer["error"]
    if name == "MemoryError":
        raise ValueError("its reader wants more memory than there is")
    raise OSError(number, text) if number else ValueError(text or name)


@lru_cache(maxsize=1)
def _started(_owner: int) -> subprocess.Popen:
    """The other process, one per process that calls; it ends with its caller. What libraries print goes nowhere."""
    start = f"import sys; sys.path[:] = {import_paths()}; from {__name__} import serve; serve()"
    command = [sys.executable, "-I", "-X", f"utf8={sys.flags.utf8_mode}", "-c", start]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, bufsize=0, cwd="/", **pipes)
    os.set_blocking(process.stdin.fileno(), False)
    with suppress(AttributeError, OSError):  # Linux alone has it, and limits it per user
        fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return process


def import_paths() -> list[str]:
    """Folders of modules for a process started from here: ours but the working folder, which others may write to."""
    package, here = str(Path(__file__).resolve().parents[3]), os.path.realpath(os.getcwd())
    absolute = [path for path in map(str, sys.path) if os.path.isabs(path)]
    return [path for path in [*absolute, package] if os.path.realpath(path) != here or here == package]


def _send(pipe: int, content: bytes, deadline: float) -> None:
    rest = memoryview(content)
    while rest:
        _wait(pipe, select.POLLOUT, deadline)
        rest = rest[os.write(pipe, rest) :]


def _receive(pipe: int, deadline: float) -> dict:
    (length,) = LENGTH.unpack(_read(pipe, LENGTH.size, deadline))
    if length > MAX_TEXT_BYTES:
        raise ValueError(f"{length} bytes of text")

    def array(item: dict):
        """Arrays and dictionaries in place of what stands for them; the bytes of arrays follow in their order."""
        if "dict" in item:
            return dict(item["dict"])
        if "array" not in item:
            return item
        kind, shape = np.dtype(item["array"][0]), tuple(map(int, item["array"][1]))
        size = math.prod(shape) * kind.itemsize
        if kind.kind not in "biufc" or min(shape, default=1) < 0 or size > psutil.virtual_memory().total:
            raise ValueError(f"an array of type {kind} and shape {shape}")
        return np.frombuffer(_read(pipe, size, deadline), kind).reshape(shape)

    answer = json.loads(bytes(_read(pipe, length, deadline)), object_hook=array)
    if not isinstance(answer, dict) or not {"value", "error"} & set(answer):
        raise ValueError("neither a value nor an error")
    return answer


def _read(pipe: int, size: int, deadline: float) -> memoryview:
    content = np.empty(size, np.uint8).data  # not filled with zeros first
    rest = content
    while rest:
        _wait(pipe, select.POLLIN, deadline)
        count = os.readv(pipe, [rest])
        if not count:
            raise EOFError("the end of its answers")
        rest = rest[count:]
    return content


def _wait(pipe: int, event: int, deadline: float) -> None:
    """Return when a pipe can be read from or written to, or is broken."""
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(max(0, 1000 * (deadline - time.monotonic()))):
        raise TimeoutError("no answer in time")


def serve() -> None:
    """Answer calls from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            function, args = pickle.load(sys.stdin.buffer)  # noqa: S301, our own caller's
        except EOFError:
            return
        _answer(answers, function, args)


def _answer(answers, function: Callable, args: tuple) -> None:
    arrays: list[np.ndarray] = []
    try:
        answer = {"value": _plain(function(*args), arrays)}
    except Exception as error:
        number, text = (error.errno, error.strerror) if isinstance(error, OSError) else (None, None)
        answer = {"error": [type(error).__name__, number, text or str(error)]}
    text = json.dumps(answer).encode()
    answers.write(LENGTH.pack(len(text)) + text)
    for array in arrays:
        answers.write(array)
    answers.flush()


def _plain(value, arrays: list[np.ndarray]):
    """A value as JSON can hold it; its arrays are collected in the order in which they are read again."""
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value))
        return {"array": [value.dtype.str, value.shape]}
    if isinstance(value, dict):
        return {"dict": [[key, _plain(item, arrays)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_plain(item, arrays) for item in value]
    return value.item() if isinstance(value, np.generic) else value
