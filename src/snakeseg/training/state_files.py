"""The state of a training that may be cut off at any moment: written whole, read back or refused with a reason."""

import errno
import fcntl
import os
import platform
import re
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from snakeseg.errors import STOP_SIGNALS, BadInput
from snakeseg.io.files import TEMPORARY, atomic_file

# The newest state, and the one before in case that is damaged.
KEPT = 2
# A lock is tried again every second; one that is held without a living holder is given up after a minute.
POLL_S, NO_HOLDER_S = 1.0, 60.0
# Names of files that a killed process leaves: our own, those that safetensors writes first, and of a rendezvous.
LEFT_BY_KILLED = (TEMPORARY, re.compile(r"\.tmp[A-Za-z0-9]{6}"), re.compile(r"\..*\.rendezvous.*", re.DOTALL))
Tensors = dict[str, torch.Tensor]


class State(NamedTuple):
    """Steps done so far, and all tensors that the next one depends on."""

    step: int
    tensors: Tensors


def write_state(folder: Path, digest: str, state: State) -> None:
    """Write a state beside the older ones and drop those no longer needed.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    digest : str
        Stands for settings, data and machine; only a training with the same one may go on from here.
    state : State

    Raises
    ------
    BadInput
        If it cannot be written (a full disk); the older states are left as they are.
    """
    path = folder / f"{state.step:09d}.safetensors"
    try:
        with atomic_file(path) as beside:
            save_file(state.tensors, beside, {"digest": digest, "step": str(state.step)})
    except (OSError, SafetensorError) as error:
        older = [int(p.stem) for p in _states(folder)]
        size = sum(tensor.nbytes for tensor in state.tensors.values()) / 2**20
        raise BadInput(
            folder, f"{' '.join(str(error).split())}", f"{size:.0f} MB to write the state of the training to",
            f"free some space and run again: it goes on from step {max(older, default=0)}",
        ) from error  # fmt: skip
    own = [old for old in _states(folder) if int(old.stem) <= state.step]
    for old in set(_states(folder)) - set(own[-KEPT:]):  # what is further than this was refused
        old.unlink(missing_ok=True)


def read_state(folder: Path, digest: str, say: Callable[[str], None]) -> State | None:
    """The newest state that fits; None if there is none. Every one that is passed over is told with the reason."""
    for path in reversed(_states(folder)):
        try:
            with safe_open(path, "pt") as file:
                noted = file.metadata() or {}
                if noted.get("digest") != digest:
                    say(f"{path} is not used: it is of other settings, data or threads")
                    continue
                return State(int(noted["step"]), {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            say(f"{path} is not used: {' '.join(str(error).split())}")
    return None


def remove_states(folder: Path) -> None:
    """Remove the states in a folder, and the folder if it is empty then."""
    if folder.is_dir() and not folder.is_symlink():
        for path in _states(folder):
            path.unlink()
        with suppress(OSError):  # of files that are not ours
            folder.rmdir()


@contextmanager
def lock(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other process trains in a folder, and keep it for this one.

    A process that outlived the workflow that started it goes on writing; its successor waits for it.

    Raises
    ------
    BadInput
        If the lock is of another user, or is held by what is no training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "state").is_symlink():
        raise BadInput(folder / "state", "a link", "a folder of states, or nothing", "remove it")
    # A file, as some cluster file systems lock no folders; beside the folder, which may be replaced.
    path = folder.with_name(f".{folder.name}.lock")
    handle = _locked(path, folder, say)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()} {platform.node()}".encode())
        for left in (*folder.glob(".*"), *folder.glob("state/.*")):  # of a process killed while it wrote
            if left.is_file() and any(pattern.fullmatch(left.name) for pattern in LEFT_BY_KILLED):
                left.unlink(missing_ok=True)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path, folder: Path, say: Callable[[str], None]) -> int:
    """The lock file, opened and locked for this process alone."""
    begun = told = None
    while True:
        handle = _opened(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(handle)):
                    return handle
            os.close(handle)  # its holder has removed it
            continue
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode("ascii", "replace")
            os.close(handle)
        if told != holder:
            told, begun = holder, time.monotonic()
            say(f"another process trains in {folder} ({_in_words(holder)}); waiting for it to end")
        if not _may_live(holder) and time.monotonic() - begun > NO_HOLDER_S:
            found = f"a lock that no training holds ({_in_words(holder)})"
            raise BadInput(path, found, "none", "end the program that has the file open, or delete the file")
        time.sleep(POLL_S)


def _opened(path: Path) -> int:
    """A lock file of this user's that others cannot open."""
    expected, remedy = "none, or one of yours", "train in results of your own, or have it deleted when nobody trains"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
        raise BadInput(path, f"a lock that cannot be opened ({error.strerror})", expected, remedy) from error
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
        os.close(handle)
        raise BadInput(path, "a lock that is not a file of yours", expected, remedy)
    os.fchmod(handle, 0o600)
    return handle


def _in_words(holder: str) -> str:
    number, _, host = holder.partition(" ")
    return f"process {number} on {host}" if host else "no process has written its number"


def _may_live(holder: str) -> bool:
    """Whether the process that a lock names may be alive: on other machines, always."""
    number, _, host = holder.partition(" ")
    return bool(host) and (host != platform.node() or not number.isdecimal() or psutil.pid_exists(int(number)))


@contextmanager
def stop_requests(patient: bool = False) -> Iterator[Callable[[], str | None]]:
    """Note SIGTERM, SIGINT and SIGUSR1 in place of dying of them; yields a function that tells the first one's name.

    The second signal of a kind does what it always does, unless `patient`: one of a team may be told twice.
    """
    seen: list[str] = []
    before = {}

    def note(number, frame):
        seen.append(signal.Signals(number).name)
        if not patient:
            signal.signal(number, before[number])

    for number in STOP_SIGNALS:
        before[number] = signal.signal(number, note)
    try:
        yield lambda: seen[0] if seen else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.safetensors"))
