"""Check Python, torch and the device of this machine."""

import os
import platform
import shutil
import sys
import time

from snakeseg.monitor.doctor.check import Check

MIN_PYTHON = (3, 11)
# Longest import of torch without a warning.
MAX_IMPORT_S = 20
# Side length of the matrices that are multiplied to test the device.
TEST_MATRIX_SIDE = 256


def check_python() -> Check:
    """Check the version of Python."""
    found = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info < MIN_PYTHON:
        return Check("Python", "problem", found, f"install Python {'.'.join(map(str, MIN_PYTHON))} or newer")
    return Check("Python", "ok", found)


def check_torch() -> Check:
    """Check that torch can be imported, and measure the time, which every job that computes takes to start."""
    start = time.monotonic()
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("torch", "problem", f"cannot be imported ({_line(error)})", "run: pip install -e .")
    seconds = time.monotonic() - start
    found = f"{torch.__version__}, imported in {seconds:.1f} s"
    if seconds > MAX_IMPORT_S:
        return Check("torch", "warning", found, "move the environment to a faster disk, or into a container")
    return Check("torch", "ok", found)


def check_device() -> Check:
    """Check that the device that torch chooses can compute, and that torch uses an installed NVIDIA driver."""
    import torch

    from snakeseg.devices import choose_device, device_name, total_memory

    device = choose_device(1, 1)
    try:
        ones = torch.ones(TEST_MATRIX_SIDE, TEST_MATRIX_SIDE, device=device)
        float((ones @ ones).sum())
        found = f"{device_name(device)}, {total_memory(device) / 1e9:.1f} GB"
    except RuntimeError as error:
        return Check(
            "device", "problem", f"computing on {device.type} failed ({_line(error)})",
            "compare the version of the driver (nvidia-smi) with that of torch",
        )  # fmt: skip
    if device.type == "cpu" and (os.path.exists("/dev/nvidiactl") or shutil.which("nvidia-smi")):
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        return Check(
            "device", "warning", f"{found}; an NVIDIA driver is installed, but torch, built {built}, does not use it",
            "install a torch for this driver, or request a GPU if a scheduler assigns them to jobs",
        )  # fmt: skip
    return Check("device", "ok", found if device.type != "cpu" else f"no GPU; {found}, {_cores()} cores")


def describe_node() -> dict:
    """Describe the node that a job runs on.

    Returns
    -------
    dict
        node, device (type), name (of the device), gpus (number), memory_gb (that the process may use), cores, visible
        (CUDA_VISIBLE_DEVICES), slurm_job (id or None).
    """
    import torch

    from snakeseg.devices import choose_device, device_name, total_memory

    device = choose_device(1, 1)
    return {
        "node": platform.node(), "device": device.type, "name": device_name(device), "gpus": torch.cuda.device_count(),
        "memory_gb": round(total_memory(torch.device("cpu")) / 1e9, 1), "cores": _cores(),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"), "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }  # fmt: skip


def _cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _line(error: Exception) -> str:
    """Return the message of an error on one line of at most 200 characters."""
    return " ".join(str(error).split())[:200]
