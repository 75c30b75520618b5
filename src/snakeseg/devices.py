"""Where to compute, and in which precision."""

import ctypes
import sys
from contextlib import nullcontext

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
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # finds bugs, costs time
    _keep_freed_memory()
    if gpus and torch.cuda.is_available():
        return torch.device("cuda")
    if gpus and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _keep_freed_memory() -> None:
    """Have glibc reuse large buffers: by default each goes back at once, and every step of training pays page faults.

    Measured: 5 % of a training step on two cores.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        trim_threshold, mmap_threshold = -1, -3
        mallopt(mmap_threshold, 1 << 30)
        mallopt(trim_threshold, (1 << 31) - 1)


def autocast(precision: str, device: torch.device):
    """The context to run a network in.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        "auto" is bfloat16 where the processor multiplies it in hardware.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"precision {precision!r}; expected auto, float32 or bfloat16")
    if precision == "float32" or (precision == "auto" and not _has_bfloat16(device)):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))
    return False
