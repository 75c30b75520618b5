"""Where the package lies, and those of its modules that the workflow uses too."""

import os
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

# None of a workflow that Snakemake fetches file by file (`module` with `github(...)`).
HERE = Path(workflow.current_basedir).resolve() if isinstance(workflow.current_basedir, os.PathLike) else None
# In a repository the workflow lies beside src/, in an installed wheel inside of the package.
IN_PACKAGE = HERE is not None and (HERE.parents[1] / "__init__.py").is_file()
PACKAGE = "../.." if IN_PACKAGE else "../../src/snakeseg"
# Snakemake's environment may hold no snakeseg, or another version, so the modules are loaded under another name.
SHARED = "snakeseg_of_the_workflow"
sys.modules.update({name: ModuleType(name) for name in (SHARED, f"{SHARED}.io")})


def load_shared(name):
    """Load a module of the package by its path; it may import those that were loaded before it, relatively."""
    full_name, path = f"{SHARED}.{name}", os.path.join(PACKAGE, *name.split("."))
    loader = SourceFileLoader(full_name, workflow.source_path(f"{path}.py"))
    loaded = module_from_spec(spec_from_loader(full_name, loader))
    sys.modules[full_name] = loaded
    loader.exec_module(loaded)
    return loaded


text, errors = load_shared("text"), load_shared("errors")
cells, file_names, sheets = (load_shared(f"io.{name}") for name in ("cells", "file_names", "sheet"))
BadInput = errors.BadInput
