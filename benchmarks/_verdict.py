"""What every benchmark shares: timing, peak memory, and the closing line of JSON."""

import json
import time
import tracemalloc
from collections.abc import Callable


def best_seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """The fastest of several runs after one to warm up: the least disturbed by others on the machine."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def peak_bytes(work: Callable[[], object]) -> int:
    """Peak of memory allocated while `work` runs (NumPy reports its buffers to tracemalloc)."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def table(rows: list[dict]) -> None:
    """Print rows as an aligned table."""
    names = list(rows[0])
    cells = [names] + [[f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def verdict(name: str, ours: float, peer: float, ratio: float, goal: float, met: bool, **more) -> None:
    """The machine-readable last line."""
    line = {"name": name, "ours": ours, "peer": peer, "ratio": ratio, "goal": goal, "met": bool(met), **more}
    print(json.dumps(line))
