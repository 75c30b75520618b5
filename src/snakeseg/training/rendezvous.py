"""Rendezvous of the processes of one training, protected from other users of the machines.

Processes that this program starts on one machine share a file in a private folder. Processes that `srun` starts read
the address of rank 0 from a private file in the model folder. By a challenge, rank 0 must prove that it wrote the file.
"""

import hmac
import json
import os
import secrets
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import psutil
import torch.distributed as dist

from snakeseg.errors import BadInput

# Time limit of the rendezvous, and interval at which the announcement is looked for, in seconds.
RENDEZVOUS_TIMEOUT_S = 1800
ANNOUNCEMENT_POLL_S = 0.2
# Largest announcement (address, port and secret), in bytes.
MAX_ANNOUNCEMENT_BYTES = 1024
LOOPBACK = "127.0.0.1"


class Announcement(NamedTuple):
    """Address and port on which rank 0 listens, and the secret by which it proves its identity."""

    address: str
    port: int
    secret: str

    def answer(self, challenge: bytes) -> bytes:
        """Return the response to a challenge, which requires the secret: HMAC-SHA-256 in hexadecimal."""
        return hmac.new(self.secret.encode(), challenge, "sha256").hexdigest().encode()


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a private temporary folder the default for temporary files of this process, until the block ends.

    `torch.multiprocessing` unpickles tracebacks of processes from temporary files and chooses their names long before
    they are written. In a shared folder, another user could write them.
    """
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="snakeseg-") as folder:
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before


def use_loopback() -> None:
    """Restrict gloo and NCCL to the loopback interface, for processes that are all on one machine."""
    interfaces = psutil.net_if_addrs().items()
    name = next(name for name, addresses in interfaces if any(a.address == LOOPBACK for a in addresses))
    os.environ |= {"GLOO_SOCKET_IFNAME": name, "NCCL_SOCKET_IFNAME": f"={name}"}


def step_file(folder: Path) -> Path:
    """Return the path of the announcement of a Slurm job step; each restart of a job has a path of its own."""
    job, step = os.environ["SLURM_JOB_ID"], os.environ["SLURM_STEP_ID"]
    return folder / f".{job}.{step}.{os.environ.get('SLURM_RESTART_CNT', 0)}.rendezvous"


def address_towards(host: str) -> str:
    """Return the address of this machine on the network of a host; nothing is sent."""
    family, kind, _, _, target = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(target)
        return probe.getsockname()[0]


def open_store(path: Path, rank: int, size: int, address: str, timeout_s: float = RENDEZVOUS_TIMEOUT_S) -> dist.Store:
    """Open the store of a team; return when rank 0 and this process are connected.

    Parameters
    ----------
    path : path
        Announcement of rank 0, on a file system that all machines share. It is removed afterwards.
    rank, size : int
        Rank of this process, and number of processes.
    address : str
        Address on which rank 0 listens.
    timeout_s : float
        Time limit in seconds.

    Raises
    ------
    BadInput
        If the other processes do not connect in time, or another program listens in place of rank 0.
    """
    return _lead(path, size, address, timeout_s) if rank == 0 else _follow(path, rank, timeout_s)


def _lead(path: Path, size: int, address: str, timeout_s: float) -> dist.Store:
    """Listen on a free port, announce it, and answer the challenge of every other rank."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, 0), family=family, backlog=size)
    announcement = Announcement(address, listener.getsockname()[1], secrets.token_hex(32))
    challenges = {rank: f"challenge {rank}" for rank in range(1, size)}
    try:
        store = _connect(announcement, timeout_s, is_master=True, master_listen_fd=listener.detach())
        _write_private(path, json.dumps(announcement))
        try:
            store.wait(list(challenges.values()), timedelta(seconds=timeout_s))
        except dist.DistError as error:
            present = 1 + sum(store.check([key]) for key in challenges.values())
            raise BadInput(
                "train.processes", f"{present} of {size} processes after {timeout_s:g} s", "all processes",
                "read the errors of the others in the log, let the nodes reach each other over TCP, and run again",
            ) from error  # fmt: skip
        for rank, key in challenges.items():
            store.set(f"answer {rank}", announcement.answer(store.get(key)))
    finally:
        path.unlink(missing_ok=True)
    return store


def _follow(path: Path, rank: int, timeout_s: float) -> dist.Store:
    """Connect to the port that rank 0 announced, and verify its response to a challenge."""
    announcement = _await_announcement(path, timeout_s)
    store = _connect(announcement, timeout_s)
    challenge = secrets.token_hex(32)
    store.set(f"challenge {rank}", challenge)
    if not hmac.compare_digest(store.get(f"answer {rank}"), announcement.answer(challenge.encode())):
        raise BadInput(
            "train.processes", f"another program at port {announcement.port} of {announcement.address}",
            "rank 0 of this training", "run again; if it happens again, report it to the administrators of the cluster",
        )  # fmt: skip
    return store


def _connect(announcement: Announcement, timeout_s: float, **options) -> dist.TCPStore:
    limit = timedelta(seconds=timeout_s)
    return dist.TCPStore(*announcement[:2], timeout=limit, wait_for_workers=False, **options)


def _write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, atomically."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)


def _await_announcement(path: Path, timeout_s: float) -> Announcement:
    """Wait for the announcement of rank 0, and read it."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with suppress(FileNotFoundError):
            # Listing the folder makes NFS look for new files at once.
            if path.name in os.listdir(path.parent):
                return _read_private(path)
        time.sleep(ANNOUNCEMENT_POLL_S)
    raise BadInput(
        path, f"no such file after {timeout_s:g} s", "the address of rank 0",
        "read the error of rank 0 in the log, keep results on a file system that all nodes share, and run again",
    )  # fmt: skip


def _read_private(path: Path) -> Announcement:
    """Read an announcement; reject one that another user could have written or read."""
    expected = f"one that only user {os.geteuid()} can read"
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:  # the file of another user, or a link
        found = f"a file that cannot be read ({error.strerror})"
        raise BadInput(path, found, expected, "delete the file, and run again") from error
    with open(handle, encoding="utf-8") as file:
        status = os.fstat(handle)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or mode & 0o077:
            found = f"a file of user {status.st_uid} with permissions {mode:o}"
            raise BadInput(path, found, expected, "delete the file, and run again")
        return Announcement(*json.loads(file.read(MAX_ANNOUNCEMENT_BYTES)))
