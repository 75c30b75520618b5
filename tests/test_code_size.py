"""Limits of sizes that keep the code readable: lines of functions, files and rules, and parameters."""

import ast
import statistics
from collections.abc import Iterator

import pytest

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@pytest.fixture(scope="module")
def functions(repository) -> dict[str, ast.FunctionDef]:
    """Return all functions of the package, by file and name."""

    def in_file(path) -> Iterator[tuple[str, ast.FunctionDef]]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, FUNCTIONS):
                yield f"{path.relative_to(repository)}:{node.lineno} {node.name}", node

    return {name: node for path in (repository / "src").rglob("*.py") for name, node in in_file(path)}


def count_lines(function: ast.FunctionDef, with_docstring: bool) -> int:
    first = function.body[0]
    docstring = first if ast.get_docstring(function, clean=False) is not None and not with_docstring else None
    return function.end_lineno - function.lineno + 1 - (docstring.end_lineno - docstring.lineno + 1 if docstring else 0)


def test_functions_are_short(functions):
    assert len(functions) > 1000
    assert {name: n for name, node in functions.items() if (n := count_lines(node, with_docstring=True)) >= 60} == {}
    lines = sorted(count_lines(node, with_docstring=False) for node in functions.values())
    assert lines[len(lines) * 9 // 10] < 20
    assert statistics.median(lines) < 10


def test_functions_have_few_parameters(functions):
    too_many = {}
    for name, node in functions.items():
        parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        own = [parameter for parameter in parameters if parameter.arg not in ("self", "cls")]
        if len(own) > 6:
            too_many[name] = len(own)
    assert too_many == {}


def test_files_are_short(repository):
    paths = [*(repository / "src").rglob("*.py"), *(repository / "workflow").rglob("*.smk")]
    lines = {str(path.relative_to(repository)): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {name: n for name, n in lines.items() if n > 300} == {}
    assert lines["workflow/rules/common.smk"] < 200
