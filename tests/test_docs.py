"""The documentation says what the code does: generated pages, keys, quoted errors, commands, pictures."""

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


@pytest.fixture(scope="module")
def load(repository):
    """A script of docs/ as a module."""

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


@pytest.fixture(scope="module")
def told(repository) -> dict[str, dict[str, str]]:
    """What config/README.md says: by heading, keys and columns in its tables, or in its text, and their defaults."""
    text = (repository / "config" / "README.md").read_text(encoding="utf-8")
    found = {}
    for part in re.split(r"^##+ ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        found[heading.split(":")[0].strip("`")] = defaults_in(body)
    # Experiments have no table; their keys stand in the text.
    return found | {"experiments": dict.fromkeys(re.findall(r"`(\w+)", text), "")}


def defaults_in(body: str) -> dict[str, str]:
    """Default by key; of rows that tell several keys, the defaults in the same order. Without a table, "" of each."""
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in body.splitlines() if line.startswith("|")]
    rows = [[each.strip() for each in row] for row in cells]
    if not rows:
        return dict.fromkeys(re.findall(r"`(\w+)`", body), "")
    found = {}
    for *others, last in rows:
        keys = re.findall(r"`(\w+)`", others[1] if len(others) == 3 else others[0])  # networks are told first
        defaults = last.split(", ") if last.count(", ") == len(keys) - 1 else [last] * len(keys)
        found |= dict(zip(keys, defaults, strict=True))
    return found


@pytest.mark.parametrize("page", ["docs/reference/command-line.md", "docs/reference/keys.md"])
def test_generated_pages_are_up_to_date(repository, generate, page):
    assert (repository / page).read_text(encoding="utf-8") == generate.PAGES[page](), "run: python docs/generate.py"


def test_every_key_is_on_its_generated_page(generate, schema):
    """The generator knows its way into all of the schema: what names a description or default is a key."""
    page = generate.keys()

    def keys_in(of: dict):
        for key, each in of.get("properties", {}).items():
            yield key
            yield from keys_in(each)
        for inner in [*of.get("anyOf", []), *(rule["then"] for rule in of.get("allOf", []))]:
            yield from keys_in(inner)
        if isinstance(of.get("additionalProperties"), dict):
            yield from keys_in(of["additionalProperties"])

    named = set(re.findall(r"^(?:\| |## )`(\w+)`", page, re.MULTILINE))
    assert set(keys_in(schema("config"))) | set(keys_in(schema("samples"))) == named


def test_every_column_is_explained(told, schema):
    assert set(schema("samples")["properties"]) <= set(told["The sample sheet"])


def test_every_key_is_explained_under_its_section(generate, schema, told):
    for title, properties, _ in generate.sections(schema("config")):
        section = title.split("`")[1] if "`" in title else "Keys"
        missing = set(properties) - set(told[section]) - set(told)
        assert not missing, f"config/README.md, {section}"


def test_defaults_are_those_of_the_schema(generate, schema, told):
    """Where config/README.md tells a default as a value, not in words."""
    compared = 0
    for title, properties, _ in generate.sections(schema("config")):
        section = title.split("`")[1] if "`" in title else "Keys"
        if section == "network" and title != "`network`":
            continue  # keys of one name in several networks
        for key, of in properties.items():
            text = told.get(section, {}).get(key, "").strip("`")
            if "default" in of and re.fullmatch(r"[\d.]+|true|false|[a-z0-9_.]+|\{.*\}", text):
                nothing = text in ("none", "all") and of["default"] in (None, [])
                assert nothing or yaml.safe_load(text) == of["default"], f"{section}.{key}"
                compared += 1
    assert compared > 50


def test_every_quoted_error_stands_in_the_sources(repository):
    """Each error of docs/how-to/troubleshooting.md, but for names and numbers, is told by one file."""
    page = (repository / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8").split("## From Snakemake")[0]
    quotes = [
        quote for row in re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE) for quote in re.findall("`(.*?)`", row)
    ]
    assert len(quotes) > 50
    files = [*repository.glob("src/snakeseg/**/*.py"), repository / "workflow/rules/common.smk"]
    texts = [constants(path.read_text(encoding="utf-8")) for path in files]
    for quote in quotes:
        pieces = pieces_of(quote)
        assert sum(map(len, pieces)) > 15, f"too little to find it by: {quote}"
        assert any(all(any(piece in text for text in known) for piece in pieces) for known in texts), quote


def pieces_of(quote: str) -> list[str]:
    """What is printed as it stands in the sources: between names and numbers, and between the parts of a message."""
    between = re.split(r"\.\.\.+|: found |^found |; expected |^expected |; ", quote)
    return [piece.strip() for piece in between if piece.strip()]


def constants(source: str) -> set[str]:
    """All text in the strings of a Python file."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # Snakemake's own words
        return {source}
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_pieces_are_what_is_printed_between_names():
    assert pieces_of("row ...: found ... '...'; expected ...; correct it") == ["row", "'", "'", "correct it"]


def test_configs_of_the_pages_are_valid(repository, schema):
    """Every piece of a config."""
    whole = Draft202012Validator(schema("config") | {"required": []})
    given = [yaml.safe_load(block) for block in blocks(repository, "yaml")]
    pieces = [each for each in given if set(each) <= set(whole.schema["properties"])]
    assert len(pieces) > 5
    for piece in pieces:
        assert not [error.message for error in whole.iter_errors(piece)], piece


def test_commands_of_the_pages_exist(repository):
    """Every `snakeseg ...` and `make ...` in a block of commands is understood."""
    given = [words[1:] for line in commands(repository) if (words := shlex.split(line))[0] == "snakeseg"]
    assert len(given) > 5
    for words in given:
        parser().parse_args([word.strip("[]") for word in words])
    targets = {word for line in commands(repository) if line.startswith("make ") for word in line.split()[1:]}
    assert targets <= set(
        re.findall(r"^([\w-]+):", (repository / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_pictures_are_those_of_the_script(repository, load, tmp_path):
    load("images/touching_cells").draw(tmp_path)
    page = (repository / "docs/explanation/touching-cells.md").read_text(encoding="utf-8")
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(re.findall(r"\.\./images/([\w-]+\.png)", page))
    for name in made:
        kept = repository / "docs/images" / name
        assert kept.stat().st_size < 60_000
        assert Image.open(kept).size == Image.open(tmp_path / name).size


def test_the_tree_of_the_package_is_that_of_the_page(repository):
    """What docs/architecture.md draws, with a folder of tests for each folder."""
    page = (repository / "docs/architecture.md").read_text(encoding="utf-8")
    drawn = re.findall(r"^  ([\w/.]+) ", page.split("src/snakeseg/\n", 1)[1].split("```", 1)[0], re.MULTILINE)
    there = [
        f"{path.name}/" if path.is_dir() else path.name
        for path in (repository / "src/snakeseg").iterdir()
        if path.name != "__pycache__"
    ]
    assert sorted(drawn) == sorted(there)
    tested = {f"{path.name}/" for path in (repository / "tests").iterdir() if path.is_dir()}
    assert {name for name in drawn if name.endswith("/")} - {"commands/"} <= tested
