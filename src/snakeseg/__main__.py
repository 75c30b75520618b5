"""`python -m snakeseg`."""

import sys

from snakeseg.cli import main

sys.exit(main())
