"""Locate the package, and load the modules that the workflow shares with it."""

import os
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

# None if Snakemake fetches the workflow file by file (`module` with `github(...)`).
HERE = Path(workflow.current_basedir).resolve() if isinstance(workflow.current_basedir, os.PathLike) else None
# The workflow lies beside src/ in a repository, and inside the package in an installed wheel.
IN_PACKAGE = HERE is not None and (HERE.parents[1] / "__init__.py").is_file()
PACKAGE = "../.." if IN_PACKAGE else "../../src/snakeseg"
# The modules get another name, since Snakemake's environment may hold another version of snakeseg.
SHARED = "snakeseg_of_the_workflow"
sys.modules.update({name: ModuleType(name) for name in (SHARED, f"{SHARED}.io")})


def load_shared(name):
    """Load a module of the package by its path; its relative imports must have been loaded before."""
    full_name, path = f"{SHARED}.{name}", os.path.join(PACKAGE, *name.split("."))
    loader = SourceFileLoader(full_name, workflow.source_path(f"{path}.py"))
    loaded = module_from_spec(spec_from_loader(full_name, loader))
    sys.modules[full_name] = loaded
    loader.exec_module(loaded)
    return loaded


text, errors = load_shared("text"), load_shared("errors")
text_table, file_names, sheets = (load_shared(f"io.{name}") for name in ("text_table", "file_names", "sheet"))
BadInput = errors.BadInput
