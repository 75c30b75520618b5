"""State files of a training: written atomically, read if valid; and the lock of a training folder."""

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

# Number of states to keep: the newest, and the previous one in case the newest is damaged.
KEPT_STATES = 2
# Interval at which a lock is tried again, and time limit for a lock without a living holder, in seconds.
LOCK_POLL_S, NO_HOLDER_S = 1.0, 60.0
# Names of files that a killed process leaves: temporary files of this program and of safetensors, and announcements.
LEFT_BY_KILLED = (TEMPORARY, re.compile(r"\.tmp[A-Za-z0-9]{6}"), re.compile(r"\..*\.rendezvous.*", re.DOTALL))
Tensors = dict[str, torch.Tensor]


class State(NamedTuple):
    """Content of a state file: number of steps done, and all tensors that the next step depends on, by name."""

    step: int
    tensors: Tensors


def write_training_state(folder: Path, digest: str, state: State) -> None:
    """Write a state file, and remove old ones beyond `KEPT_STATES`.

    Parameters
    ----------
    folder : path
        Folder of the state files; created if missing.
    digest : str
        Digest of settings, data and machine; only a training with the same digest resumes from this state.
    state : State

    Raises
    ------
    BadInput
        If the file cannot be written, for example because the disk is full; older states are unchanged.
    """
    path = folder / f"{state.step:09d}.safetensors"
    try:
        with atomic_file(path) as temporary:
            save_file(state.tensors, temporary, {"digest": digest, "step": str(state.step)})
    except (OSError, SafetensorError) as error:
        older = [int(p.stem) for p in _states(folder)]
        size = sum(tensor.nbytes for tensor in state.tensors.values()) / 2**20
        raise BadInput(
            folder, f"{' '.join(str(error).split())}", f"{size:.0f} MB of disk space for the training state",
            f"free disk space and run again: training goes on from step {max(older, default=0)}",
        ) from error  # fmt: skip
    # States of later steps belong to a training with another digest.
    earlier = [path for path in _states(folder) if int(path.stem) <= state.step]
    for old in set(_states(folder)) - set(earlier[-KEPT_STATES:]):
        old.unlink(missing_ok=True)


def read_training_state(folder: Path, digest: str, log: Callable[[str], None]) -> State | None:
    """Read the newest valid state; log each skipped state file with the reason.

    Parameters
    ----------
    folder : path
        Folder of the state files.
    digest : str
        Digest that the state must have.
    log : function
        Called with each log line.

    Returns
    -------
    State or None
        None if there is no valid state.
    """
    for path in reversed(_states(folder)):
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("digest") != digest:
                    log(f"{path} is not used: its settings, data or number of threads differ")
                    continue
                return State(int(metadata["step"]), {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            log(f"{path} is not used: {' '.join(str(error).split())}")
    return None


def remove_states(folder: Path) -> None:
    """Remove the state files in a folder, and then the folder if it is empty."""
    if folder.is_dir() and not folder.is_symlink():
        for path in _states(folder):
            path.unlink()
        with suppress(OSError):  # the folder contains other files
            folder.rmdir()


@contextmanager
def lock(folder: Path, log: Callable[[str], None]) -> Iterator[None]:
    """Lock a model folder for the training of this process; wait while another process trains in it.

    A training can outlive the workflow that started it, and still write to the folder when the next one starts.

    Parameters
    ----------
    folder : path
        Model folder; created if missing. Files that a killed training left in it are removed.
    log : function
        Called with each log line.

    Raises
    ------
    BadInput
        If the lock belongs to another user, or its holder is not a training; or if the folder of states is a link.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "state").is_symlink():
        raise BadInput(folder / "state", "a link", "a folder of states, or nothing", "delete the link")
    # A file, because some cluster file systems cannot lock folders; beside the folder, because that may be replaced.
    path = folder.with_name(f".{folder.name}.lock")
    handle = _acquire_lock(path, folder, log)
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()} {platform.node()}".encode())
        for file in (*folder.glob(".*"), *folder.glob("state/.*")):
            if file.is_file() and any(pattern.fullmatch(file.name) for pattern in LEFT_BY_KILLED):
                file.unlink(missing_ok=True)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _acquire_lock(path: Path, folder: Path, log: Callable[[str], None]) -> int:
    """Return the handle of the lock file, exclusively locked by this process."""
    begun = logged = None
    while True:
        handle = _open_lock_file(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(handle)):
                    return handle
            os.close(handle)  # the previous holder has removed this file
            continue
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode("ascii", "replace")
            os.close(handle)
        if logged != holder:
            logged, begun = holder, time.monotonic()
            log(f"another process trains in {folder} ({_describe_holder(holder)}); waiting for it to end")
        if not _may_be_alive(holder) and time.monotonic() - begun > NO_HOLDER_S:
            found = f"a lock that no training holds ({_describe_holder(holder)})"
            raise BadInput(path, found, "no lock", "end the program that has the file open, or delete the file")
        time.sleep(LOCK_POLL_S)


def _open_lock_file(path: Path) -> int:
    """Return a handle of the lock file, readable by this user alone; raise BadInput for a link or a file of others."""
    expected = "no lock, or one of your own"
    remedy = "run in a folder of your own, or ask the file's owner to delete it when no training runs"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
        raise BadInput(path, f"a lock that cannot be opened ({error.strerror})", expected, remedy) from error
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink > 1:
        os.close(handle)
        raise BadInput(path, "a lock that is not a file of your own", expected, remedy)
    os.fchmod(handle, 0o600)
    return handle


def _describe_holder(holder: str) -> str:
    """Format the content of a lock file, process number and host, for a message."""
    number, _, host = holder.partition(" ")
    return f"process {number} on {host}" if host else "no process has written its number"


def _may_be_alive(holder: str) -> bool:
    """Return True if the process named in a lock file may be alive, such as any process on another machine."""
    number, _, host = holder.partition(" ")
    return bool(host) and (host != platform.node() or not number.isdecimal() or psutil.pid_exists(int(number)))


@contextmanager
def catch_stop_signals(keep_handlers: bool = False) -> Iterator[Callable[[], str | None]]:
    """Record SIGTERM, SIGINT and SIGUSR1 instead of ending at them.

    Parameters
    ----------
    keep_handlers : bool
        Record repeated signals as well, for a process of a team, which may receive a signal twice. By default, the
        second signal of a kind has its usual effect.

    Yields
    ------
    function
        Returns the name of the first signal received, or None.
    """
    received: list[str] = []
    before = {}

    def record(number, frame):
        received.append(signal.Signals(number).name)
        if not keep_handlers:
            signal.signal(number, before[number])

    for number in STOP_SIGNALS:
        before[number] = signal.signal(number, record)
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _states(folder: Path) -> list[Path]:
    """Return the state files in a folder, in order of their step."""
    return sorted(folder.glob("[0-9]*.safetensors"))
