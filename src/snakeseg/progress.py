"""Progress of long operations, with the remaining time: a bar on a terminal, lines in a log file."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from snakeseg.text import printable_lines

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 15


def progress(
    work: Iterable[T],
    total: int | None,
    what: str,
    note: Callable[[], str] = lambda: "",
    begun: int = 0,
    share: Callable[[], float] | None = None,
) -> Iterator[T]:
    """Yield the items of `work` and report the progress on standard error.

    Parameters
    ----------
    work : iterable
    total : int or None
        Total number of items, including those of an earlier run. None if only `share` measures the progress.
    what : str
        Name of the operation, printed before the numbers.
    note : function, optional
        Returns the current status, such as the loss, which is printed after the numbers.
    begun : int
        Number of items that an earlier run completed.
    share : function, optional
        Returns the completed share of the work, 0 to 1; by default computed from `total`.
    """
    if sys.stderr.isatty():
        bar = tqdm(work, total=total, desc=what, initial=begun)
        for item in bar:
            yield item
            bar.set_postfix_str(note(), refresh=False)
        return
    start = last = time.monotonic()
    before = share() if share else 0.0
    for done, item in enumerate(work, start=begun + 1):
        yield item
        now, part = time.monotonic(), share() if share else done / total
        if part >= 1 or now - last >= SECONDS_BETWEEN_LINES:
            last = now
            left = (now - start) / (part - before) * max(1 - part, 0)
            number = f"{done}/{total}" if total else str(done)
            print(f"{what}: {number}, {clock(left)} left {note()}".rstrip(), file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """Format a duration in seconds as hours, minutes and seconds: "1:02:03"."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def log(text: object) -> None:
    """Write text to the log (standard error), with control characters escaped."""
    print(printable_lines(text), file=sys.stderr, flush=True)
