"""What hostile input may take: a guard against work and memory without end."""

import re
import resource
import signal
from contextlib import contextmanager
from pathlib import Path

SECONDS, MEGABYTES = 20, 300


@contextmanager
def limits():
    """Fails a block that takes too long or too much memory; it cannot take so much that the machine suffers."""

    def late(*_):
        raise TimeoutError(f"more than {SECONDS} seconds")

    before, (soft, hard) = signal.signal(signal.SIGALRM, late), resource.getrlimit(resource.RLIMIT_AS)
    held, space = memory("VmRSS"), int(memory("VmSize"))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak is counted from here
    resource.setrlimit(resource.RLIMIT_AS, ((space + 8000) * 2**20, hard))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert memory("VmHWM") - held < MEGABYTES


def memory(what: str) -> float:
    """Of this process, in megabytes."""
    return int(re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))[1]) / 2**10
