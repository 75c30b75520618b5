"""Calls of functions in a separate process, for libraries that may crash on damaged files.

The process is reused by later calls. Calls are sent as pickles. Replies are not, since a malicious file may control
the process: they consist of JSON followed by the bytes of arrays, which can represent only plain data.
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

_CALL_LOCK = Lock()
READER_TIMEOUT_S = 120  # planes of gigabytes take about ten seconds
MAX_REPLY_TEXT_BYTES = 2**24  # JSON of a reply: enough for the names and origins of 50,000 DICOM files
PIPE_BYTES = 2**20  # with the default of 64 kB, images take twice as long
LENGTH = struct.Struct("<Q")


def call_isolated(function: Callable, *args, extra_s: float = 0):
    """Call a function in the separate process and return its result.

    Parameters
    ----------
    function : function
        Top-level function of a module. May return numbers, text, None, lists, tuples (converted to lists),
        dictionaries and arrays of numbers.
    args
        Arguments that can be pickled.
    extra_s : float
        Time limit of the call in addition to `READER_TIMEOUT_S`, in seconds.

    Raises
    ------
    OSError
        If the function raises an OSError with an error number.
    ValueError
        If the function raises another error, or if the process crashes, lacks memory or exceeds the time limit.
    """
    call = pickle.dumps((function, args))
    with _CALL_LOCK:
        process = _started(os.getpid())
        deadline = time.monotonic() + READER_TIMEOUT_S + extra_s
        try:
            _send(process.stdin.fileno(), call, deadline)
            reply = _receive(process.stdout.fileno(), deadline)
        except BaseException as error:  # after a signal, too: the next call would read the rest of this reply
            process.kill()
            process.wait()
            _started.cache_clear()
            if isinstance(error, Exception):
                raise ValueError("its reader crashed or timed out") from error
            raise
    if "error" not in reply:
        return reply["value"]
    name, number, text = reply["error"]
    if name == "MemoryError":
        raise ValueError("its reader needs more memory than is available")
    raise OSError(number, text) if number else ValueError(text or name)


@lru_cache(maxsize=1)
def _started(_owner: int) -> subprocess.Popen:
    """Start the separate process of this process, which ends with it; the output of libraries is discarded."""
    code = f"import sys; sys.path[:] = {import_paths()}; from {__name__} import serve; serve()"
    command = [sys.executable, "-I", "-X", f"utf8={sys.flags.utf8_mode}", "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, bufsize=0, cwd="/", **pipes)
    os.set_blocking(process.stdin.fileno(), False)
    with suppress(AttributeError, OSError):  # Linux only, with a limit per user
        fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return process


def import_paths() -> list[str]:
    """Return the import paths for a child process: those of this one, without the working folder.

    Other users may be able to write modules to the working folder.
    """
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
    if length > MAX_REPLY_TEXT_BYTES:
        raise ValueError(f"{length} bytes of text")

    def array(item: dict):
        """Decode the JSON representation of arrays and dictionaries; the bytes of arrays follow in their order."""
        if "dict" in item:
            return dict(item["dict"])
        if "array" not in item:
            return item
        kind, shape = np.dtype(item["array"][0]), tuple(map(int, item["array"][1]))
        size = math.prod(shape) * kind.itemsize
        if kind.kind not in "biufc" or min(shape, default=1) < 0 or size > psutil.virtual_memory().total:
            raise ValueError(f"an array of type {kind} and shape {shape}")
        return np.frombuffer(_read(pipe, size, deadline), kind).reshape(shape)

    reply = json.loads(bytes(_read(pipe, length, deadline)), object_hook=array)
    if not isinstance(reply, dict) or not {"value", "error"} & set(reply):
        raise ValueError("neither a value nor an error")
    return reply


def _read(pipe: int, size: int, deadline: float) -> memoryview:
    content = np.empty(size, np.uint8).data  # faster than bytearray, which is filled with zeros
    rest = content
    while rest:
        _wait(pipe, select.POLLIN, deadline)
        count = os.readv(pipe, [rest])
        if not count:
            raise EOFError("the end of the replies")
        rest = rest[count:]
    return content


def _wait(pipe: int, event: int, deadline: float) -> None:
    """Wait until a pipe is readable or writable, or is broken; raise TimeoutError at the deadline."""
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(max(0, 1000 * (deadline - time.monotonic()))):
        raise TimeoutError("no reply in time")


def serve() -> None:
    """Run calls from standard input, and write their replies to standard output, until the input ends."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            function, args = pickle.load(sys.stdin.buffer)  # noqa: S301, from the parent process
        except EOFError:
            return
        _run_call(replies, function, args)


def _run_call(replies, function: Callable, args: tuple) -> None:
    arrays: list[np.ndarray] = []
    try:
        reply = {"value": _plain(function(*args), arrays)}
    except Exception as error:
        number, text = (error.errno, error.strerror) if isinstance(error, OSError) else (None, None)
        reply = {"error": [type(error).__name__, number, text or str(error)]}
    text = json.dumps(reply).encode()
    replies.write(LENGTH.pack(len(text)) + text)
    for array in arrays:
        replies.write(array)
    replies.flush()


def _plain(value, arrays: list[np.ndarray]):
    """Convert a value to JSON types, and append its arrays to `arrays` in the order in which they are sent."""
    if isinstance(value, np.ndarray):
        arrays.append(np.ascontiguousarray(value))
        return {"array": [value.dtype.str, value.shape]}
    if isinstance(value, dict):
        return {"dict": [[key, _plain(item, arrays)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_plain(item, arrays) for item in value]
    return value.item() if isinstance(value, np.generic) else value
