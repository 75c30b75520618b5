"""How jobs start: errors end them, text is UTF-8, and Python imports nothing from the working folder."""

import os
from shlex import quote


def absolute_entries(path):
    """Drop the entries of a PYTHONPATH that are empty or relative: they name the working folder, where others may write."""
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.isabs(entry))


# For all processes that Snakemake starts: jobs here, and its own processes on the nodes of a cluster.
os.environ.update(PYTHONSAFEPATH="1", PYTHONPATH=absolute_entries(os.environ.get("PYTHONPATH", "")))

# Jobs run the package that lies beside the workflow, in whatever environment they are given; of a workflow from elsewhere,
# and of one in an installed package, the installed one. Braces are doubled because Snakemake formats the prefix.
FIND_PACKAGE = ""
if HERE is not None and not IN_PACKAGE:
    package = quote(str(HERE.parents[1] / "src"))
    FIND_PACKAGE = f"PYTHONPATH={package.replace('{', '{{').replace('}', '}}')}${{{{PYTHONPATH:+:$PYTHONPATH}}}}"

# A prefix takes the place of Snakemake's own, without which a command that fails before a pipe counts as done. Libraries,
# such as PyTorch's compiler, read their own files in the locale's encoding, which may be ASCII on a cluster.
shell.prefix(f"set -euo pipefail; export PYTHONUTF8=1 PYTHONSAFEPATH=1 {FIND_PACKAGE}; ")
