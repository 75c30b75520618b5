"""Subcommands that look after runs: what became of one, and whether this machine can make one."""

import json
import sys
import time
from argparse import Namespace

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
    from snakeseg.monitor.doctor.all import all_checks

    checks = []
    for check in all_checks(given.profile, given.submit):
        checks.append(check)
        if not given.json:
            print(printable_lines(check), flush=True)
    if given.json:
        print(json.dumps([check._asdict() for check in checks]))
    return int(any(check.verdict == "problem" for check in checks))


def probe(given: Namespace) -> None:
    """What a job finds where it runs, as JSON."""
    from snakeseg.monitor.doctor.machine import describe_node

    write_text(given.output, json.dumps(describe_node()) + "\n")
