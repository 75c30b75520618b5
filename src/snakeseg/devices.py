"""Where to compute, and in which precision."""

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
    """The device to compute on, after setting the number of compute threads.

    Parameters
    ----------
    gpus : int
        0 forbids an accelerator; otherwise one is taken where there is one.
    threads : int
        Compute threads on the CPU; the same number gives the same bits.
    """
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms takes seconds to load compilers
    torch.utils.deterministic.fill_uninitialized_memory = False  # finds bugs, costs time
    _keep_freed_memory()
    claim_gpus(gpus)
    if gpus and torch.cuda.is_available():
        return torch.device("cuda")
    if gpus and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def claim_gpus(count: int) -> None:
    """Make this process, and those it starts, see so many GPUs that no other process of this user has claimed.

    For jobs that share a workstation: it acts before CUDA first counts devices, as long as the process lives. If too
    few are free, or no more than `count` can be seen (a scheduler gave them), nothing changes.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    there = Path("/proc/driver/nvidia/gpus")
    names = visible.split(",") if visible else [str(n) for n, _ in enumerate(there.iterdir())] if there.is_dir() else []
    if visible == "" or not 0 < count < len(names):
        return
    held: dict[str, int] = {}
    for name in names if (folder := _runtime_folder()) else ():
        with suppress(OSError, ValueError):  # held by another process, or nothing that can be claimed
            held[name] = _claimed(folder / f"snakeseg-gpu-{name}.lock")  # never closed: the lock ends with the process
        if len(held) == count:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(held)
            return
    for handle in held.values():
        os.close(handle)


def use_own_compiler_caches() -> None:
    """Set the cache folders of PyTorch's compilers to a private one, since they unpickle and load its files.

    The default is a predictable name in the shared folder of temporary files.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "snakeseg" / "compilers"
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_private(folder):
        folder = Path(tempfile.mkdtemp(prefix="snakeseg-"))
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        os.environ.setdefault(name, str(folder / name.split("_")[0].lower()))


def _is_private(path: Path) -> bool:
    """Return whether a path is a folder of this user to which no other user can write."""
    with suppress(OSError):
        status = os.lstat(path)
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
    return False


def _claimed(path: Path) -> int:
    """Open and lock a file that only this user can open; raise OSError if another process holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _runtime_folder() -> Path | None:
    """Return a folder for locks of this user on this machine, private to the user; None if there is none."""
    user = os.getuid()
    own = Path(tempfile.gettempdir(), f"snakeseg-{user}")
    with suppress(OSError):
        own.mkdir(mode=0o700, exist_ok=True)
    named = os.environ.get("XDG_RUNTIME_DIR")
    folders = [*([Path(named)] if named else []), Path(f"/run/user/{user}"), own]
    return next((folder for folder in folders if _is_private(folder)), None)


def _keep_freed_memory() -> None:
    """Have glibc reuse large buffers: by default each goes back at once, and every step of training pays page faults.

    Measured: 5 % of a training step on two cores. One arena for all threads: with one for each, what threads that read
    and write leave behind adds up, by a tenth of what predicting holds.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        trim_threshold, mmap_threshold, arena_max = -1, -3, -8
        mallopt(mmap_threshold, 1 << 30)
        mallopt(trim_threshold, (1 << 31) - 1)
        mallopt(arena_max, 1)


def autocast(precision: str, device: torch.device):
    """The context to run a network in.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16", "float16"}
        "auto" is bfloat16 where the processor multiplies it in hardware.
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
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))
    return False


def total_memory(device: torch.device) -> int:
    """Bytes of the device's memory, or of what this process may use of the machine's; free or not, so that a training
    that goes on settles on the same."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return min([psutil.virtual_memory().total, *group_limits(Path("/"))])


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device, or that this process may still take of the machine's."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min([psutil.virtual_memory().available, *group_limits(Path("/"))])


def device_name(device: torch.device) -> str:
    """What the device is called by its maker."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {torch.backends.cpu.get_cpu_capability()} {platform.machine()} {_processor()}"


def _processor() -> str:
    """The processor's name, where the system tells it."""
    told = Path("/proc/cpuinfo")
    names = (
        [line for line in told.read_text(encoding="utf-8").splitlines() if "model name" in line]
        if told.is_file()
        else []
    )
    return names[0].split(":", 1)[1].strip() if names else platform.processor()


def group_limits(root: Path) -> Iterator[int]:
    """Limits in bytes that control groups (versions 1 and 2; of a Slurm job, of a container) set for this process."""
    groups = root / "proc/self/cgroup"
    for line in groups.read_text(encoding="utf-8").splitlines() if groups.is_file() else []:
        _, controllers, path = line.split(":", 2)
        folder = root / "sys/fs/cgroup" / ("memory" if "memory" in controllers.split(",") else "")
        for part in (folder / path.strip("/"), *(folder / path.strip("/")).parents):
            for name in ("memory.max", "memory.limit_in_bytes"):
                if (part / name).is_file() and (text := (part / name).read_text(encoding="utf-8").strip()).isdigit():
                    yield int(text)
