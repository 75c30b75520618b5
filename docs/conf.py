"""Sphinx configuration of the documentation site; build it with `make docs`.

The source folder is the repository, so that links between pages, config/README.md and other files work both on the site
and in the repository.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

project = "SnakeSeg"
html_title = project
html_theme = "furo"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
napoleon_google_docstring = False
autodoc_typehints = "none"  # docstrings state the types, with shapes
myst_heading_anchors = 4
root_doc = "docs/index"
include_patterns = ["README.md", "config/README.md", "docs/**.md"]
# Exclude all other folders: results may hold millions of files.
exclude_patterns = [path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in ("config", "docs")]


def setup(app) -> None:
    """Register the hooks that write the start page and mend docstrings."""
    app.connect("build-finished", write_redirect)
    app.connect("autodoc-process-docstring", escape_shapes, priority=400)  # before napoleon reads the sections


def escape_shapes(app, what, name, obj, options, lines: list[str]) -> None:
    """Escape the star of shapes such as (channels, *spatial), which reStructuredText takes for emphasis."""
    lines[:] = [re.sub(r"\*(?=spatial|shape)", r"\\*", line) for line in lines]


def write_redirect(app, error: Exception | None) -> None:
    """Write the index.html of the site, which redirects to the first page in docs/."""
    if not error:
        redirect = '<!doctype html><title>SnakeSeg</title><meta http-equiv="refresh" content="0; url=docs/index.html">'
        (Path(app.outdir) / "index.html").write_text(redirect, encoding="utf-8")
