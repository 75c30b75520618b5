"""What finished jobs took, from their benchmark files; and what to ask for next time."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

# Requests are so much above what was needed.
SPARE = 1.5
# Of a benchmark file or a history; larger ones are not ours.
MAX_BYTES, MAX_COLUMNS = 2**28, 100


class Usage(NamedTuple):
    """What a job took; NaN where the benchmark file does not tell.

    `device` is the share of a training's time in which it computed, rather than waited for data or started up.
    """

    seconds: float
    memory_mb: float
    cores: float
    device: float = math.nan


def read_usage(path: Path) -> Usage | None:
    """The last row of a benchmark file, as Snakemake writes it; None if there is no such row."""
    rows = list(_rows(path))
    if not rows:
        return None
    row = rows[-1]
    # A job of less than a few seconds has dashes; mean_load is in per cent of a core.
    return Usage(_number(row.get("s")), _number(row.get("max_rss")), _number(row.get("mean_load")) / 100)


def device_share(history: Path, seconds: float) -> float:
    """Share of a training's seconds in which its steps computed; NaN if it has no history."""
    computed = [_number(row.get("compute_seconds")) for row in _rows(history)]
    return min(1.0, sum(computed) / seconds) if computed and seconds > 0 else math.nan


def advise(used: list[Usage]) -> dict[str, int]:
    """What a rule's next jobs should ask for: `mem_mb` in steps of 500 MB and `runtime` in steps of 5 minutes."""
    memory = max((one.memory_mb for one in used if one.memory_mb > 0), default=math.nan)
    seconds = max((one.seconds for one in used if one.seconds > 0), default=math.nan)
    advice = {}
    if not math.isnan(memory):
        advice["mem_mb"] = 500 * math.ceil(SPARE * memory / 500)
    if not math.isnan(seconds):
        advice["runtime"] = 5 * math.ceil(SPARE * seconds / 60 / 5)
    return advice


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return []
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, delimiter="\t")
            return list(reader) if len(reader.fieldnames or ()) <= MAX_COLUMNS else []
    except (OSError, csv.Error, UnicodeError):
        return []


def _number(text: str | None) -> float:
    try:
        number = float(text or "nan")
    except (ValueError, TypeError):
        return math.nan
    return number if math.isfinite(number) else math.nan
