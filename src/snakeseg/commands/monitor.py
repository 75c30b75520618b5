"""Subcommands that monitor runs and check the machine."""

import json
import sys
import time
from argparse import Namespace

from snakeseg.io.files import write_text
from snakeseg.text import printable_lines

WATCH_INTERVAL_S = 15
# Clears a terminal.
CLEAR = "\033[2J\033[H"


def status(args: Namespace) -> int:
    """Print the state of a run's jobs and the causes of failures; return 1 if the user has to act."""
    from snakeseg.monitor.jobs import name_of_run, read_run
    from snakeseg.monitor.status_text import as_data, describe

    while True:
        run = read_run(name_of_run(args.run))
        text = json.dumps(as_data(run)) if args.json else describe(run)
        print(CLEAR + text if args.watch and sys.stdout.isatty() else text, flush=True)
        if not args.watch or not run.controller.startswith("runs"):
            return int(bool(run.complaint) or any(case.cause for case in run.cases))
        time.sleep(WATCH_INTERVAL_S)


def doctor(args: Namespace) -> int:
    """Print each check of the machine as it is made; return 1 if there is a problem."""
    from snakeseg.monitor.doctor.run_checks import all_checks

    checks = []
    for check in all_checks(args.profile, args.submit):
        checks.append(check)
        if not args.json:
            print(printable_lines(check), flush=True)
    if args.json:
        print(json.dumps([check._asdict() for check in checks]))
    return int(any(check.verdict == "problem" for check in checks))


def probe(args: Namespace) -> None:
    """Write a description of the node on which this job runs, as JSON."""
    from snakeseg.monitor.doctor.machine import describe_node

    write_text(args.output, json.dumps(describe_node()) + "\n")
