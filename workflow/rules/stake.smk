"""In a dry run, what the planned jobs took when they last ran: nobody does days of training again unawares."""

import csv
import logging
import os
from itertools import count

from snakemake.logging import get_event, logger
from snakemake_interface_logger_plugins.common import LogEvent

LARGEST = 5
# Of a benchmark file; a larger one is none.
MAX_BYTES = 100_000


class Stake(logging.Handler):
    """Hears of every planned job, and adds up; Snakemake tells its table of jobs before them and after."""

    def __init__(self):
        super().__init__()
        self.jobs, self.tables = [], count()

    def emit(self, record):
        event = get_event(record)
        if event == LogEvent.JOB_INFO and record.benchmark:
            hours = hours_before(record.benchmark)
            case = " ".join([record.rule_name, *record.wildcards.values()])
            self.jobs.append((hours * (record.resources.get("gpu") or 1), bool(record.resources.get("gpu")), case))
        elif event == LogEvent.RUN_INFO and next(self.tables) == 1 and any(hours for hours, *_ in self.jobs):
            logger.warning(stake_in_words([job for job in self.jobs if job[0]]))


def hours_before(benchmark):
    """Hours in a benchmark file; 0 if it is missing or cannot be read."""
    if not os.path.isfile(benchmark) or os.path.getsize(benchmark) > MAX_BYTES:
        return 0
    try:
        with open(benchmark, encoding="utf-8") as file:
            return sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t")) / 3600
    except (OSError, ValueError, TypeError, KeyError, csv.Error):
        return 0


def stake_in_words(jobs):
    """How much there is to lose, and where the most of it lies."""
    gpu, other = (sum(hours for hours, on_gpu, _ in jobs if on_gpu == wanted) for wanted in (True, False))
    largest = ", ".join(f"{case} {hours:.3g}" for hours, _, case in sorted(jobs, reverse=True)[:LARGEST])
    return (
        f"At stake: {len(jobs)} of these jobs were done before, in {gpu:.3g} GPU hours and {other:.3g} others;"
        f" most in {largest}. The reasons above say why they are to be done again.\n"
    )


if workflow.output_settings.dryrun:
    logger.addHandler(Stake())
