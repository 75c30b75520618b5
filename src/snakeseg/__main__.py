"""`python -m snakeseg`."""

import sys

from snakeseg.cli import main

# Processes that share a training import this module again.
if __name__ == "__main__":
    sys.exit(main())
