"""In a dry run, report the time that the planned jobs took before, so that no long training is repeated by mistake."""

import csv
import logging
import os
from itertools import count

from snakemake.logging import get_event, logger
from snakemake_interface_logger_plugins.common import LogEvent

# Number of jobs that the message lists.
MAX_LISTED_JOBS = 5
# Largest size of a benchmark file; larger files are ignored.
MAX_BENCHMARK_BYTES = 100_000


class Stake(logging.Handler):
    """Log handler that adds up the hours of planned jobs; Snakemake logs its table of jobs before and after them."""

    def __init__(self):
        super().__init__()
        self.jobs, self.tables = [], count()

    def emit(self, record):
        event = get_event(record)
        if event == LogEvent.JOB_INFO and record.benchmark:
            hours = previous_hours(record.benchmark)
            name = " ".join([record.rule_name, *record.wildcards.values()])
            self.jobs.append((hours * (record.resources.get("gpu") or 1), bool(record.resources.get("gpu")), name))
        elif event == LogEvent.RUN_INFO and next(self.tables) == 1 and any(hours for hours, *_ in self.jobs):
            logger.warning(stake_message([job for job in self.jobs if job[0]]))


def previous_hours(benchmark):
    """Return the hours in a benchmark file; 0 if it is missing or cannot be read."""
    if not os.path.isfile(benchmark) or os.path.getsize(benchmark) > MAX_BENCHMARK_BYTES:
        return 0
    try:
        with open(benchmark, encoding="utf-8") as file:
            return sum(float(row["s"]) for row in csv.DictReader(file, delimiter="\t")) / 3600
    except (OSError, ValueError, TypeError, KeyError, csv.Error):
        return 0


def stake_message(jobs):
    """Return the message: total hours of jobs (hours, on GPU, name), and the longest jobs."""
    gpu, cpu = (sum(hours for hours, on_gpu, _ in jobs if on_gpu == wanted) for wanted in (True, False))
    longest = ", ".join(f"{name} ({hours:.3g} h)" for hours, _, name in sorted(jobs, reverse=True)[:MAX_LISTED_JOBS])
    return (
        f"At stake: {len(jobs)} of these jobs were done before, in {gpu:.3g} GPU hours and {cpu:.3g} hours without a"
        f" GPU; the longest: {longest}. The reasons above say why each job would run again.\n"
    )


if workflow.output_settings.dryrun:
    logger.addHandler(Stake())
