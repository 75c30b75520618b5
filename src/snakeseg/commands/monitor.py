"""Subcommands that look after runs: what became of one, and whether this machine can make one."""

import json
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from snakeseg.errors import BadInput
from snakeseg.io.files import write_text
from snakeseg.text import printable_lines

SECONDS_BETWEEN_LOOKS = 15
CLEAR = "\033[2J\033[H"


def status(given: Namespace) -> int:
    """What a run's jobs do or died of; 1 if any needs the user."""
    from snakeseg.monitor.jobs import look_at, name_of_run
    from snakeseg.monitor.text import as_data, describe

    while True:
        run = look_at(name_of_run(given.run))
        text = json.dumps(as_data(run)) if given.json else describe(run)
        print(CLEAR + text if given.watch and sys.stdout.isatty() else text, flush=True)
        if not given.watch or not run.controller.startswith("runs"):
            return int(bool(run.complaint) or any(case.cause for case in run.cases))
        time.sleep(SECONDS_BETWEEN_LOOKS)


def doctor(given: Namespace) -> int:
    """A line for every check as it is made; 1 if there is a problem."""
    checks = []
    for check in _checks(given):
        checks.append(check)
        if not given.json:
            print(printable_lines(check), flush=True)
    if given.json:
        print(json.dumps([check._asdict() for check in checks]))
    return int(any(check.verdict == "problem" for check in checks))


def _checks(given: Namespace) -> Iterator:
    from snakeseg.monitor.doctor.cluster import check_profile, check_snakemake, submit_probe
    from snakeseg.monitor.doctor.disk import check_disk
    from snakeseg.monitor.doctor.machine import check_device, check_python, check_torch

    yield check_python()
    yield (torch := check_torch())
    if torch.verdict != "problem":
        yield check_device()
    yield check_snakemake()
    profile = list(check_profile(given.profile)) if given.profile else []
    yield from profile
    yield from check_disk(Path())
    if given.submit:
        if not profile or any(check.verdict == "problem" for check in profile):
            raise BadInput("--submit", "no profile that works", "one to send a job with", "name it by --profile")
        yield submit_probe(given.profile)


def probe(given: Namespace) -> None:
    """What a job finds where it runs, as JSON."""
    from snakeseg.monitor.doctor.machine import describe_node

    write_text(given.output, json.dumps(describe_node()) + "\n")
