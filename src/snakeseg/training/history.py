"""History of a training: measurements of each step, as records, rows of a state file, and a table."""

import csv
from collections.abc import Sequence
from typing import NamedTuple


class StepRecord(NamedTuple):
    """Measurements of one training step.

    Attributes
    ----------
    step : int
        Number of the step, counted from 0.
    loss : float
        Loss before the step.
    learning_rate : float
    wait_seconds, compute_seconds : float
        Time of waiting for the batch, and of computing with it.
    memory_mb : float
        Peak memory so far, in MiB.
    pixels : tuple of float
        Number of pixels of each class in the loss.
    """

    step: int
    loss: float
    learning_rate: float
    wait_seconds: float
    compute_seconds: float
    memory_mb: float
    pixels: tuple[float, ...] = ()

    def numbers(self) -> tuple[float, ...]:
        """Return all measurements as one row of a state file."""
        return (*self[: len(HISTORY)], *self.pixels)

    def named(self) -> dict[str, float]:
        """Return the measurements by name: `HISTORY` and ``pixels_<class>``."""
        pixels = {f"pixels_{index}": int(number) for index, number in enumerate(self.pixels)}
        return {**dict(zip(HISTORY, self, strict=False)), **pixels}


# Columns of the history, before the columns `pixels_<class>`.
HISTORY = StepRecord._fields[:-1]


def record_of(numbers: Sequence[float]) -> StepRecord:
    """Return the record of a row from `StepRecord.numbers`."""
    step, *measured = numbers[: len(HISTORY)]
    return StepRecord(int(step), *measured, tuple(numbers[len(HISTORY) :]))


def write_history(path, history: list[dict]) -> None:
    """Write a history as TSV, with six significant digits.

    Parameters
    ----------
    path : path
    history : list of dict
        Rows from `StepRecord.named`, at least one.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in history)
