"""Run the command line with `python -m snakeseg`."""

import sys

from snakeseg.cli import main

# The worker processes of a training import this module again and must not start the command line.
if __name__ == "__main__":
    sys.exit(main())
