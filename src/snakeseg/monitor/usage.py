"""Read the resource usage of finished jobs from their benchmark files, and propose resource requests."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

# Ratio of a proposed request to the largest usage so far.
REQUEST_MARGIN = 1.5
# Limits for a benchmark file or a training history; larger files are not written by a run.
MAX_BYTES, MAX_COLUMNS = 2**28, 100


class Usage(NamedTuple):
    """Resource usage of a job; NaN for values that the benchmark file does not state.

    Attributes
    ----------
    seconds : float
        Wall-clock time.
    memory_mb : float
        Largest resident memory, in megabytes.
    cores : float
        Mean number of busy CPU cores.
    device : float
        Share of the time of a training in which its steps computed; the rest is start-up and waiting for data.
    """

    seconds: float
    memory_mb: float
    cores: float
    device: float = math.nan


def read_usage(path: Path) -> Usage | None:
    """Read the last row of a benchmark file of Snakemake; None if the file is missing, empty or invalid."""
    rows = list(_rows(path))
    if not rows:
        return None
    row = rows[-1]
    # Snakemake writes dashes for jobs of less than a few seconds. mean_load is in per cent of one core.
    return Usage(_number(row.get("s")), _number(row.get("max_rss")), _number(row.get("mean_load")) / 100)


def device_share(history: Path, seconds: float) -> float:
    """Compute the share of the seconds of a training in which its steps computed; NaN without a history."""
    computed = [_number(row.get("compute_seconds")) for row in _rows(history)]
    return min(1.0, sum(computed) / seconds) if computed and seconds > 0 else math.nan


def advise(used: list[Usage]) -> dict[str, int]:
    """Propose resource requests for the next jobs of a rule.

    Parameters
    ----------
    used : list of Usage
        Usage of the finished jobs of the rule.

    Returns
    -------
    dict of int
        mem_mb (megabytes, a multiple of 500) and runtime (minutes, a multiple of 5): `REQUEST_MARGIN` times the largest
        usage. Unknown values are missing.
    """
    memory = max((usage.memory_mb for usage in used if usage.memory_mb > 0), default=math.nan)
    seconds = max((usage.seconds for usage in used if usage.seconds > 0), default=math.nan)
    advice = {}
    if not math.isnan(memory):
        advice["mem_mb"] = 500 * math.ceil(REQUEST_MARGIN * memory / 500)
    if not math.isnan(seconds):
        advice["runtime"] = 5 * math.ceil(REQUEST_MARGIN * seconds / 60 / 5)
    return advice


def _rows(path: Path) -> list[dict[str, str]]:
    """Read a table separated by tabs; no rows if it cannot be read or exceeds the limits."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return []
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, delimiter="\t")
            return list(reader) if len(reader.fieldnames or ()) <= MAX_COLUMNS else []
    except (OSError, csv.Error, UnicodeError):
        return []


def _number(text: str | None) -> float:
    """Parse a finite number; NaN for any other text."""
    try:
        number = float(text or "nan")
    except (ValueError, TypeError):
        return math.nan
    return number if math.isfinite(number) else math.nan
