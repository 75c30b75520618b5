"""The names that `import snakeseg` exports: lazy, complete, documented, quick to import."""

import ast
import subprocess
import sys
import time
from importlib import import_module

import pytest

import snakeseg

MAX_IMPORT_S = 0.1
STARTS = 5
HEAVY = ("numpy", "torch", "scipy", "pandas", "snakeseg.errors")


def seconds(code: str) -> float:
    """Shortest of several starts of an interpreter, so that other processes of the machine count little."""
    times = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - begun)
    return min(times)


def test_the_import_takes_no_time():
    assert seconds("import snakeseg") - seconds("pass") < MAX_IMPORT_S


def test_the_import_loads_nothing_else():
    code = f"import sys, snakeseg; sys.exit(bool(set({HEAVY}) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_images_are_read_without_torch():
    code = "import sys, snakeseg; snakeseg.read_image, snakeseg.border_weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_name_is_the_one_of_its_module():
    assert dir(snakeseg) == sorted(snakeseg.__all__)
    for name, module in snakeseg._MODULES.items():
        assert getattr(snakeseg, name) is getattr(import_module(module), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = snakeseg.nothing


def test_editors_see_the_same_names(repository):
    """The block that only type checkers read imports every name from where it is imported on first use."""
    tree = ast.parse((repository / "src/snakeseg/__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    assert {alias.name: node.module for node in block.body for alias in node.names} == snakeseg._MODULES


def test_the_reference_page_has_every_name(repository):
    page = (repository / "docs/reference/python.md").read_text(encoding="utf-8")
    for name in snakeseg._MODULES:
        assert f":: snakeseg.{name}\n" in page, name


def test_every_docstring_is_whole():
    """Parameters, what is returned, errors, and an example."""
    for name in set(snakeseg._MODULES) - {"BadInput", "Labels", "Raster"}:
        text = getattr(snakeseg, name).__doc__
        for section in ("Parameters", "Returns", "Raises", "Examples"):
            assert f"    {section}\n    -" in text or (name, section) == ("write_labels", "Returns"), (name, section)
