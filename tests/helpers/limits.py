"""What hostile input may take: a guard against work and memory without end."""

import re
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

# Seconds of work, however busy the machine is with other work, and of waiting.
SECONDS, WAITING, MEGABYTES = 20, 300, 300


@contextmanager
def limits():
    """Fails a block that takes too long or too much memory; it cannot take so much that the machine suffers."""

    def late(*_):
        raise TimeoutError(f"more than {SECONDS} seconds of work, or {WAITING} in all")

    before = {number: signal.signal(number, late) for number in (signal.SIGPROF, signal.SIGALRM)}
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    held, space = memory("VmRSS"), int(memory("VmSize"))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak is counted from here
    resource.setrlimit(resource.RLIMIT_AS, ((space + 8000) * 2**20, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(WAITING)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert memory("VmHWM") - held < MEGABYTES


def memory(what: str) -> float:
    """Of this process, in megabytes."""
    return int(re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))[1]) / 2**10
