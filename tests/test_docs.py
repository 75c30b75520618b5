"""The documentation matches the code: generated pages, keys, quoted errors, commands, pictures."""

import ast
import importlib.util
import re
import shlex

import pytest
import yaml
from jsonschema import Draft202012Validator
from pages import blocks, commands
from PIL import Image

from snakeseg.cli import parser
from snakeseg.io.sheet import SHEET_COLUMNS


@pytest.fixture(scope="module")
def load(repository):
    """Return a function that loads a script of docs/ as a module."""

    def load_script(name: str):
        spec = importlib.util.spec_from_file_location(name, repository / "docs" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load_script


@pytest.fixture(scope="module")
def generate(load):
    return load("generate")


@pytest.fixture(scope="module")
def schema(repository):
    def read(name: str) -> dict:
        return yaml.safe_load((repository / f"workflow/schemas/{name}.schema.yaml").read_text(encoding="utf-8"))

    return read


@pytest.mark.parametrize(
    "name", ["docs/reference/command-line.md", "workflow/schemas/config.schema.yaml", "config/README.md"]
)
def test_generated_files_are_up_to_date(repository, generate, name):
    assert (repository / name).read_text(encoding="utf-8") == generate.FILES[name](), "run: python docs/generate.py"


def test_every_key_is_in_the_reference(generate, schema):
    def keys_in(part: dict):
        for key, value in part.get("properties", {}).items():
            yield key
            yield from keys_in(value)
        for inner in [*part.get("anyOf", []), *(rule["then"] for rule in part.get("allOf", []))]:
            yield from keys_in(inner)

    named = set(re.findall(r"^(?:\| |### )`(\w+)`", generate.tables(), re.MULTILINE))
    assert set(keys_in(schema("config"))) == named


def test_every_column_is_in_the_reference(repository):
    text = (repository / "config" / "README.md").read_text(encoding="utf-8")
    part = text.split("## The sample sheet")[1].split("## Keys")[0]
    assert list(SHEET_COLUMNS) == re.findall(r"^\| `(\w+)`", part, re.MULTILINE)


def test_every_quoted_error_is_in_the_sources(repository):
    """Each error in docs/how-to/troubleshooting.md, without names and numbers, is in one source file."""
    page = (repository / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8").split("## From Snakemake")[0]
    quotes = [
        quote for row in re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE) for quote in re.findall("`(.*?)`", row)
    ]
    assert len(quotes) > 50
    files = [*repository.glob("src/snakeseg/**/*.py"), *repository.glob("workflow/rules/*.smk")]
    remedies = constants((repository / "src/snakeseg/text.py").read_text(encoding="utf-8"))
    texts = [constants(path.read_text(encoding="utf-8")) | remedies for path in files]
    for quote in quotes:
        pieces = pieces_of(quote)
        assert sum(map(len, pieces)) > 15, f"too short to search for: {quote}"
        assert any(all(any(piece in text for text in strings) for piece in pieces) for strings in texts), quote


def pieces_of(quote: str) -> list[str]:
    """Return the fixed pieces of a message: between names and numbers, and between its four parts."""
    between = re.split(r"\.\.\.+|: found |^found |; expected |^expected |; ", quote)
    return [piece.strip() for piece in between if piece.strip()]


def constants(source: str) -> set[str]:
    """Return the texts of all strings in a Python file."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a Snakemake file
        return {source}
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_pieces_are_the_fixed_text_between_names():
    assert pieces_of("row ...: found ... '...'; expected ...; correct it") == ["row", "'", "'", "correct it"]


def test_configs_of_the_pages_are_valid(repository, schema):
    """All YAML blocks with keys of the config fit the schema."""
    whole = Draft202012Validator(schema("config") | {"required": []})
    yaml_blocks = [yaml.safe_load(block) for block in blocks(repository, "yaml")]
    pieces = [block for block in yaml_blocks if set(block) <= set(whole.schema["properties"])]
    assert len(pieces) > 5
    for piece in pieces:
        assert not [error.message for error in whole.iter_errors(piece)], piece


def test_commands_of_the_pages_exist(repository):
    """The parser accepts each `snakeseg ...` in a block of commands, and each `make ...` has a target."""
    calls = [arguments[1:] for line in commands(repository) if (arguments := shlex.split(line))[0] == "snakeseg"]
    assert len(calls) > 5
    for arguments in calls:
        parser().parse_args([word.strip("[]") for word in arguments])
    targets = {word for line in commands(repository) if line.startswith("make ") for word in line.split()[1:]}
    assert targets <= set(
        re.findall(r"^([\w-]+):", (repository / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_pictures_are_those_of_the_script(repository, load, tmp_path):
    load("images/touching_cells").draw(tmp_path)
    page = (repository / "docs/explanation/touching-cells.md").read_text(encoding="utf-8")
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == sorted(re.findall(r"\.\./images/([\w-]+\.png)", page))
    for name in drawn:
        committed = repository / "docs/images" / name
        assert committed.stat().st_size < 60_000
        assert Image.open(committed).size == Image.open(tmp_path / name).size


def test_the_tree_of_the_package_is_that_of_the_page(repository):
    """docs/architecture.md draws all files and folders of the package; each folder has a folder of tests."""
    page = (repository / "docs/architecture.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^  ([\w/.]+) ", page.split("src/snakeseg/\n", 1)[1].split("```", 1)[0], re.MULTILINE)
    existing = [
        f"{path.name}/" if path.is_dir() else path.name
        for path in (repository / "src/snakeseg").iterdir()
        if path.name != "__pycache__"
    ]
    assert sorted(drawn) == sorted(existing)
    tested = {f"{path.name}/" for path in (repository / "tests").iterdir() if path.is_dir()}
    assert {name for name in drawn if name.endswith("/")} - {"commands/"} <= tested
