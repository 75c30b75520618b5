"""Compute devices: choice, GPU claims, precision, memory limits."""

import ctypes
import fcntl
import os
import platform
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path

import psutil
import torch


def choose_device(gpus: int, threads: int) -> torch.device:
    """Set up PyTorch for this process and return the device to compute on.

    Parameters
    ----------
    gpus : int
        Number of GPUs that the process may use. With 0 it runs on the CPU, otherwise on CUDA or MPS if available.
    threads : int
        Number of compute threads on the CPU. The same number gives bitwise equal results.
    """
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms spends seconds on importing compilers
    torch.utils.deterministic.fill_uninitialized_memory = False  # only for debugging, and slow
    _keep_freed_memory()
    claim_gpus(gpus)
    if gpus and torch.cuda.is_available():
        return torch.device("cuda")
    if gpus and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def claim_gpus(count: int) -> None:
    """Claim `count` GPUs for this process by lock files, and hide all others from it and its child processes.

    Jobs of one user that share a workstation thus run on different GPUs. The claim lasts as long as the process. Call
    this before CUDA is initialised. Nothing changes if fewer than `count` GPUs are free, or if at most `count` GPUs
    are visible, as in a job of a scheduler.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    driver = Path("/proc/driver/nvidia/gpus")
    installed = [str(n) for n, _ in enumerate(driver.iterdir())] if driver.is_dir() else []
    names = visible.split(",") if visible else installed
    if visible == "" or not 0 < count < len(names):
        return
    locks: dict[str, int] = {}
    for name in names if (folder := _runtime_folder()) else ():
        with suppress(OSError, ValueError):  # another process has the lock, or the name cannot be a file name
            locks[name] = _lock_file(folder / f"snakeseg-gpu-{name}.lock")  # never closed: released at process exit
        if len(locks) == count:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(locks)
            return
    for handle in locks.values():
        os.close(handle)


def use_own_compiler_caches() -> None:
    """Point the caches of PyTorch's compilers to a private folder, since PyTorch unpickles and loads their files.

    By default they lie under a predictable name in the temporary folder, which other users can write to.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "snakeseg" / "compilers"
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_private(folder):
        folder = Path(tempfile.mkdtemp(prefix="snakeseg-"))
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        os.environ.setdefault(name, str(folder / name.split("_")[0].lower()))


def _is_private(path: Path) -> bool:
    """Return True if a path is a folder of this user to which no other user can write."""
    with suppress(OSError):
        status = os.lstat(path)
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
    return False


def _lock_file(path: Path) -> int:
    """Lock a file that only this user can open, and return its handle; raise OSError if another process has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _runtime_folder() -> Path | None:
    """Return a private folder for this user's lock files on this machine, or None."""
    user = os.getuid()
    own = Path(tempfile.gettempdir(), f"snakeseg-{user}")
    with suppress(OSError):
        own.mkdir(mode=0o700, exist_ok=True)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folders = [*([Path(runtime)] if runtime else []), Path(f"/run/user/{user}"), own]
    return next((folder for folder in folders if _is_private(folder)), None)


def _keep_freed_memory() -> None:
    """Make glibc keep and reuse large buffers instead of returning them to the system.

    This avoids page faults in every training step (5 % of its time on two cores). A single arena for all threads
    reduces the memory of prediction by a tenth, since freed memory is not kept in an arena per thread.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        trim_threshold, mmap_threshold, arena_max = -1, -3, -8
        mallopt(mmap_threshold, 1 << 30)
        mallopt(trim_threshold, (1 << 31) - 1)
        mallopt(arena_max, 1)


def autocast(precision: str, device: torch.device):
    """Return the context manager that runs a network in a precision.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16", "float16"}
        "auto" is bfloat16 if the device multiplies it in hardware, else float32.
    device : torch.device

    Raises
    ------
    ValueError
        If the precision is unknown.
    """
    if precision not in ("auto", "float32", "bfloat16", "float16"):
        raise ValueError(f"precision {precision!r}; expected auto, float32, bfloat16 or float16")
    if precision == "float32" or (precision == "auto" and not _has_bfloat16(device)):
        return nullcontext()
    return torch.autocast(device.type, torch.float16 if precision == "float16" else torch.bfloat16)


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        features = torch.cpu.get_capabilities()
        return bool(features.get("avx512_bf16") or features.get("amx_bf16") or features.get("bf16"))
    return False


def total_memory(device: torch.device) -> int:
    """Return the memory of the device, or the part of the machine's memory that this process may use, in bytes.

    The value does not depend on the memory in use, so that a resumed training chooses the same patch and batch size.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return min([psutil.virtual_memory().total, *group_limits(Path("/"))])


def free_memory(device: torch.device) -> int:
    """Return the memory that this process can still allocate on the device, in bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min([psutil.virtual_memory().available, *group_limits(Path("/"))])


def device_name(device: torch.device) -> str:
    """Return the model name of a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {torch.backends.cpu.get_cpu_capability()} {platform.machine()} {_processor()}"


def _processor() -> str:
    """Return the model name of the CPU, or its architecture if the system does not state it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line for line in lines if "model name" in line]
    return names[0].split(":", 1)[1].strip() if names else platform.processor()


def group_limits(root: Path) -> Iterator[int]:
    """Yield the memory limits in bytes that control groups (v1 and v2, as of Slurm jobs and containers) set.

    Parameters
    ----------
    root : path
        Root of the file system that holds `proc` and `sys`.
    """
    groups = root / "proc/self/cgroup"
    for line in groups.read_text(encoding="utf-8").splitlines() if groups.is_file() else []:
        _, controllers, path = line.split(":", 2)
        folder = root / "sys/fs/cgroup" / ("memory" if "memory" in controllers.split(",") else "")
        for part in (folder / path.strip("/"), *(folder / path.strip("/")).parents):
            for name in ("memory.max", "memory.limit_in_bytes"):
                if (part / name).is_file() and (text := (part / name).read_text(encoding="utf-8").strip()).isdigit():
                    yield int(text)
