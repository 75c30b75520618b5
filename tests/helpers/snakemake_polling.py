"""Snakemake that asks Slurm every second: the plugin's own intervals grow by ten, which is right for a cluster."""

import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, seconds: None)

if __name__ == "__main__":
    main(sys.argv[1:])
