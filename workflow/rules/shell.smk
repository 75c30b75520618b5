"""Shell settings of all jobs: errors end a job, text is UTF-8, Python imports nothing from the working folder."""

import os
from shlex import quote


def absolute_entries(path):
    """Drop empty and relative entries of a PYTHONPATH: they point to the working folder, where others may write."""
    return os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.isabs(entry))


# Environment of all processes that Snakemake starts: local jobs, and Snakemake itself on the nodes of a cluster.
os.environ.update(PYTHONSAFEPATH="1", PYTHONPATH=absolute_entries(os.environ.get("PYTHONPATH", "")))

# Jobs use the package beside the workflow, in any environment. A fetched workflow, and one in an installed package, use
# the installed package. Braces are doubled because Snakemake formats the prefix.
FIND_PACKAGE = ""
if HERE is not None and not IN_PACKAGE:
    package = quote(str(HERE.parents[1] / "src"))
    FIND_PACKAGE = f"PYTHONPATH={package.replace('{', '{{').replace('}', '}}')}${{{{PYTHONPATH:+:$PYTHONPATH}}}}"

# This prefix replaces Snakemake's, so it sets pipefail too: else a command that fails before a pipe counts as done. The
# locale's encoding, in which libraries such as PyTorch's compiler read their files, may be ASCII on a cluster.
shell.prefix(f"set -euo pipefail; export PYTHONUTF8=1 PYTHONSAFEPATH=1 {FIND_PACKAGE}; ")
