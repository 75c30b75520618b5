"""The names that `import snakeseg` exports are imported lazily, complete and documented."""

import ast
import subprocess
import sys
from importlib import import_module

import pytest

import snakeseg


def test_import_loads_nothing_but_the_standard_library():
    """So it takes 0.01 to 0.02 s longer than the start of an empty interpreter, on a quiet machine."""
    code = """
import sys
before = set(sys.modules)
import snakeseg
print(*{name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
print(*[name for name in sys.modules if name.startswith("snakeseg.")])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["snakeseg", ""]


def test_images_are_read_without_torch():
    code = "import sys, snakeseg; snakeseg.read_image, snakeseg.border_weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_name_is_the_object_of_its_module():
    assert dir(snakeseg) == sorted(snakeseg.__all__)
    for name, module in snakeseg._PUBLIC_NAMES.items():
        assert getattr(snakeseg, name) is getattr(import_module(module), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = snakeseg.nothing


def test_type_checkers_get_the_same_names(repository):
    """The block for type checkers imports every name from the module that provides it at run time."""
    tree = ast.parse((repository / "src/snakeseg/__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    assert {alias.name: node.module for node in block.body for alias in node.names} == snakeseg._PUBLIC_NAMES


def test_reference_page_documents_every_name(repository):
    page = (repository / "docs/reference/python.md").read_text(encoding="utf-8")
    for name in snakeseg._PUBLIC_NAMES:
        assert f":: snakeseg.{name}\n" in page, name


def test_docstrings_have_all_sections():
    """The sections are parameters, return value, errors and examples."""
    for name in set(snakeseg._PUBLIC_NAMES) - {"BadInput", "Labels", "Raster"}:
        text = getattr(snakeseg, name).__doc__
        for section in ("Parameters", "Returns", "Raises", "Examples"):
            assert f"    {section}\n    -" in text or (name, section) == ("write_labels", "Returns"), (name, section)
