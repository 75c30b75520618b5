"""Progress of long work: a bar on a terminal, a line now and then in a log file, each with the time left."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 15


def progress(work: Iterable[T], total: int, what: str, note: Callable[[], str] = lambda: "") -> Iterator[T]:
    """Pass `work` through, telling how far it is on standard error; `note` adds a word on the state of things."""
    if sys.stderr.isatty():
        bar = tqdm(work, total=total, desc=what)
        for item in bar:
            yield item
            bar.set_postfix_str(note(), refresh=False)
        return
    start = last = time.monotonic()
    for done, item in enumerate(work, start=1):
        yield item
        now = time.monotonic()
        if done == total or now - last >= SECONDS_BETWEEN_LINES:
            last = now
            left = (now - start) / done * (total - done)
            print(f"{what}: {done}/{total}, {_clock(left)} left {note()}".rstrip(), file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
