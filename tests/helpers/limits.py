"""Limits of time and memory for tests of hostile input."""

import re
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

# Processor time, which does not depend on other work of the machine; elapsed time; and additional memory.
MAX_CPU_S, MAX_WALL_S, MAX_MEMORY_MB = 20, 300, 300
# Additional address space, which protects the machine.
MAX_ADDRESS_SPACE_MB = 8000


@contextmanager
def limits():
    """Raise TimeoutError or AssertionError if a block takes too much time or memory."""

    def time_out(*_):
        raise TimeoutError(f"more than {MAX_CPU_S} seconds of processor time, or {MAX_WALL_S} in all")

    before = {number: signal.signal(number, time_out) for number in (signal.SIGPROF, signal.SIGALRM)}
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    in_use, space = memory_megabytes("VmRSS"), int(memory_megabytes("VmSize"))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # resets VmHWM, the peak
    resource.setrlimit(resource.RLIMIT_AS, ((space + MAX_ADDRESS_SPACE_MB) * 2**20, hard))
    signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
    signal.alarm(MAX_WALL_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert memory_megabytes("VmHWM") - in_use < MAX_MEMORY_MB


def memory_megabytes(field: str) -> float:
    """Return a field of /proc/self/status in megabytes."""
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))[1]) / 2**10
