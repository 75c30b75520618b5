"""Progress of long work: a bar on a terminal, a line now and then in a log file, each with the time left."""

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
    """Pass `work` through, telling on standard error how far it is and how much time is left.

    Parameters
    ----------
    work : iterable
    total : int, optional
        Its length; None if `share` alone tells how far it is.
    what : str
        Stands before the numbers.
    note : function
        A word on the state of things.
    begun : int
        Pieces of the total that were done in an earlier run.
    share : function
        Share of the whole that is done.
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
    """Return a time as hours, minutes and seconds: "1:02:03"."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def tell(text: object) -> None:
    """A line in the log."""
    print(printable_lines(text), file=sys.stderr, flush=True)
