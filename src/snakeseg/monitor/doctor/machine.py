"""Python, torch and the device that jobs would compute on here."""

import os
import platform
import shutil
import sys
import time

from snakeseg.monitor.doctor.check import Check

PYTHON = (3, 11)


def check_python() -> Check:
    """The interpreter's version."""
    found = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info < PYTHON:
        return Check("Python", "problem", found, f"install {'.'.join(map(str, PYTHON))} or newer")
    return Check("Python", "ok", found)


def check_torch() -> Check:
    """If torch can be imported, and how long that takes: every job that needs it pays so much."""
    start = time.monotonic()
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("torch", "problem", f"cannot be imported ({_line(error)})", "install it: pip install -e .")
    seconds = time.monotonic() - start
    found = f"{torch.__version__}, imported in {seconds:.1f} s"
    if seconds > 20:
        return Check("torch", "warning", found, "put the environment on a faster disk, or in a container")
    return Check("torch", "ok", found)


def check_device() -> Check:
    """The accelerator that torch sees, or that it does not see one that is there; a small product is computed on it."""
    import torch

    from snakeseg.devices import choose_device, device_name, total_memory

    device = choose_device(1, 1)
    try:
        float((torch.ones(256, 256, device=device) @ torch.ones(256, 256, device=device)).sum())
        found = f"{device_name(device)}, {total_memory(device) / 1e9:.1f} GB"
    except RuntimeError as error:
        return Check(
            "device", "problem", f"{device.type} does not compute ({_line(error)})", "see the driver's version"
        )
    if device.type == "cpu" and (os.path.exists("/dev/nvidiactl") or shutil.which("nvidia-smi")):
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        return Check(
            "device", "warning", f"{found}; an NVIDIA driver, which torch, built {built}, does not use",
            "install a torch for this driver, or ask for a GPU where they are given to jobs",
        )  # fmt: skip
    return Check("device", "ok", found if device.type != "cpu" else f"no GPU; {found}, {_cores()} cores")


def describe_node() -> dict:
    """What a job finds where it runs: node, device, memory it may use, cores."""
    import torch

    from snakeseg.devices import choose_device, device_name, total_memory

    device = choose_device(1, 1)
    return {
        "node": platform.node(), "device": device.type, "name": device_name(device), "gpus": torch.cuda.device_count(),
        "memory_gb": round(total_memory(torch.device("cpu")) / 1e9, 1), "cores": _cores(),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"), "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }  # fmt: skip


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
