"""The history of a training: what was measured of each step, as rows, numbers of a state file, and a table."""

import csv
from collections.abc import Sequence
from typing import NamedTuple


class StepRecord(NamedTuple):
    """Measurements of one training step.

    Attributes
    ----------
    step : int
    loss : float
    learning_rate : float
    wait_seconds, compute_seconds : float
        Time spent waiting for the batch, and computing with it.
    memory_mb : float
        Peak memory so far.
    pixels : tuple of float
        Number of pixels of each class that the loss has seen.
    """

    step: int
    loss: float
    learning_rate: float
    wait_seconds: float
    compute_seconds: float
    memory_mb: float
    pixels: tuple[float, ...] = ()

    def numbers(self) -> tuple[float, ...]:
        """Return all measurements in one row, as state files hold them."""
        return (*self[: len(HISTORY)], *self.pixels)

    def named(self) -> dict[str, float]:
        """Return the measurements by name: `HISTORY` and ``pixels_<class>``."""
        pixels = {f"pixels_{index}": int(number) for index, number in enumerate(self.pixels)}
        return {**dict(zip(HISTORY, self, strict=False)), **pixels}


# Columns of the history; after them, `pixels_<class>`.
HISTORY = StepRecord._fields[:-1]


def record_of(numbers: Sequence[float]) -> StepRecord:
    """Return the record that `StepRecord.numbers` made a row of."""
    step, *measured = numbers[: len(HISTORY)]
    return StepRecord(int(step), *measured, tuple(numbers[len(HISTORY) :]))


def write_history(path, history: list[dict]) -> None:
    """Write the rows of a history (from `StepRecord.named`) as TSV."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in history)
